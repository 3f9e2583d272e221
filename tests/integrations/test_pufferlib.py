"""PufferLib emulates every id, and steps native environments through the adapter."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pufferlib.emulation
import pufferlib.vector
import pytest

import foveal_envs
from agents.adapters.pufferlib import PufferVectorEnv

from .learning import FLAT, ID

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


def test_lanes_of_several_native_environments_differ():
    def make(buf=None, seed=0):
        return PufferVectorEnv(gym.make_vec(FLAT, 4, autoreset_mode="same_step"), buf)

    envs = pufferlib.vector.make(make, num_envs=3, backend=pufferlib.vector.Serial)
    assert len(np.unique(envs.reset(seed=0)[0], axis=0)) == 12
    envs.close()


def test_native_environment():
    ours, alone = (gym.make_vec(FLAT, 3, autoreset_mode="SameStep", moves=4) for _ in range(2))
    env = PufferVectorEnv(ours)
    obs, _ = env.reset(seed=5)
    np.testing.assert_array_equal(obs, alone.reset(seed=5 * 3)[0])
    told = []
    for _ in range(9):
        actions = env.action_space.sample()
        both = [env.step(actions), alone.step(actions)]
        for mine, theirs in zip(*(one[:4] for one in both), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-6)
        told += both[0][4]
    assert len(told) == 6  # two episodes in each of three lanes
    assert all(row["is_success"] in (0.0, 1.0) for row in told)
    with pytest.raises(ValueError, match="autoreset_mode='same_step'"):
        PufferVectorEnv(gym.make_vec(FLAT, 3))
    with pytest.raises(ValueError, match="flat twin"):
        PufferVectorEnv(gym.make_vec(ID, 3, autoreset_mode="SameStep"))
