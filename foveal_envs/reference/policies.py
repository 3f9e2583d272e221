"""Random and oracle: the 0 and the 1 of the scores of tasks whose whole world is known to the oracle.

A reference has the signature of Stable-Baselines3's ``predict``, so one evaluation runs agents and references alike.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from .gaze import native

State = Any


class RandomPolicy:
    """Actions uniform in the action space, one independent draw a lane: the 0 of a score.

    Args:
        env: any vector environment.
        seed: of the draws; None goes on with the draws of ``env.action_space``, whoever seeded it.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], seed: int | None = None) -> None:
        self._space = env.action_space
        if seed is not None:
            self._space.seed(seed)

    def predict(
        self, obs: Any, state: State = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, State]:
        """Actions (N, ...) and the unchanged state."""
        return self._space.sample(), state


class OraclePolicy:
    """The best policy that knows the whole world, limited only by its actuators: the 1 of a score.

    Args:
        env: a vector environment of this package, wrapped or not; the oracle reads its worlds.

    Raises:
        ValueError: the environment is not one of this package.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        self._env = native(env)

    def predict(
        self, obs: Any, state: State = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, State]:
        """Actions (N, ...) for the worlds as they are now, and the unchanged state."""
        return self._env.oracle_actions(), state
