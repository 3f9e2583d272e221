"""Run folders are loaded without running code that their files hold."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import cloudpickle
import numpy as np
import pytest
import stable_baselines3
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticCnnPolicy
from stable_baselines3.common.save_util import data_to_json

import foveal_envs  # noqa: F401
from agents import make_sb3
from scripts.shared.attendant import Attendant
from scripts.shared.command import Refusal
from scripts.shared.environments import make_lanes
from scripts.shared.policies import algorithm_name, load_agent
from scripts.shared.runs import Run, read_config, save_run, suitable_policy

TARGET = "Foveal/TargetDetection-v0"
SMALL: dict[str, dict[str, Any]] = {
    "PPO": {"n_steps": 8, "batch_size": 8, "n_epochs": 1},
    "A2C": {"n_steps": 8},
    "SAC": {"buffer_size": 100, "learning_starts": 1_000},
    "TD3": {"buffer_size": 100, "learning_starts": 1_000},
    "DQN": {"buffer_size": 100, "learning_starts": 1_000},
}


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def write_config(folder: Path, **changes: Any) -> Path:
    config = {"algorithm": "PPO", "env_id": TARGET, "env_kwargs": {}, "agent_kwargs": SMALL["PPO"], **changes}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def trained(folder: Path, name: str) -> Any:
    """An agent of Stable-Baselines3, saved into a run folder; and lanes for it."""
    keywords = {"actuators": "directions"} if name == "DQN" else {}
    own = {**SMALL[name], "policy_kwargs": {"net_arch": [8]}}
    env = make_sb3(TARGET, 2, seed=0, **keywords)
    agent = getattr(stable_baselines3, name)("MultiInputPolicy", env, device="cpu", **own).learn(32)
    agent.save(folder / "model.zip")
    write_config(folder, algorithm=name, env_kwargs=keywords, agent_kwargs={**own, "policy_kwargs": {"net_arch": [8]}})
    return agent, make_lanes(TARGET, keywords, 3)


def spoil(path: Path, **entries: Any) -> None:
    """Adds entries to the data of a file of Stable-Baselines3."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["data"] = json.dumps({**json.loads(parts["data"]), **entries}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_agents_of_stable_baselines3_are_loaded_without_unpickling(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, lanes = trained(tmp_path, name)
    monkeypatch.setattr(cloudpickle, "loads", None)
    monkeypatch.setattr(pickle, "loads", None)
    loaded = load_agent(tmp_path, lanes)
    obs, _ = lanes.reset(seed=0)
    expected, got = (one.predict(obs, deterministic=True)[0] for one in (agent, loaded))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("size", [32, 64])
def test_the_policy_suits_the_images_and_is_the_one_in_the_file(size: int, tmp_path: Path) -> None:
    run = Run("Foveal/TakeCover-v0", {"size": size}, "PPO", agent_kwargs=SMALL["PPO"], lanes=2)
    env, lanes = run.make_env(), make_lanes(run.env_id, run.env_kwargs, 2)
    suits = run.make_agent(env)
    assert isinstance(suits.policy, ActorCriticCnnPolicy) == (size == 64)
    other = replace(run, agent_kwargs={**SMALL["PPO"], "policy": "MlpPolicy"}).make_agent(env)
    observation = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    for number, agent in enumerate((suits, other)):
        folder = tmp_path / str(number)
        folder.mkdir()
        agent.save(write_config(folder, env_id=run.env_id, env_kwargs=run.env_kwargs) / "model.zip")
        loaded = load_agent(folder, lanes)
        assert type(loaded.policy) is type(agent.policy)
        acted, wanted = (each.predict(observation, deterministic=True)[0] for each in (loaded, agent))
        np.testing.assert_array_equal(acted, wanted)


def test_dicts_have_a_policy_of_their_own() -> None:
    class Remembers(stable_baselines3.PPO):
        policy_aliases: ClassVar[dict[str, Any]] = dict.fromkeys(("MlpLstmPolicy", "MultiInputLstmPolicy"))

    kinds = (
        (stable_baselines3.PPO, "MultiInputPolicy", "MlpPolicy"),
        (Remembers, "MultiInputLstmPolicy", "MlpLstmPolicy"),
    )
    for kind, of_dict, of_box in kinds:
        box = spaces.Box(-1, 1, (3,))
        assert suitable_policy(kind, spaces.Dict(observation=box)) == of_dict
        assert suitable_policy(kind, box) == of_box


def test_what_they_do_not_write_is_refused_in_one_line_unless_it_is_trusted(tmp_path: Path) -> None:
    _, lanes = trained(tmp_path, "PPO")
    marker = tmp_path / "marker"
    spoil(tmp_path / "model.zip", extra=json.loads(data_to_json({"extra": Bomb(marker)}))["extra"])
    with pytest.raises(SystemExit, match=r"model.zip: it holds more under extra .*pass --trust$"):
        load_agent(tmp_path, lanes)
    assert not marker.exists()
    load_agent(tmp_path, lanes, trust=True)
    assert marker.exists()


