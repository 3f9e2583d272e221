"""PufferLib emulates every id."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pufferlib.emulation
import pufferlib.vector
import pytest

import foveal_envs

LANES = 2


@pytest.mark.parametrize("env_id", foveal_envs.IDS)
def test_emulation(env_id):
    def make(buf=None, seed=0):
        return pufferlib.emulation.GymnasiumPufferEnv(
            env_creator=lambda: gym.make(f"foveal_envs:{env_id}"), buf=buf, seed=seed
        )

    envs = pufferlib.vector.make(make, num_envs=LANES, backend=pufferlib.vector.Serial)
    obs, _ = envs.reset(seed=0)
    assert len(obs) == LANES
    for _ in range(3):
        obs, rewards, terminated, truncated, _ = envs.step(envs.action_space.sample())
    assert obs.shape == envs.observation_space.shape
    assert rewards.shape == terminated.shape == truncated.shape == (LANES,)
    assert np.isfinite(rewards).all()
    envs.close()
