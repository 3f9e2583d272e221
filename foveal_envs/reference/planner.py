"""The best that an eye with a map of what it has seen can hope for in a maze: it takes the unseen as free."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from ..tasks.maze_navigation import MazeNavigation
from ..tasks.maze_rules import CELL
from .gaze import native

State = Any


class PlannerPolicy:
    """MazeNavigation with a perfect map of all squares that came within the view: the shortest path as far as known.

    Planning under the free-space assumption (Koenig, Tovey & Smirnov, "Performance bounds for planning in unknown
    terrain", Artificial Intelligence 147, 2003): squares never seen count as free, but for the outer walls; after every
    move it plans anew, around all corners. It knows more of what is near than the view tells, for that blurs towards
    its rim, and nothing of what is far. With ``goal="picture"`` it knows where the picture was taken.

    Args:
        env: a native vector environment of MazeNavigation.

    Raises:
        ValueError: the environment is another one.
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        self._env = native(env)
        task = self._env.task
        if not isinstance(task, MazeNavigation):
            raise ValueError(f"the planner needs a MazeNavigation, got {type(task).__name__}")
        self._task, self._reach = task, CELL * task.view
        size = int(task.render_size[0])
        side = self._env.get_state()["worlds"]["walls"].shape[-1]
        self._given = np.zeros((side, side), bool)
        self._given[[0, size - 1], :size] = self._given[:size, [0, size - 1]] = True

    def predict(
        self, obs: Any, state: State = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[np.ndarray, State]:
        """Actions (N, ...), and which squares were seen (N, S, S) bool."""
        worlds = self._env.get_state()["worlds"]
        count, side = worlds["walls"].shape[:2]
        seen = np.zeros((count, side, side), bool) if state is None else state.copy()
        if episode_start is not None:
            seen[episode_start] = False
        middle = np.arange(side) + 0.5
        x, y = worlds["pose"][:, :1], worlds["pose"][:, 1:2]
        dx, dy = ((np.abs(place - middle) - 0.5).clip(0) for place in (x, y))  # to the nearest point of a square
        seen |= np.hypot(dx[:, None, :], dy[:, :, None]) < self._reach
        worlds["walls"] = ((worlds["walls"] == 1) & seen) | self._given
        return self._task.oracle(worlds), seen
