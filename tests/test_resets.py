"""What a reset accepts, in the single and in the vector form, and what cannot be done before one."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode

from foveal_envs import FovealEnv, FovealVectorEnv

from .test_env import MODES

NUMBERS: list[Any] = [1.5, -1, 2**64, 10**5000, True, "x", "", float("nan"), {}, object(), b"1", [None], [1.0]]
BOTH = pytest.mark.parametrize("make", [FovealEnv, FovealVectorEnv])


def state_of(env: Any) -> Any:
    return env.get_state(), env.np_random.bit_generator.state


@BOTH
@pytest.mark.parametrize(
    "key", [*NUMBERS, None, [1, 2], [2**64], np.array([1.0]), np.array(1)], ids=lambda key: type(key).__name__
)
def test_an_odd_episode_key_is_refused_and_changes_nothing(make: Any, key: Any) -> None:
    env = make("Parking")
    env.reset(seed=0)
    before = state_of(env)
    with pytest.raises(ValueError, match="episode_key"):
        env.reset(seed=5, options={"episode_key": key})
    assert data_equivalence(before, state_of(env), exact=True)


@BOTH
@pytest.mark.parametrize("seed", [*NUMBERS, [1, 2], np.array([1.0]), np.array(1)], ids=lambda seed: type(seed).__name__)
def test_an_odd_seed_is_refused_and_changes_nothing(make: Any, seed: Any) -> None:
    env = make("Parking")
    env.reset(seed=0)
    before = state_of(env)
    if seed == [None] and make is FovealVectorEnv:
        return  # the lane goes on
    with pytest.raises(ValueError, match="seed"):
        env.reset(seed=seed)
    assert data_equivalence(before, state_of(env), exact=True)


@BOTH
@pytest.mark.parametrize("options", [5, "x", ["episode_key"], {"colour": 1}])
def test_odd_options_are_refused(make: Any, options: Any) -> None:
    with pytest.raises(ValueError, match="option"):
        make("Parking").reset(options=options)


@pytest.mark.parametrize("kind", [int, np.int64, np.uint64, np.int8])
def test_whole_numbers_of_numpy_are_seeds_and_keys(kind: type) -> None:
    single, vector = FovealEnv("Parking"), FovealVectorEnv("Parking", 3)
    key = single.reset(seed=kind(7))[1]["episode_key"]
    assert vector.reset(seed=kind(7))[1]["episode_key"][0] == key
    assert vector.reset(seed=np.array([7, 8, 9]).astype(kind))[1]["episode_key"][0] == key
    assert single.reset(options={"episode_key": kind(3)})[1]["episode_key"] == 3
    assert vector.reset(options={"episode_key": kind(3)})[1]["episode_key"].tolist() == [3] * 3
    keys = vector.reset()[1]["episode_key"]
    assert data_equivalence(vector.reset(options={"episode_key": keys})[1]["episode_key"], keys, exact=True)


def test_lanes_without_a_seed_get_one_at_the_first_reset_and_then_go_on() -> None:
    env = FovealVectorEnv("Parking", 3)
    first = env.reset(seed=[None, None, 7])[1]["episode_key"]
    assert len(set(first.tolist())) == 3
    assert first[2] == FovealEnv("Parking").reset(seed=7)[1]["episode_key"]
    twin = FovealVectorEnv("Parking", 3)
    twin.set_state(env.get_state())
    same = env.reset(seed=[None, None, 7])[1]["episode_key"], twin.reset()[1]["episode_key"]
    assert (same[0] == same[1]).tolist() == [True, True, False]


@pytest.mark.parametrize("mode", MODES)
def test_no_lane_steps_before_its_first_reset(mode: str) -> None:
    env = FovealVectorEnv("Parking", 3, autoreset_mode=mode)
    actions = np.zeros(3, np.int64)
    with pytest.raises(gym.error.ResetNeeded, match=r"lanes \[0, 1, 2\]"):
        env.step(actions)
    for lane, left in ((1, r"\[0, 2\]"), (0, r"\[2\]")):
        env.reset(seed=0, options={"reset_mask": np.arange(3) == lane})
        before = env.get_state()
        with pytest.raises(gym.error.ResetNeeded, match=f"lanes {left}"):
            env.step(actions)
        assert data_equivalence(before, env.get_state(), exact=True)
    env.reset(options={"reset_mask": np.arange(3) == 2})
    env.step(actions)


def test_lanes_that_are_not_reset_keep_their_seeds() -> None:
    modes = (
        {"autoreset_mode": "disabled"},
        {"vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": AutoresetMode.DISABLED}},
    )
    native, sync = (gym.make_vec("Foveal/Parking-v0", 3, **mode) for mode in modes)
    first = np.arange(3) == 0
    for options in ({"seed": 0}, {"seed": 50, "options": {"reset_mask": first}}, {"options": {"reset_mask": ~first}}):
        keys = [env.reset(**options)[1]["episode_key"] for env in (native, sync)]
        np.testing.assert_array_equal(*keys)


def test_a_single_environment_does_not_step_before_its_first_reset() -> None:
    with pytest.raises(gym.error.ResetNeeded):
        FovealEnv("Parking").step(0)


@BOTH
def test_a_snapshot_counts_as_a_reset(make: Any) -> None:
    env, twin = make("Parking"), make("Parking")
    env.reset(seed=0)
    twin.set_state(env.get_state())
    action = env.action_space.sample()
    assert data_equivalence(env.step(action), twin.step(action), exact=True)
