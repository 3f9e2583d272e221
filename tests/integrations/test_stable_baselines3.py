"""Stable-Baselines3 and sbx learn through `make_sb3`."""

from __future__ import annotations

import pytest
import sbx
import stable_baselines3

from agents import make_sb3

from .learning import FLAT, ID, LEARNED, mean_return

SETTINGS = {"n_steps": 32, "batch_size": 256, "n_epochs": 5, "gamma": 0.9, "learning_rate": 1e-3, "seed": 0}
STEPS = 10_240


@pytest.mark.slow
@pytest.mark.parametrize(
    ("library", "policy", "env_id"),
    [(stable_baselines3, "MultiInputPolicy", ID), (sbx, "MlpPolicy", FLAT)],
    ids=["stable_baselines3", "sbx"],
)
def test_ppo_learns(library, policy, env_id):
    agent = library.PPO(policy, make_sb3(env_id, 64, seed=0), **SETTINGS).learn(STEPS)
    assert mean_return(lambda obs: agent.predict(obs, deterministic=True)[0], env_id) > LEARNED
