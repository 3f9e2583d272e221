"""Raster and centre: gazes that ignore what is seen, for any task that can aim."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ..env import FovealVectorEnv

State = Any
ARRIVED = 1e-3  # of the scene's side
COLUMNS = 4


def aim(task: Any, worlds: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Actions (N, ...) that bring each gaze nearest to a place (N, 2), in scene units.

    Raises:
        ValueError: the task steers no gaze.
    """
    if hasattr(task, "aim"):
        return task.aim(worlds, places)  # type: ignore[no-any-return]
    fovea = getattr(task, "fovea", None)
    if fovea is None or task.action_space != fovea.action_space:
        raise ValueError(f"{type(task).__name__} has no gaze to steer")
    gaze = worlds["gaze"]
    away = np.concatenate([places - gaze[:, :2], np.zeros((len(worlds), 1))], axis=1)
    return fovea.aim(away, gaze[:, 2])  # type: ignore[no-any-return]


class RasterPolicy:
    """The gaze visits a square grid of places row by row, each as fast as its jumps allow, and begins again.

    Args:
        env: a vector environment of this package whose task steers a gaze. Its task may say by ``columns`` how many
            places a row has; else 4.

    Raises:
        ValueError: the environment is not one of this package.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        self._env = native(env)
        task = self._env.task
        columns = getattr(task, "columns", COLUMNS)
        line, column = np.divmod(np.arange(columns * columns), columns)
        size = np.array(task.render_size)
        self._near = ARRIVED * float(size.max())
        self._places = (np.stack([column, line], axis=1) + 0.5) / columns * size

    def predict(
        self, obs: Any, state: State = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, State]:
        """Actions (N, ...), and the number of the place (N,) that each gaze makes for."""
        worlds = self._env.get_state()["worlds"]
        state = np.full(len(worlds), -1) if state is None else state.copy()
        if episode_start is not None:
            state[episode_start] = -1
        at = np.abs(worlds["gaze"][:, :2] - self._places[state]).max(1) <= self._near
        state = np.where(at | (state < 0), state + 1, state) % len(self._places)
        return aim(self._env.task, worlds, self._places[state]), state


class CentrePolicy:
    """The gaze rests in the middle of the scene.

    Args:
        env: as for RasterPolicy.

    Raises:
        ValueError: the environment is not one of this package.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        self._env = native(env)

    def predict(
        self, obs: Any, state: State = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, State]:
        """Actions (N, ...) and the unchanged state."""
        worlds, task = self._env.get_state()["worlds"], self._env.task
        middle = np.broadcast_to(0.5 * np.array(task.render_size), (len(worlds), 2))
        return aim(task, worlds, middle), state


def native(env: gym.vector.VectorEnv[Any, Any, Any]) -> FovealVectorEnv:
    """The vector environment of this package under its wrappers.

    Raises:
        ValueError: it is of another kind.
    """
    if not isinstance(env.unwrapped, FovealVectorEnv):
        raise ValueError(f"this reference needs a native vector environment of foveal_envs, got {env.unwrapped!r}")
    return env.unwrapped
