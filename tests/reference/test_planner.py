"""The planner sees no farther than the fovea, arrives, and walks the shortest path where it has seen all."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from foveal_envs.reference import PlannerPolicy, make_reference


def lanes(count: int, **keywords: Any) -> Any:
    return gym.make_vec(
        "Foveal/MazeNavigation-v0", count, vectorization_mode="vector_entry_point", info="step", **keywords
    )


def play(policy: Any, env: Any, moves: int) -> np.ndarray:
    """SPL (N,) of the first episodes."""
    obs, _ = env.reset(seed=0)
    state, over, spl = None, np.zeros(env.num_envs, bool), np.zeros(env.num_envs)
    for _ in range(moves):
        actions, state = policy.predict(obs, state, over)
        obs, _, terminated, _, infos = env.step(actions)
        spl = np.where(over, spl, infos["spl"])
        over |= terminated
    return spl


def test_it_arrives_later_than_the_oracle() -> None:
    spl = {}
    for name in ("planner", "oracle"):
        env = lanes(30, cells=6)
        spl[name] = play(make_reference(name, env), env, 150)
    assert (spl["planner"] > 0).all()
    assert spl["planner"].mean() < 0.99 < spl["oracle"].mean()


def test_what_is_out_of_view_changes_nothing() -> None:
    env = lanes(20, cells=11)
    obs, _ = env.reset(seed=3)
    policy = PlannerPolicy(env)
    actions, seen = policy.predict(obs)
    state = env.get_state()
    worlds = state["worlds"]
    inner = np.zeros(seen.shape[1:], bool)
    inner[1:22, 1:22] = True
    worlds["walls"] = np.where(seen | ~inner, worlds["walls"], 1 - worlds["walls"])
    env.set_state(state)
    again, _ = policy.predict(obs)
    np.testing.assert_array_equal(actions, again)
    away = np.abs(np.argwhere(seen[0])[:, ::-1] + 0.5 - worlds["pose"][0, :2])
    assert np.hypot(*np.maximum(away - 0.5, 0).T).max() <= 6.0
    assert 0.15 < seen[:, :23, :23].mean() < 0.35


def test_who_sees_farther_walks_less() -> None:
    env = lanes(100, cells=8)
    near, far, everything = (play(PlannerPolicy(env, view), env, 250).mean() for view in (2.0, 4.0, 12.0))
    assert near < far < 0.99 < everything


def test_it_walks_mazes_alone() -> None:
    env = gym.make_vec("Foveal/FourRooms-v0", 1, vectorization_mode="vector_entry_point")
    with pytest.raises(ValueError, match="MazeNavigation"):
        make_reference("planner", env)
