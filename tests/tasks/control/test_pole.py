"""Pole: the published mechanics, what is seen of them, pain, and two ends."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from foveal_envs.reference import make_reference

ID = "Foveal/Pole-v0"


def lanes(n: int, id: str = ID, **keywords: Any) -> Any:
    return gym.make_vec(id, n, vectorization_mode="vector_entry_point", **keywords)


def balanced(policy: str, n: int = 100, keys: Any = None, **keywords: Any) -> tuple[np.ndarray, np.ndarray]:
    """Moves (N,) until the first end of each lane, and whether the pole stood then (N,)."""
    env = lanes(n, info="step", autoreset_mode="disabled", **keywords)
    env.action_space.seed(0)
    obs, _ = env.reset(seed=0, options=None if keys is None else {"episode_key": keys})
    agent, state, moves = make_reference(policy, env), None, np.zeros(n, int)
    ended, stood = np.zeros(n, bool), np.zeros(n, bool)
    while not ended.all():
        actions, state = agent.predict(obs, state)
        obs, _, terminated, truncated, infos = env.step(actions)
        now = (terminated | truncated) & ~ended
        moves[now] = infos["balanced"][now]
        stood[now] = infos["is_success"][now]
        ended |= now
        obs, _ = (
            env.reset(options={"reset_mask": terminated | truncated}) if (terminated | truncated).any() else (obs, 0)
        )
    return moves, stood


def test_it_moves_as_gymnasiums_cart_pole_does() -> None:
    """The same equations and Euler steps; theirs are pushed by 10 N, and fail at the same limits."""
    peer: Any = gym.make("CartPole-v1").unwrapped
    env = gym.make(ID, actuators="bang-bang", velocities=True).unwrapped
    rng = np.random.default_rng(0)
    for seed in range(30):
        obs, _ = env.reset(seed=seed)
        peer.reset(seed=seed)
        peer.state = env.get_state()["worlds"]["pose"][0].copy()
        terminated = failed = False
        while not failed:
            action = int(rng.integers(2))
            obs, reward, terminated, _, _ = env.step(action)
            theirs, _, failed, _, _ = peer.step(action)
            assert terminated == failed
            assert reward == -float(failed)
            own = [obs[0] * 2.4, obs[2] * 3.0, np.radians(obs[1] * 12.0), obs[3] * 3.0]
            np.testing.assert_allclose(own, theirs, rtol=1e-5, atol=1e-6)


def test_half_a_push_is_half_a_force() -> None:
    env, poses = gym.make(ID, largest_force=10.0).unwrapped, []
    for force, action in ((10.0, 0.5), (5.0, 1.0)):
        env = gym.make(ID, largest_force=force).unwrapped
        env.reset(seed=3)
        for _ in range(5):
            env.step(np.float32([action]))
        poses.append(env.get_state()["worlds"]["pose"].copy())
    np.testing.assert_array_equal(*poses)


@pytest.mark.parametrize("actuators", ["force", "bang-bang"])
def test_the_oracle_is_interrupted_and_who_moves_at_random_fails(actuators: str) -> None:
    moves, stood = balanced("oracle", actuators=actuators)
    assert (moves == 1000).all()
    assert stood.all()
    moves, stood = balanced("random", actuators=actuators)
    assert moves.mean() < 40
    assert not stood.any()
    moves, _ = balanced("oracle", 3, actuators=actuators, max_episode_steps=1500)
    assert (moves == 1500).all()


def test_pain_is_a_column_that_tells_of_failure_alone() -> None:
    env = gym.make(ID, pain=True).unwrapped
    obs, _ = env.reset(seed=1)
    terminated, pains = False, [obs[-1]]
    while not terminated:
        obs, reward, terminated, _, _ = env.step(np.float32([1.0]))
        pains.append(obs[-1])
        assert reward == -obs[-1]
    assert pains[-1] == 1.0
    assert not any(pains[:-1])


@pytest.mark.parametrize(
    ("keywords", "numbers"),
    [({}, 2), ({"pain": True}, 3), ({"velocities": True}, 4), ({"velocities": True, "pain": True}, 5)],
)
def test_what_is_observed(keywords: dict[str, Any], numbers: int) -> None:
    assert gym.make(ID, **keywords).observation_space.shape == (numbers,)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"actuators": "muscles"}, "'force', 'bang-bang'"),
        ({"largest_force": 0.0}, "newtons"),
        ({"start": 0.3}, "start"),
        ({"velocities": 1}, "True or False"),
        ({"pain": "no"}, "True or False"),
    ],
)
def test_impossible_keywords(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gym.make(ID, **keywords)
