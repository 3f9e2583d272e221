"""Saving and loading in the cases that went wrong once: each is of a kind that the contract does not vary."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import FloatSchedule
from stable_baselines3.common.vec_env import VecCheckNan, VecNormalize

from agents import (
    HQLearning,
    RecurrentPolicy,
    RecurrentPPO,
    WorldModelController,
    load_checkpoint,
    make_sb3,
    save_checkpoint,
)
from agents.common import snapshot
from agents.common.archive import ArchiveError

from ..makers import MAKERS, env_of, make
from ..test_contract import bits, given, learned

TARGET = "Foveal/TargetDetection-v0"


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_checkpoint_before_the_first_step_is_exact(name: str, tmp_path: Path) -> None:
    agent = make(name)
    assert save_checkpoint(agent, tmp_path)
    resumed = load_checkpoint(type(agent), tmp_path, env_of(name, seed=99), **given(name))
    state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    agent.learn(80, log_interval=None)
    torch.set_rng_state(state[0])
    np.random.set_state(state[1])  # noqa: NPY002
    resumed.learn(80, log_interval=None)
    assert bits(resumed) == bits(agent)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_rollout_that_was_not_learned_from_is_not_claimed_to_be_exact(name: str, tmp_path: Path) -> None:
    claims = []

    class AtItsEnd(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            claims.append(save_checkpoint(self.model, tmp_path))  # type: ignore[arg-type]

    make(name).learn(20, callback=AtItsEnd(), log_interval=None)
    assert claims
    assert not any(claims)


def test_wrappers_and_controllers_that_do_not_say_what_they_keep_are_not_exact(tmp_path: Path) -> None:
    class Drift(VecCheckNan):
        """Keeps a number that nobody declares."""

    class Declared(Drift):
        STATE = ("number",)
        number = 3

    assert not save_checkpoint(make("RecurrentPPO", env=Drift(env_of("RecurrentPPO"))), tmp_path / "a")
    env = Declared(env_of("RecurrentPPO"))
    env.number = 5
    assert save_checkpoint(make("RecurrentPPO", env=env), tmp_path / "b")
    env = Declared(env_of("RecurrentPPO"))
    load_checkpoint(RecurrentPPO, tmp_path / "b", env)
    assert env.number == 5
    with pytest.raises(ArchiveError, match="other wrappers"):
        load_checkpoint(RecurrentPPO, tmp_path / "b", env_of("RecurrentPPO"))

    class Silent:
        def predict(self, obs: Any, *more: Any, **options: Any) -> Any: ...

    assert not snapshot.keeps_nothing(Silent())


def test_a_folder_keeps_the_newest_intact_checkpoints_and_no_leftovers(tmp_path: Path) -> None:
    agent = make("RecurrentPPO")
    with pytest.raises(ValueError, match="keep must be a whole number of at least 1"):
        save_checkpoint(agent, tmp_path, keep=0)
    for _ in range(4):
        save_checkpoint(agent, tmp_path, keep=2)
    newest = (tmp_path / "latest").read_text()
    assert len(list(tmp_path.glob("step-*"))) == 2
    (tmp_path / ".writing-1").mkdir()
    (tmp_path / newest / "data.json").write_bytes(b"")
    save_checkpoint(agent, tmp_path, keep=2)
    assert not (tmp_path / newest).exists()
    assert len(list(tmp_path.glob("step-*"))) == 2
    assert not list(tmp_path.glob(".writing-*"))
    (tmp_path / "latest").write_text("../../elsewhere")  # as if killed before it was written
    load_checkpoint(RecurrentPPO, tmp_path, env_of("RecurrentPPO"))


def test_a_save_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = make("RecurrentPPO")
    save_checkpoint(agent, tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for save in (lambda: save_checkpoint(agent, tmp_path), lambda: agent.save(tmp_path / "agent")):
        with pytest.raises(OSError, match="No space"):
            save()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "step-000000000"]


def test_a_copy_of_a_compiled_agent_learns_in_its_own_parameters() -> None:
    env = make_sb3(TARGET, 1, seed=0, actuators="muscles")
    agent = WorldModelController.from_preset("published", env, seed=0, model_steps=0).learn(30, log_interval=None)
    twin = copy.deepcopy(agent)
    before = learned(agent)
    twin.learn(60, log_interval=None)
    assert learned(agent) == before != learned(twin)


class Typed(gym.Env[Any, Any]):
    """Spaces with types of their own."""

    def __init__(self) -> None:
        self.observation_space = gym.spaces.MultiDiscrete([3, 4], dtype=np.int32)
        self.action_space = gym.spaces.Discrete(3, start=1, dtype=np.int32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.array([1, 2], np.int32), {}

    def step(self, action: Any) -> Any:
        return np.array([2, 3], np.int32), 1.0, True, False, {}


def test_spaces_keep_their_types(tmp_path: Path) -> None:
    agent = RecurrentPPO("MlpPolicy", Typed(), n_steps=4, core="gru").learn(8, log_interval=None)
    agent.save(tmp_path / "agent")
    loaded = RecurrentPPO.load(tmp_path / "agent", env=Typed())
    assert loaded.observation_space.dtype == loaded.action_space.dtype == np.int32


def test_custom_objects_of_other_algorithms_are_ignored(tmp_path: Path) -> None:
    """RL Zoo gives them to every algorithm that it plays."""
    given: dict[str, Any] = {"learning_rate": 0.0, "lr_schedule": lambda left: 0.0, "clip_range": lambda left: 0.0}
    for name in ("RecurrentPPO", "WorldModelController"):
        agent = make(name)
        agent.save(tmp_path / name)
        assert type(agent).load(tmp_path / name, custom_objects=given).learning_rate == 0.0


def test_a_schedule_around_a_function_must_be_given_again(tmp_path: Path) -> None:
    make("RecurrentPPO", learning_rate=FloatSchedule(lambda left: 1e-3)).save(tmp_path / "agent")
    with pytest.raises(ArchiveError, match="pass learning_rate="):
        RecurrentPPO.load(tmp_path / "agent")
    assert RecurrentPPO.load(tmp_path / "agent", learning_rate=0.5).learning_rate == 0.5


@pytest.mark.parametrize("form", ["dict", "concat"])
def test_what_a_normaliser_decided_holds_without_it(form: str, tmp_path: Path) -> None:
    keys = {"norm_obs_keys": ["observation"]} if form == "dict" else {}
    env = VecNormalize(make_sb3(TARGET, 2, seed=0, goal_format=form), **keys)
    agent = make("WorldModelController", env=env)
    agent.save(tmp_path / "agent")
    loaded = WorldModelController.load(tmp_path / "agent")
    assert loaded.world_model.output == agent.world_model.output == "residual"
    assert learned(loaded) == learned(agent)


def test_parameters_are_set_from_a_file(tmp_path: Path) -> None:
    agent, other = make("RecurrentPPO"), make("RecurrentPPO", seed=5)
    agent.save(tmp_path / "agent.zip")
    assert learned(agent) != learned(other)
    other.set_parameters(tmp_path / "agent.zip")
    assert learned(agent) == learned(other)
    agent.save(tmp_path / "nets", exclude=["optimizer"])
    assert RecurrentPPO.load(tmp_path / "nets").num_timesteps == 0


class Passing(RecurrentPolicy):
    """A constructor in Stable-Baselines3's own idiom."""

    def __init__(self, *args: Any, width: int = 3, **more: Any) -> None:
        super().__init__(*args, **more)
        self.extra = torch.nn.Linear(width, 1)


