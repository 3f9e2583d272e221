"""Snapshots: all that can be reached is taken, and what lies outside its range is refused before anything changes."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from foveal_envs import FovealEnv, FovealVectorEnv, Task

from .conftest import CASES, IDS, case_name

ROOT = Path(__file__).parent.parent
NAVIGATION = ["CuriosityGrid", "FourRooms", "HQMaze", "KeyDoorMaze", "MazeNavigation", "SwampNavigation"]
MEMORY = ["AssociativeRecall", "Catch", "FlipFlop", "FormalLanguage", "GridSearch", "Parking"]
CONTROL = ["DoublePole", "Pole", "TakeCover"]
PICTURES = ["GlimpseClassification", "ImageSearch", "SameDifferent", "VisualSearch"]
SCENES = ["GoalDetection", "TargetDetection", "TargetTracking"]
BATCHES = [[f"Foveal/{name}-v0" for name in batch] for batch in (NAVIGATION + MEMORY + CONTROL, PICTURES, SCENES)]
COUNTS = {"moves", "asked", "right", "rested", "row", "tics", "shots", "noise"}  # whole numbers that index nothing
SPOT = np.dtype([("x", np.float64), ("number", np.int32)])


class Spots(Task):
    """Nothing happens on two spots."""

    world = np.dtype(
        [("kind", np.int64), ("best", np.float32), ("on", np.bool_), ("name", "S3"), ("spots", SPOT, (2,))]
    )
    observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, limits: Mapping[str, Any] | None = None) -> None:
        if limits is not None:
            self.limits = limits

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        worlds["kind"][rows] = keys[rows] % np.uint64(1000)

    def step(self, worlds: Any, active: Any, actions: Any, rewards: Any, terminated: Any) -> None:
        terminated[active] = actions[active] == 1

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Any) -> None:
        observation[rows] = worlds["kind"][rows, None] / 1000


def make_vec(id: str, num_envs: int, /, **keywords: Any) -> Any:
    return gym.make_vec(id, num_envs, vectorization_mode="vector_entry_point", **keywords).unwrapped


def undeclared(record: np.dtype[Any], limits: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Fields of numbers without a range, limits without a field, and indices whose range is as wide as their type."""
    yield from (f"no field {path}{name}" for name in limits if name not in (record.names or ()))
    for name in record.names or ():
        kind = record[name].base
        if name not in limits:
            yield f"no range of {path}{name}"
        elif kind.names:
            yield from undeclared(kind, limits[name], f"{path}{name}.")
        elif kind.kind == "i" and name not in COUNTS and np.ptp(np.concatenate(limits[name], None)) > 2**16:
            yield f"a wide range of {path}{name}"


@pytest.mark.parametrize(("id", "keywords"), CASES, ids=case_name)
def test_every_field_has_a_range_and_keeps_to_it(id: str, keywords: dict[str, Any]) -> None:
    env = gym.make(id, **keywords).unwrapped
    assert list(undeclared(env.task.world, env.task.limits)) == []
    env.set_state(env.get_state())
    env.reset(seed=2)
    env.action_space.seed(2)
    for _ in range(25):  # beyond the end too, where a single environment has no clock
        env.set_state(env.get_state())
        env.step(env.action_space.sample())


@pytest.mark.parametrize("mode", ["next_step", "same_step", "disabled"])
@pytest.mark.parametrize("id", IDS, ids=case_name)
def test_what_can_be_reached_is_taken(id: str, mode: str) -> None:
    env, twin = (make_vec(id, 3, autoreset_mode=mode, max_episode_steps=7) for _ in range(2))
    twin.set_state(env.get_state())  # not even reset
    env.reset(seed=4)
    env.action_space.seed(4)
    for step in range(20):
        if step % 3 == 0:
            twin.set_state(env.get_state())
        ended = env.get_state()["pending"]
        if mode == "disabled" and ended.any():
            resets = [one.reset(options={"reset_mask": ended}) for one in (env, twin)]
            assert data_equivalence(*resets, exact=True)
        action = env.action_space.sample()
        assert data_equivalence(env.step(action), twin.step(action), exact=True)
    assert data_equivalence(env.get_state(), twin.get_state(), exact=True)


