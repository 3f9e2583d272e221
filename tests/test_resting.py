"""Lanes that rest: ``step(actions, active)`` of every registered task, in every autoreset mode."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from foveal_envs import FovealVectorEnv

from .test_env import every_id, every_mode, make_vec

N, LIMIT = 4, 7


def lane(batch: Any, i: int) -> Any:
    """The part of lane i of a batched observation."""
    return {name: part[i] for name, part in batch.items()} if isinstance(batch, dict) else batch[i]


def spoilt(env: Any, actions: np.ndarray, resting: np.ndarray) -> np.ndarray:
    """Actions that nobody may look at."""
    box = isinstance(env.single_action_space, gym.spaces.Box)
    return np.where(resting.reshape(-1, *[1] * (actions.ndim - 1)), np.nan if box else 10**6, actions)


@every_id
@every_mode
def test_a_lane_that_rests_now_and_then_equals_one_alone(id: str, mode: str) -> None:
    settings: dict[str, Any] = {"autoreset_mode": mode, "max_episode_steps": LIMIT}
    env, alone = make_vec(id, N, **settings), [make_vec(id, 1, **settings) for _ in range(N)]
    seen = env.reset(seed=5)[0]
    for i, other in enumerate(alone):
        other.reset(seed=5 + i)
    env.action_space.seed(1)
    rng, over = np.random.default_rng(2), np.zeros(N, bool)
    for _ in range(30):
        active = (rng.random(N) < 0.6) & ~(over if mode == "disabled" else np.zeros(N, bool))
        actions = env.action_space.sample()
        before = env.get_state()
        obs, rewards, terminated, truncated, infos = env.step(spoilt(env, actions, ~active), active)
        after = env.get_state()
        for i in range(N):
            if active[i]:
                own = alone[i].step(actions[i : i + 1])
                assert data_equivalence(lane(obs, i), lane(own[0], 0), exact=True)
                assert (rewards[i], terminated[i], truncated[i]) == tuple(part[0] for part in own[1:4])
                assert all(infos[key][i] == own[4][key][0] for key in own[4] if key.startswith("_"))
                continue
            assert data_equivalence(lane(obs, i), lane(seen, i), exact=True)
            assert not rewards[i]
            assert not terminated[i]
            assert not truncated[i]
            assert not any(infos[key][i] for key in infos if key.startswith("_"))
            assert all(before[name][i].tobytes() == after[name][i].tobytes() for name in before)
        over = np.where(active, terminated | truncated, over)
        seen = obs
        if mode == "disabled" and over.sum() > 2:
            seen = env.reset(options={"reset_mask": over.copy()})[0]
            for i in np.flatnonzero(over):
                alone[i].reset(options={"reset_mask": np.ones(1, bool)})
            over[:] = False


def test_a_lane_that_rests_needs_no_reset_and_takes_any_episode_afterwards() -> None:
    env = FovealVectorEnv("Catch", 3, autoreset_mode="disabled", max_episode_steps=1)
    first = np.array([True, False, False])
    env.reset(seed=0, options={"reset_mask": first})
    env.step(np.zeros(3, np.int64), first)  # lanes 1 and 2 have never begun
    with pytest.raises(gym.error.ResetNeeded, match=r"reset lanes \[1\]"):
        env.step(np.zeros(3, np.int64), np.array([False, True, False]))
    with pytest.raises(gym.error.ResetNeeded, match=r"reset lanes \[0\]"):
        env.step(np.zeros(3, np.int64), first)
    env.step(np.zeros(3, np.int64), ~np.ones(3, bool))
    _, infos = env.reset(options={"reset_mask": ~first, "episode_key": 77})
    assert infos["episode_key"].tolist()[1:] == [77, 77]
    *_, truncated, _ = env.step(np.zeros(3, np.int64), ~first)
    assert truncated.tolist() == [False, True, True]


@pytest.mark.parametrize("active", [[True, False], np.ones(3, bool), np.ones(2), np.ones((2, 1), bool), 1, "x"])
def test_an_odd_choice_of_lanes_is_refused_and_nothing_moves(active: Any) -> None:
    env = FovealVectorEnv("Catch", 2)
    env.reset(seed=0)
    before = env.get_state()
    with pytest.raises(ValueError, match=r"active must be a bool array of shape \(2,\)"):
        env.step(np.zeros(2, np.int64), active)
    assert data_equivalence(before, env.get_state(), exact=True)


def test_actions_of_lanes_that_move_are_still_checked() -> None:
    env = FovealVectorEnv("Catch", 2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action of lane 1"):
        env.step(np.array([99, 99]), np.array([False, True]))
    with pytest.raises(ValueError, match="shape"):
        env.step(np.zeros(3, np.int64), np.array([False, True]))
