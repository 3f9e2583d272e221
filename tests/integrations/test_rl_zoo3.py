"""RL Zoo: our agents train by its script, and its Optuna searches their settings."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import rl_zoo3
import yaml
from rl_zoo3.enjoy import enjoy
from rl_zoo3.train import train

from agents.adapters.rl_zoo3 import ENTRIES, convert, register
from scripts.baselines.rl_zoo import TUNED

SETTINGS = {
    "foveal_ppo": "{policy: MultiInputPolicy, n_envs: 8, n_steps: 16, n_timesteps: 256}",
    "world_model": "{policy: MultiInputPolicy, n_envs: 8, model_steps: 80, n_timesteps: 256}",
}


@pytest.mark.parametrize("name", ENTRIES)
@pytest.mark.parametrize(
    "more", [[], ["--optimize", "--n-trials", "2", "--n-startup-trials", "1", "--n-evaluations", "1"]]
)
def test_training_and_search(name: str, more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register()
    monkeypatch.chdir(tmp_path)
    Path("settings.yml").write_text(f"Foveal/TargetDetection-v0: {SETTINGS[name]}")
    words = ["--algo", name, "--env", "Foveal/TargetDetection-v0", "--gym-packages", "foveal_envs"]
    words += [
        "--conf-file",
        "settings.yml",
        "--seed",
        str(2**32 - 1),
        "--eval-episodes",
        "2",
        "--n-eval-envs",
        "1",
        *more,
    ]
    monkeypatch.setattr(sys, "argv", ["train", *words])
    train()
    assert list(Path("logs", name).iterdir())
    if not more:
        monkeypatch.setattr(sys, "argv", ["enjoy", *words[:6], "-f", "logs", "-n", "30", "--no-render"])
        enjoy()


def test_samplers_and_what_they_stand_for_agree() -> None:
    import optuna

    for agent, sample in ENTRIES.values():
        trial = optuna.create_study().ask()
        drawn = sample(trial, 2, 8, {})
        stands_for = convert(trial.params)
        assert stands_for.keys() == drawn.keys()
        numbers = {name: value for name, value in drawn.items() if not isinstance(value, str)}
        assert {name: stands_for[name] for name in numbers} == pytest.approx(numbers)
        agent(env="CartPole-v1", **drawn)


@pytest.mark.parametrize(("algorithm", "env_id"), TUNED)
def test_our_copy_of_the_zoos_settings_is_exact(algorithm: str, env_id: str) -> None:
    text = (Path(rl_zoo3.__file__).parent / "hyperparams" / f"{algorithm.lower()}.yml").read_text()
    theirs, ours = yaml.safe_load(text)[env_id], TUNED[algorithm, env_id]
    assert theirs.pop("policy") == "MlpPolicy"
    assert theirs.pop("n_timesteps") == ours.steps
    assert theirs.pop("n_envs", 1) == ours.n_envs
    assert theirs.pop("normalize", False) == ours.normalised
    assert eval(theirs.pop("policy_kwargs", "{}")) == ours.policy_kwargs
    kept = {name: str(value).replace("falling ", "lin_") for name, value in ours.keywords.items()}
    assert {name: _number(value) for name, value in kept.items()} == {
        name: _number(str(value)) for name, value in theirs.items()
    }


def _number(said: str) -> object:
    kind, _, number = said.rpartition("_")
    return (kind, float(number)) if number.replace(".", "").replace("e-", "").replace("-", "").isdigit() else said