@pytest.mark.parametrize("id", IDS, ids=case_name)
def test_a_single_snapshot_goes_on_alike(id: str) -> None:
    env, twin = gym.make(id).unwrapped, gym.make(id).unwrapped
    twin.set_state(env.get_state())
    env.reset(seed=3)
    env.step(env.action_space.sample())
    twin.set_state(make_vec(id, 1).get_state())  # with more arrays than it needs
    twin.set_state(env.get_state())
    for _ in range(2):
        action = env.action_space.sample()
        assert data_equivalence(env.step(action), twin.step(action), exact=True)
        assert data_equivalence(env.reset(), twin.reset(), exact=True)  # the next episode of the same sequence


@pytest.mark.parametrize("seed", [0, 5])
def test_a_snapshot_counts_as_a_reset(seed: int) -> None:
    """Whatever its seed, 0 too: nothing is seeded by itself any more."""
    env = make_vec(IDS[0], 3, autoreset_mode="disabled")
    for state in (env.get_state(), (env.reset(seed=seed), env.get_state())[1]):
        twins = [make_vec(IDS[0], 3, autoreset_mode="disabled") for _ in range(2)]
        singles = [gym.make(IDS[0]).unwrapped for _ in range(2)]
        for twin in twins + singles:
            twin.set_state(state if twin in twins else {name: array[:1] for name, array in state.items()})
            twin.step(0 * twin.action_space.sample())
        assert data_equivalence(twins[0].reset(), twins[1].reset(), exact=True)
        assert data_equivalence(singles[0].reset(), singles[1].reset(), exact=True)


def test_pending_lanes_stay_pending() -> None:
    env = make_vec(IDS[0], 3, autoreset_mode="disabled")
    state = env.get_state()
    state["pending"][1] = True
    env.set_state(state)
    with pytest.raises(gym.error.ResetNeeded, match=r"reset lanes \[1\]"):
        env.step(env.action_space.sample())
    env.reset(options={"reset_mask": state["pending"]})
    env.step(env.action_space.sample())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("elapsed", 7, r"'elapsed' must be an array of int64 of shape \(3,\), got int"),
        ("elapsed", [1, 2, 3], "got list"),
        ("elapsed", np.full(3, math.nan), r"int64 of shape \(3,\), got float64 of shape \(3,\)"),
        ("elapsed", np.zeros((3, 1), np.int64), r"got int64 of shape \(3, 1\)"),
        ("elapsed", np.array([0, 0, -2]), r"elapsed of lane 2 must lie in \[0, 4611686018427387904\], got -2; nothing"),
        ("pending", np.zeros(3, np.int64), r"'pending' must be an array of bool of shape \(3,\), got int64"),
        ("pending", np.array([0, 7, 1], np.uint8).view(bool), "pending of lane 1 must be True or False, got 7"),
        ("episodes", np.array([-1, 0, 0]), "episodes of lane 0 must lie in"),
        ("seeds", np.zeros(3, np.int64), "'seeds' must be an array of uint64"),
        (
            "keys",
            np.zeros(2, np.uint64),
            r"'keys' must be an array of uint64 of shape \(3,\), got uint64 of shape \(2,\)",
        ),
        ("elapsed", np.ma.array([0, 0, -2], mask=[0, 0, 1]), "elapsed of lane 2 must lie in"),
        ("worlds", None, r"'worlds' must be an array of records of shape \(3,\), got NoneType"),
        ("worlds", np.zeros(3), r"got float64 of shape \(3,\)"),
        ("worlds", np.zeros(3, SPOT), "records of another task, or of one configured in another way"),
    ],
)
def test_a_refused_snapshot_changes_nothing(name: str, value: Any, message: str) -> None:
    env, other = make_vec("Foveal/FourRooms-v0", 3), make_vec("Foveal/FourRooms-v0", 3)
    env.reset(seed=0)
    other.reset(seed=1)
    other.step(other.action_space.sample())
    before, state = env.get_state(), other.get_state()
    with pytest.raises(ValueError, match=message) as error:
        env.set_state({**state, name: value})
    assert "\n" not in str(error.value)
    del state[name]
    with pytest.raises(ValueError, match=f"needs 'worlds', .*'pending'; '{name}' is missing"):
        env.set_state(state)
    with pytest.raises(ValueError, match="as get_state returns it; got list"):
        env.set_state(list(state))
    assert data_equivalence(before, env.get_state(), exact=True)