def test_a_policy_that_passes_its_arguments_on_is_loaded(tmp_path: Path) -> None:
    spaces = env_of("RecurrentPPO").observation_space, env_of("RecurrentPPO").action_space
    Passing(*spaces, None, width=5, core="gru").save(tmp_path / "policy")
    loaded = Passing.load(tmp_path / "policy")
    assert loaded.extra.in_features == 5
    assert type(loaded.core).__name__ == "GRU"


# ---- values that loops would index by


def test_moments_of_another_shape_are_refused(tmp_path: Path) -> None:
    agent = make("RecurrentPPO").learn(64, log_interval=None)
    kept = next(iter(agent.optimizer.state.values()))
    kept["exp_avg"] = torch.zeros(1)
    agent.save(tmp_path / "agent")
    with pytest.raises(ArchiveError, match=r"exp_avg of shape \(1,\)"):
        RecurrentPPO.load(tmp_path / "agent")


def test_observations_beyond_their_space_are_refused() -> None:
    agent = make("HQLearning")
    with pytest.raises(ValueError, match=r"an observation must lie in \[0, 15\]"):
        agent.policy.predict(np.array([10**9, 0, 0, 0]))


@pytest.mark.parametrize("what", ["state", "reward"])
def test_a_table_that_leads_nowhere_is_refused(what: str) -> None:
    env = make_sb3("Foveal/HQMaze-v0", 1, seed=0)
    task = env.unwrapped.env.unwrapped.task
    leads_to, codes, rewards, ends, first, longest = task.table
    table = leads_to + 10**9 if what == "state" else leads_to, codes, rewards.copy(), ends, first, longest
    table[2][0, 0] = np.nan if what == "reward" else 0
    env.get_attr = lambda name: [table]  # type: ignore[method-assign]
    with pytest.raises((ValueError, FloatingPointError), match="table"):
        HQLearning(env=env, seed=0).learn(100)


def test_tests_that_were_left_out_leave_room(tmp_path: Path) -> None:
    env = make_sb3("Foveal/HQMaze-v0", 1, seed=0)
    agent = HQLearning(env=env, seed=0, trials=3_000, test_every=1).learn(20_000, log_interval=None)
    agent.save(tmp_path / "agent", exclude=["_tests"])
    HQLearning.load(tmp_path / "agent", env=env).learn(2_000, log_interval=None)


def test_a_place_far_outside_does_not_leave_the_map() -> None:
    agent = make("MapNavigator")
    obs = agent.env.reset()
    obs["achieved_goal"][0] = 1e9
    actions, _ = agent.predict(obs)
    assert np.isfinite(actions).all()
    for bad in ({"body": 1e9}, {"square": 1e-6}, {"fields": np.full((40, 3), 1e9)}):
        settings = {"fields": np.zeros((40, 3)), **bad}
        with pytest.raises(ValueError, match=r"square|fields"):
            make("MapNavigator", policy_kwargs=settings)


def test_a_bad_number_behind_a_normaliser_names_its_lane() -> None:
    class Spoiled(VecCheckNan):
        def step_wait(self) -> Any:
            obs, rewards, ends, infos = self.venv.step_wait()
            rewards[2] = np.nan
            return obs, rewards, ends, infos

    env = VecNormalize(Spoiled(env_of("RecurrentPPO"), raise_exception=False))
    with pytest.raises(FloatingPointError, match="reward of lane 2 is nan"):
        make("RecurrentPPO", env=env).learn(64)
