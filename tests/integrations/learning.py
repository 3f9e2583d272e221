"""What an agent of any library reaches on TargetDetection, where random actions have a return of about -320."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

ID = "foveal_envs:Foveal/TargetDetection-v0"
FLAT = "foveal_envs:Foveal/TargetDetection-flat-v0"
LEARNED = -220.0  # a third of the way from random actions to the target


def mean_return(act: Callable[[Any], np.ndarray], env_id: str, episodes: int = 256) -> float:
    """The mean return over the first episodes of as many lanes.

    Args:
        act: from observations (N, ...) to actions (N, ...).
        env_id: of an environment whose episodes all end at once.
        episodes: N.
    """
    envs = gym.make_vec(env_id, episodes)
    obs, _ = envs.reset(seed=1_000_000)
    returns, ended = np.zeros(episodes), np.zeros(episodes, bool)
    while not ended.any():
        obs, rewards, terminated, truncated, _ = envs.step(act(obs))
        returns += rewards
        ended = terminated | truncated
    assert ended.all()
    envs.close()
    return float(returns.mean())
