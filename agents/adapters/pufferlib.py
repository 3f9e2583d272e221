"""PufferLib: a Gymnasium vector environment as one of its native ones, without emulation."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

from ..common.vec_env import autoreset_mode

try:
    import pufferlib
except ImportError as error:
    raise ImportError("agents.adapters.pufferlib needs PufferLib: pip install --no-deps pufferlib-core") from error


class PufferVectorEnv(pufferlib.PufferEnv):  # type: ignore[misc]
    """A vector environment of N lanes, whose steps are written into PufferLib's buffers.

    Args:
        env: in SAME_STEP mode, with Box observations, as the flat twins have.
        buf: PufferLib's buffers; None: its own.

    Raises:
        ValueError: another autoreset mode, or observations that are no Box.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], buf: Any = None) -> None:
        if autoreset_mode(env) is not AutoresetMode.SAME_STEP:
            raise ValueError(f"PufferLib expects a new episode at once: make {env} with autoreset_mode='same_step'")
        if not isinstance(env.single_observation_space, spaces.Box):
            raise ValueError(
                f"native environments of PufferLib observe a Box, not {env.single_observation_space}: take the id's "
                "flat twin, as Foveal/TargetDetection-flat-v0"
            )
        self.env = env
        self.single_observation_space, self.single_action_space = env.single_observation_space, env.single_action_space
        self.num_agents = env.num_envs
        super().__init__(buf)

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, list[dict[str, Any]]]:
        """Begins an episode in every lane: observations (N, ...), and no infos.

        PufferLib gives its k-th environment ``seed + k``. So lane i is seeded ``seed * N + i``, and no two lanes alike.
        """
        self.observations[:] = self.env.reset(seed=None if seed is None else seed * self.num_agents)[0]
        return self.observations, []

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Steps every lane.

        Args:
            actions: (N, ...).

        Returns:
            Observations (N, ...), rewards (N,), terminated (N,), truncated (N,), and a dict for each lane whose episode
            has ended, with whether it succeeded, where the environment says so.
        """
        observations, self.rewards[:], self.terminals[:], self.truncations[:], infos = self.env.step(actions)
        self.observations[:] = observations
        succeeded = infos.get("final_info", {}).get("is_success")
        ended = np.flatnonzero(self.terminals | self.truncations) if succeeded is not None else ()
        told = [{"is_success": float(succeeded[lane])} for lane in ended]
        return self.observations, self.rewards, self.terminals, self.truncations, told

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()
