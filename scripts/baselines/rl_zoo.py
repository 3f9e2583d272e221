"""Stable-Baselines3's algorithms on classic control, with the settings that RL Baselines3 Zoo tuned for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from stable_baselines3 import DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {"PPO": PPO, "DQN": DQN, "SAC": SAC}


@dataclass(frozen=True)
class Tuned:
    """Settings of an algorithm in one environment.

    Attributes:
        steps: of training; numbers written "falling x" fall from x to 0 over them.
        n_envs: environments side by side.
        normalised: whether observations and rewards are normalised by their running means.
        keywords: of the algorithm.
    """

    steps: int
    keywords: dict[str, Any]
    n_envs: int = 1
    normalised: bool = False
    policy_kwargs: dict[str, Any] = field(default_factory=dict)


PENDULUM_SAC = Tuned(20_000, {"learning_rate": 1e-3})
TUNED: dict[tuple[str, str], Tuned] = {
    ("PPO", "Pendulum-v1"): Tuned(
        100_000,
        {
            "n_steps": 1024, "gae_lambda": 0.95, "gamma": 0.9, "n_epochs": 10, "ent_coef": 0.0, "learning_rate": 1e-3,
            "clip_range": 0.2, "use_sde": True, "sde_sample_freq": 4,
        },
        n_envs=4,
    ),
    ("PPO", "CartPole-v1"): Tuned(
        100_000,
        {
            "n_steps": 32, "batch_size": 256, "gae_lambda": 0.8, "gamma": 0.98, "n_epochs": 20, "ent_coef": 0.0,
            "learning_rate": "falling 1e-3", "clip_range": "falling 0.2",
        },
        n_envs=8,
    ),
    ("PPO", "Acrobot-v1"): Tuned(
        1_000_000,
        {"n_steps": 256, "gae_lambda": 0.94, "gamma": 0.99, "n_epochs": 4, "ent_coef": 0.0},
        n_envs=16,
        normalised=True,
    ),
    ("PPO", "MountainCarContinuous-v0"): Tuned(
        20_000,
        {
            "batch_size": 256, "n_steps": 8, "gamma": 0.9999, "learning_rate": 7.77e-5, "ent_coef": 0.00429,
            "clip_range": 0.1, "n_epochs": 10, "gae_lambda": 0.9, "max_grad_norm": 5, "vf_coef": 0.19, "use_sde": True,
        },
        normalised=True,
        policy_kwargs={"log_std_init": -3.29, "ortho_init": False},
    ),
    ("DQN", "CartPole-v1"): Tuned(
        50_000,
        {
            "learning_rate": 2.3e-3, "batch_size": 64, "buffer_size": 100_000, "learning_starts": 1000, "gamma": 0.99,
            "target_update_interval": 10, "train_freq": 256, "gradient_steps": 128, "exploration_fraction": 0.16,
            "exploration_final_eps": 0.04,
        },
        policy_kwargs={"net_arch": [256, 256]},
    ),
    ("DQN", "Acrobot-v1"): Tuned(
        100_000,
        {
            "learning_rate": 6.3e-4, "batch_size": 128, "buffer_size": 50_000, "learning_starts": 0, "gamma": 0.99,
            "target_update_interval": 250, "train_freq": 4, "gradient_steps": -1, "exploration_fraction": 0.12,
            "exploration_final_eps": 0.1,
        },
        policy_kwargs={"net_arch": [256, 256]},
    ),
    ("SAC", "Pendulum-v1"): PENDULUM_SAC,
    ("SAC", "MountainCarContinuous-v0"): Tuned(
        50_000,
        {
            "learning_rate": 3e-4, "buffer_size": 50_000, "batch_size": 512, "ent_coef": 0.1, "train_freq": 32,
            "gradient_steps": 32, "gamma": 0.9999, "tau": 0.01, "learning_starts": 0, "use_sde": True,
        },
        policy_kwargs={"log_std_init": -3.67, "net_arch": [64, 64], "use_expln": True},
    ),
}  # fmt: skip


class Normalised:
    """A policy that normalises what it sees as in training, for lanes that do not.

    Args:
        agent: with the running means of its VecNormalize.
    """

    def __init__(self, agent: BaseAlgorithm) -> None:
        self._agent, self._means = agent, agent.get_vec_normalize_env()

    def predict(
        self, obs: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        """As Stable-Baselines3's."""
        if self._means is not None:
            obs = self._means.normalize_obs(obs)
        return self._agent.predict(obs, state, episode_start, deterministic)


def make_agent(algorithm: str, env_id: str, seed: int, tuned: Tuned) -> BaseAlgorithm:
    """An untrained agent with tuned settings, on the CPU."""
    env = make_vec_env(env_id, tuned.n_envs, seed=10_000 * (seed + 1))
    keywords = {name: _falling(value) for name, value in tuned.keywords.items()}
    lanes: Any = VecNormalize(env, gamma=keywords.get("gamma", 0.99)) if tuned.normalised else env
    return ALGORITHMS[algorithm](
        "MlpPolicy", lanes, seed=seed, device="cpu", policy_kwargs=dict(tuned.policy_kwargs) or None, **keywords
    )


def _falling(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    first = float(value.removeprefix("falling "))
    return lambda left: left * first