def test_a_file_that_replaces_a_method_is_refused(tmp_path: Path) -> None:
    _, lanes = trained(tmp_path, "PPO")
    spoil(tmp_path / "model.zip", predict=5)
    with pytest.raises(SystemExit, match=r"it holds more under predict"):
        load_agent(tmp_path, lanes)


def test_an_id_may_name_its_module(tmp_path: Path) -> None:
    assert make_lanes(f"foveal_envs:{TARGET}", {"moves": 3}, 2).num_envs == 2
    for env_id in ("no_such_module:X-v0", "GymV21Environment-v0", "No-v0"):
        with pytest.raises(SystemExit, match=f"cannot make {env_id}"):
            make_lanes(env_id, {}, 1)
    with pytest.raises(SystemExit, match="cannot make"):
        make_lanes(TARGET, {"moves": 10**30}, 1)


def test_a_configuration_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(10**9)
    with pytest.raises(SystemExit, match="larger than any run writes"):
        read_config(tmp_path)


def test_an_environment_in_a_file_is_not_made(tmp_path: Path) -> None:
    _, lanes = trained(tmp_path, "PPO")
    spoil(tmp_path / "model.zip", env="antigravity:CartPole-v1")
    with pytest.raises(SystemExit, match=r"it holds more under env"):
        load_agent(tmp_path, lanes)


def test_compressed_and_damaged_files_are_refused_in_one_line(tmp_path: Path) -> None:
    _, lanes = trained(tmp_path, "PPO")
    path = tmp_path / "model.zip"
    whole = path.read_bytes()
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", bytes(10_000_000))
    for content in (b"", b"no zip", whole[: len(whole) // 2], bomb.getvalue()):
        path.write_bytes(content)
        with pytest.raises(SystemExit) as caught:
            load_agent(tmp_path, lanes)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ([], "must hold a mapping, not list"),
        ({"algorithm": "PPO"}, "lacks env_id, env_kwargs"),
        ({"algorithm": "PPO", "env_id": 3, "env_kwargs": {}}, "env_id and algorithm must be strings"),
        ({"algorithm": "PPO", "env_id": TARGET, "env_kwargs": []}, "env_kwargs a mapping"),
        ({"algorithm": "PPO", "env_id": TARGET, "env_kwargs": {"task": "subprocess:Popen", "args": ["id"]}}, "a task"),
        ({"algorithm": "PPO", "env_id": "antigravity:X-v0", "env_kwargs": {}}, "names the module 'antigravity'"),
    ],
)
def test_configurations_that_no_run_writes_are_refused(config: Any, said: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(SystemExit, match=said) as caught:
        read_config(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_configuration_that_is_no_json_and_an_algorithm_that_is_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{" * 5_000)
    with pytest.raises(SystemExit, match="is no JSON"):
        read_config(tmp_path)
    (tmp_path / "model.zip").write_bytes(b"")
    for name in ("os", "get_system_info"):
        write_config(tmp_path, algorithm=name)
        with pytest.raises(SystemExit, match="unknown algorithm"):
            load_agent(tmp_path, make_lanes(TARGET, {}, 1))


def test_a_module_that_is_imported_already_may_be_named(tmp_path: Path) -> None:
    write_config(tmp_path, env_id=f"foveal_envs:{TARGET}")
    assert read_config(tmp_path)["env_id"].endswith(TARGET)


class OwnPPO(stable_baselines3.PPO):
    pass


def test_an_agent_trained_in_python_is_found_by_the_module_of_its_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = make_sb3(TARGET, 2, seed=0)
    lanes = make_lanes(TARGET, {}, 2)
    for kind, name in ((stable_baselines3.PPO, "PPO"), (OwnPPO, f"{__name__}:OwnPPO")):
        agent = kind("MultiInputPolicy", env, device="cpu", policy_kwargs={"net_arch": [8]}, **SMALL["PPO"])
        save_run(agent, tmp_path / kind.__name__, TARGET)
        assert read_config(tmp_path / kind.__name__, trust=True)["algorithm"] == name
        assert type(load_agent(tmp_path / kind.__name__, lanes, trust=True)) is kind
    monkeypatch.setattr(OwnPPO, "__module__", "__main__")
    monkeypatch.setattr("__main__.__file__", "/somewhere/my_agents.py", raising=False)
    assert algorithm_name(OwnPPO) == "my_agents:OwnPPO"
    monkeypatch.delitem(sys.modules, __name__)  # as in another process
    with pytest.raises(Refusal, match="trust"):
        load_agent(tmp_path / "OwnPPO", lanes)


def test_scoring_a_slow_environment_on_the_way_takes_about_as_many_steps_as_training_it() -> None:
    def starts(env_id: str, steps: int) -> int:
        return Attendant(Run(env_id, {}, "PPO", steps=steps, lanes=1), Path(), 1.0, {})._starts()

    assert [starts("CartPole-v1", steps) for steps in (1_000, 75_000, 1_000_000)] == [3, 10, 20]
    assert starts(TARGET, 1_000) == 200
