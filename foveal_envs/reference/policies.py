"""Random and oracle: the 0 and the 1 of the scores of tasks whose whole world is known to the oracle.

A reference has the signature of Stable-Baselines3's ``predict``, so one evaluation runs agents and references alike.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ..env import FovealVectorEnv

State = Any


class RandomPolicy:
    """Actions uniform in the action space, one independent draw a lane: the 0 of a score.

    Args:
        env: any vector environment.
        seed: of the draws.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], seed: int | None = None) -> None:
        self._space = env.action_space
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
        if not isinstance(env.unwrapped, FovealVectorEnv):
            raise ValueError(f"the oracle needs a native vector environment of foveal_envs, got {env.unwrapped!r}")
        self._env = env.unwrapped

    def predict(
        self, obs: Any, state: State = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, State]:
        """Actions (N, ...) for the worlds as they are now, and the unchanged state."""
        return self._env.oracle_actions(), state


REFERENCES = {"random": RandomPolicy, "oracle": OraclePolicy}


def make_reference(name: str, env: gym.vector.VectorEnv[Any, Any, Any]) -> RandomPolicy | OraclePolicy:
    """A reference by name.

    Raises:
        ValueError: an unknown name; the message lists the known ones.
    """
    if name not in REFERENCES:
        raise ValueError(f"unknown reference {name!r}; known: {', '.join(map(repr, REFERENCES))}")
    policy: RandomPolicy | OraclePolicy = REFERENCES[name](env)
    return policy
