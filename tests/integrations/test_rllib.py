"""RLlib, in an environment of its own: runners, learners, two nodes, restoring, and weights both ways."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

os.environ["RAY_AUTH_MODE"] = "disabled"  # before Ray is imported: else it writes a token into the home
ray = pytest.importorskip("ray")
pytest.importorskip("ray.rllib")

from ray.cluster_utils import Cluster  # noqa: E402
from tqdm import tqdm  # noqa: E402

import foveal_envs  # noqa: E402
from agents import RecurrentPPO, make_sb3  # noqa: E402
from agents.adapters.rllib import ppo_config, to_local, to_rllib  # noqa: E402
from scripts.evaluate import main as evaluate  # noqa: E402
from scripts.shared.cluster import look_at_nodes  # noqa: E402
from scripts.shared.command import Refusal  # noqa: E402
from scripts.train_rllib import train_rllib  # noqa: E402

DETECTION = "foveal_envs:Foveal/TargetDetection-v0"
SETTINGS = {"n_steps": 25, "learning_rate": 1e-3, "gamma": 0.95, "core_kwargs": {"size": 32}}


@pytest.fixture
def nodes() -> Iterator[None]:
    """A Ray of this machine."""
    ray.init(num_cpus=6, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


def made(env_id: str = DETECTION, lanes: int = 8, **more: object) -> RecurrentPPO:
    return RecurrentPPO("RecurrentPolicy", make_sb3(env_id, lanes, seed=0), **{"seed": 0, **SETTINGS, **more})


def parameters(agent: RecurrentPPO) -> torch.Tensor:
    return torch.cat([part.detach().flatten() for part in agent.policy.state_dict().values()])


def actions(agent: RecurrentPPO, moves: int = 6) -> np.ndarray:
    """Deterministic actions from fixed starts."""
    env = make_sb3(DETECTION, 4, seed=7)
    obs, state, start, taken = env.reset(), None, np.ones(4, bool), []
    for _ in range(moves):
        action, state = agent.predict(obs, state, start, deterministic=True)
        obs, _, start, _ = env.step(action)
        taken.append(action)
    return np.array(taken)


@pytest.mark.parametrize("core", ["feedforward", "lstm", "gated_delta"])
def test_weights_go_both_ways_and_the_module_acts_as_the_local_agent(nodes: None, core: str) -> None:
    local, back = made(core=core, core_kwargs=None), made(core=core, core_kwargs=None, seed=5)
    algorithm = ppo_config(local, DETECTION).build_algo()
    to_rllib(local, algorithm)
    to_local(algorithm, back)
    assert torch.equal(parameters(local), parameters(back))
    np.testing.assert_array_equal(actions(local), actions(back))
    runner = algorithm.env_runner.module
    for name, part in local.policy.state_dict().items():
        assert torch.equal(part, runner.state_dict()[f"policy.{name}"]), name
    algorithm.train()
    to_local(algorithm, back)
    assert not torch.equal(parameters(local), parameters(back))
    algorithm.stop()


@pytest.mark.parametrize("env_id", foveal_envs.IDS)
def test_every_id_is_trained_for_a_moment(nodes: None, env_id: str) -> None:
    local = made(f"foveal_envs:{env_id}", 2, n_steps=4)
    algorithm = ppo_config(local, f"foveal_envs:{env_id}").build_algo()
    assert algorithm.train()["env_runners"]["num_env_steps_sampled_lifetime"] >= 8
    to_local(algorithm, local)
    algorithm.stop()


def test_two_runners_and_two_learners_have_equal_parameters(nodes: None) -> None:
    algorithm = ppo_config(made(), DETECTION, runners=2, learners=2).build_algo()
    for _ in range(2):
        steps = algorithm.train()["env_runners"]["num_env_steps_sampled_lifetime"]
    assert steps == 2 * 8 * 25  # the lanes of the local agent, whoever plays them
    first, second = (
        torch.cat([torch.as_tensor(part).flatten() for part in own.values()])
        for own in (
            state.get()["rl_module"]["default_policy"]
            for state in algorithm.learner_group.foreach_learner(lambda learner: learner.get_state(["rl_module"]))
        )
    )
    assert torch.equal(first, second)
    algorithm.stop()


def test_a_node_joins_and_plays(tmp_path: Path) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        cluster.add_node(num_cpus=2)
        ray.init(address=cluster.address, include_dashboard=False, log_to_driver=False, logging_level="error")
        assert list(look_at_nodes().values()) == [""] * len(look_at_nodes())
        assert len([node for node in ray.nodes() if node["Alive"]]) == 2
        ray.shutdown()
        folder = tmp_path / "run"
        settings = {"environment": "Foveal/TargetDetection-v0", "lanes": 9, "agent": ("n_steps=25", "n_minibatches=1")}
        train_rllib(**settings, runners=3, steps=450, address=cluster.address, folder=folder, progress_bar=False)
        assert json.loads((folder / "about.json").read_text())["runners"] == 3
        with pytest.raises(Refusal, match="9 processes need as many processors, and the cluster has 4"):
            train_rllib(**settings, runners=8, steps=450, address=cluster.address, folder=tmp_path / "other")
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_a_run_goes_on_and_other_commands_read_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    train_rllib("Foveal/Parking-v0", lanes=16, steps=2048, folder=folder, progress_bar=False, agent=("n_steps=32",))
    with pytest.raises(Refusal, match="is pickled; if you trust it, pass --trust"):
        train_rllib(resume=folder, steps=4096)
    train_rllib(resume=folder, steps=4096, progress_bar=False, trust=True)
    rows = (folder / "progress.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["environment_steps", "512", "1024", "1536", "2048", "2560", "3072",
                                                   "3584", "4096"]  # fmt: skip
    assert RecurrentPPO.load(folder / "model.zip").num_timesteps == 4096
    evaluate([str(folder), "--episodes", "20"])
    assert "correct" in capsys.readouterr().out


def test_a_signal_stops_a_run_after_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting(tqdm):
        def update(self, n: float | None = 1) -> bool | None:
            signal.raise_signal(signal.SIGTERM)
            return super().update(n)

    folder, own = tmp_path / "run", {"progress_bar": False, "minutes": 60.0}
    with monkeypatch.context() as patched:
        patched.setattr("scripts.train_rllib.tqdm", Interrupting)
        with pytest.raises(SystemExit) as stop:
            train_rllib("Foveal/Parking-v0", lanes=16, steps=4096, folder=folder, agent=("n_steps=32",), **own)
    assert stop.value.code == 128 + signal.SIGTERM
    assert json.loads((folder / "about.json").read_text())["ended"] == "stopped by SIGTERM"
    train_rllib(resume=folder, trust=True, **own)
    rows = (folder / "progress.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in (rows[0], rows[-1])] == ["512", "4096"]


def test_what_cannot_be_done_is_one_line() -> None:
    with pytest.raises(Refusal, match=r"no Ray cluster answers at 127.0.0.1:9"):
        train_rllib("Foveal/Parking-v0", address="127.0.0.1:9")
    with pytest.raises(ValueError, match=r"RLlib's PPO has no target_kl=0.1: leave it at None"):
        ppo_config(made(target_kl=0.1), DETECTION)
    with pytest.raises(ValueError, match="8 lanes cannot be shared evenly by 3 runners"):
        ppo_config(made(), DETECTION, runners=3)


@pytest.mark.slow
def test_what_rllib_has_learned_acts_here(nodes: None) -> None:
    from scripts.shared.rollouts import run_episodes

    net = {"core": "feedforward", "core_kwargs": {"hidden": (128, 128)}, "policy_kwargs": {"log_std_init": -0.5}}
    local = made(lanes=32, gamma=0.9, vf_coef=1e-3, **net)  # large returns, and one core for both losses
    before = run_episodes(local, "Foveal/TargetDetection-v0", 200).returns.mean()
    algorithm = ppo_config(local, DETECTION).build_algo()
    to_rllib(local, algorithm)
    for _ in range(30):
        algorithm.train()
    to_local(algorithm, local)
    algorithm.stop()
    after = run_episodes(local, "Foveal/TargetDetection-v0", 200).returns.mean()
    assert before < -250
    assert after > before + 100


def test_an_environment_without_a_native_form(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train_rllib("Pendulum-v1", lanes=2, steps=64, folder=folder, progress_bar=False, agent=("n_steps=8",))
    assert RecurrentPPO.load(folder / "model.zip").num_timesteps == 64
