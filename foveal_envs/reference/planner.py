"""The shortest path through a maze that is seen bit by bit: MazeNavigation without learning, but within its view."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ..tasks.navigation.maze_navigation import MazeNavigation
from ..tasks.navigation.maze_rules import CELL
from .gaze import native

State = Any


class PlannerPolicy:
    """Takes all that it has not seen yet as free, and walks the shortest path of MazeNavigation to the goal.

    It sees and remembers every square with a part no farther than ``view`` cells from the body, behind walls too, as
    the receptive fields do; it knows where the goal is, and plans anew at every move.

    Args:
        env: a native vector environment of MazeNavigation.
        view: cells; None: as far as the environment's own view. A larger one tells what seeing farther is worth.

    Raises:
        ValueError: the environment is another one.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], view: float | None = None) -> None:
        self._env = native(env)
        task = self._env.task
        if not isinstance(task, MazeNavigation):
            raise ValueError(f"the planner walks a MazeNavigation, got {type(task).__name__}")
        self._task, self._view = task, task.view if view is None else view

    def predict(
        self, obs: Any, state: State = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, State]:
        """Actions (N, ...), and which squares have been seen (N, S, S) bool."""
        worlds = self._env.get_state()["worlds"]
        walls, size = worlds["walls"], int(self._task.render_size[0])
        seen = np.zeros(walls.shape, bool) if state is None else state.copy()
        if episode_start is not None:
            seen[episode_start] = False
        seen |= self._in_view(worlds["pose"][:, :2], walls.shape[1])
        rim = np.ones(walls.shape[1:], bool)
        rim[1 : size - 1, 1 : size - 1] = False
        worlds["walls"] = (walls == 1) & (seen | rim)
        return self._task.oracle(worlds), seen

    def _in_view(self, places: np.ndarray, side: int) -> np.ndarray:
        """Squares (N, side, side) with a part within the view from places (N, 2)."""
        away = np.maximum(np.abs(np.arange(side) + 0.5 - places[..., None]) - 0.5, 0.0)  # (N, 2, side)
        inside: np.ndarray = np.hypot(away[:, 0, None, :], away[:, 1, :, None]) <= CELL * self._view
        return inside
