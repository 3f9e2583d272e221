from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import foveal_envs  # noqa: F401
from foveal_envs.reference import RandomPolicy
from scripts.record import play, record, seeded_lanes
from scripts.shared.command import Refusal


@pytest.mark.parametrize("env_id", ["Foveal/TargetDetection-v0", "Foveal/HQMaze-v0", "CartPole-v1"])
def test_episodes_are_those_of_their_seeds(env_id: str) -> None:
    lanes = seeded_lanes(env_id, {}, 3)
    episodes = list(play(lanes, RandomPolicy(lanes, seed=0), 5, seed=11))
    assert len(episodes) == 5
    for number in (0, 2, 4):
        episode, env = episodes[number], gym.make(env_id)
        obs, _ = env.reset(seed=11 + number)
        for step, action in enumerate(episode["actions"]):
            _equal(obs, episode["observations"], step)
            obs, reward, terminated, truncated, _ = env.step(action)
            assert reward == pytest.approx(episode["rewards"][step])
            assert (terminated, truncated) == (episode["terminations"][step], episode["truncations"][step])
        _equal(obs, episode["observations"], len(episode["actions"]))
        assert terminated or truncated
        env.close()
    lanes.close()


def _equal(obs, recorded, step: int) -> None:
    if isinstance(obs, dict):
        for key, part in obs.items():
            _equal(part, recorded[key], step)
    else:
        np.testing.assert_array_equal(obs, recorded[step])


def test_without_minari_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Refusal, match="pip install 'minari"):
        record("Foveal/Parking-v0")
