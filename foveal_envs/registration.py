"""Registration: one call serves gym.make and gym.make_vec."""

from __future__ import annotations

from typing import Any

import gymnasium as gym


def register(
    id: str,
    task: str,
    max_episode_steps: int | None = None,
    reward_threshold: float | None = None,
    **keywords: Any,
) -> None:
    """Register a task for ``gym.make`` and ``gym.make_vec``.

    Args:
        id: as ``"Foveal/Name-v0"``.
        task: ``"module:Class"`` of a Task; imported when the first environment is made.
        max_episode_steps: safety limit after which episodes are truncated; None: no limit.
        reward_threshold: mean return from which the task counts as solved; None: not stated.
        **keywords: JSON-able keywords of the task.
    """
    gym.register(
        id=id,
        entry_point="foveal_envs.env:FovealEnv",
        vector_entry_point="foveal_envs.env:FovealVectorEnv",
        max_episode_steps=max_episode_steps,
        reward_threshold=reward_threshold,
        kwargs={"task": task, **keywords},
    )