def test_a_refused_field_is_named_with_its_range() -> None:
    env = make_vec("Foveal/FourRooms-v0", 2)
    env.reset(seed=0)
    state = env.get_state()
    state["worlds"]["goal"][1] = 104
    with pytest.raises(
        ValueError, match=r"worlds\.goal of lane 1 must lie in \[0, 103\], got 104; nothing has changed"
    ):
        env.set_state(state)
    env = make_vec("Foveal/GoalDetection-v0", 2)
    state = env.get_state()
    state["worlds"]["gaze"][1, 2] = math.nan
    with pytest.raises(ValueError, match=r"worlds\.gaze\[2\] of lane 1 must lie in \[-3\.14\d*, 3\.14\d*\], got nan"):
        env.set_state(state)
    state["worlds"]["gaze"] = 0.0
    state["worlds"]["objects"]["part"]["edges"][0, 1, 2] = 9
    with pytest.raises(ValueError, match=r"worlds\.objects\.part\.edges\[1, 2\] of lane 0 must lie in \[0, 8\], got 9"):
        env.set_state(state)


def test_a_task_that_declares_nothing_has_finite_floats() -> None:
    env = FovealVectorEnv(Spots, 2)
    state = env.get_state()
    state["worlds"]["kind"], state["worlds"]["name"] = -9, b"abc"
    env.set_state(state)
    for field, value in ((state["worlds"]["best"], math.inf), (state["worlds"]["spots"]["x"][:, 1], math.nan)):
        field[1] = value
        with pytest.raises(ValueError, match=rf"state worlds\..* of lane 1 must lie in .*, got {value}"):
            env.set_state(state)
        field[1] = 0.0


def test_a_task_declares_ranges_of_inner_fields_and_lets_others_be() -> None:
    limits = {"kind": (0, 5), "best": None, "spots": {"x": (-math.inf, math.inf), "number": ([0, 1], [1, 2])}}
    env = FovealEnv(Spots(limits))
    state = env.get_state()
    world = state["worlds"][0]
    world["best"], world["spots"]["x"], world["spots"]["number"] = math.nan, math.inf, (1, 2)
    env.set_state(state)
    world["spots"]["number"] = 1, 0
    with pytest.raises(ValueError, match=r"worlds\.spots\.number\[1\] of lane 0 must lie in \[1, 2\], got 0"):
        env.set_state(state)
    world["spots"]["number"], world["kind"] = (0, 1), 6
    with pytest.raises(ValueError, match=r"worlds\.kind of lane 0 must lie in \[0, 5\], got 6"):
        env.set_state(state)


def attack(ids: list[str], share: float) -> None:
    """Hand odd snapshots to environments in a process of its own; see ``hostile.py``."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.hostile", str(share), *ids]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    last = done.stdout.rstrip().rpartition("\n")[2]
    assert done.returncode == 0, f"died with {done.returncode} at: {last}\n{done.stderr[-4000:]}"
    assert " values taken, " in last


def test_the_attack_covers_all_ids() -> None:
    assert sorted(id for batch in BATCHES for id in batch) == IDS


@pytest.mark.parametrize("ids", BATCHES, ids=["paths", "pictures", "scenes"])
def test_odd_snapshots_are_harmless(ids: list[str]) -> None:
    attack(ids, 0.25)


@pytest.mark.slow
@pytest.mark.parametrize("id", IDS, ids=case_name)
def test_all_odd_snapshots_are_harmless(id: str) -> None:
    attack([id], 1.0)


def test_a_pending_reset_is_refused_where_none_ever_is() -> None:
    envs = [gym.make_vec("Foveal/Parking-v0", 2, autoreset_mode=mode) for mode in ("next_step", "same_step")]
    for env in envs:
        env.reset(seed=0)
    state = envs[0].unwrapped.get_state()
    state["pending"][1] = True
    envs[0].unwrapped.set_state(state)
    with pytest.raises(ValueError, match="pending"):
        envs[1].unwrapped.set_state(state)
