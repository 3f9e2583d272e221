"""What the tasks of navigation share: rewards of goals, measures of a path, and the pictures of mazes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from ...compiled import kernel
from ...fovea.fovea import TRAIL
from ...fovea.goals import GoalSpace
from ...scenes.mazes import WALL
from ...task import Task

if TYPE_CHECKING:
    from ...rendering import Canvas

BLOCK, FLOOR, LINE = "#455a64", "#ffffff", "#e3e8eb"
HERE, WALKED, WANTED, BEST = "#1e88e5", "#f4511e", "#00a676", "#9fdcc8"
COMPASS = ("up", "right", "down", "left")  # names of the actions north, east, south, west


class GoalNavigation(Task):
    """Abstract: walk to a goal that a goal vector describes. A subclass writes `pay`, and what else `Task` asks for.

    Args:
        observation: Box of a vector.
        goal: Box of a vector.
        goal_format: "dict", or "concat": one Box (observation, desired_goal).

    Raises:
        ValueError: an unknown format.
    """

    def __init__(self, observation: gym.spaces.Box, goal: gym.spaces.Box, goal_format: str) -> None:
        self._spaces = GoalSpace(observation, goal, goal_format)
        self.observation_space = self._spaces.space

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        achieved, desired, shape = self._spaces.pairs(achieved_goal, desired_goal)
        rewards = np.empty(len(achieved))
        self.pay(achieved, desired, info, rewards)
        return rewards.reshape(shape)

    def pay(self, achieved: np.ndarray, desired: np.ndarray, info: Any, rewards: np.ndarray) -> None:
        """Write the rewards (P,) of pairs of goals (P, G) float32; ``info`` as of ``compute_reward``."""
        raise NotImplementedError


def path_measures(is_success: np.ndarray, length: np.ndarray, shortest: np.ndarray) -> dict[str, np.ndarray]:
    """Measures of paths, each (R,).

    Args:
        is_success: (R,) bool.
        length: (R,) of the path so far.
        shortest: (R,) of the shortest path from the start to the goal, positive.

    Returns:
        ``is_success``; ``path_length``; ``shortest_path``; ``cost_ratio``, path / shortest; ``spl``, success weighted
        by path length: shortest / max(path, shortest) after success, 0 before (Anderson et al. 2018).
    """
    cost_ratio, spl = np.empty(len(length)), np.empty(len(length))
    _compare(is_success, length, shortest, cost_ratio, spl)
    return {
        "is_success": is_success,
        "path_length": length,
        "shortest_path": shortest,
        "cost_ratio": cost_ratio,
        "spl": spl,
    }


@kernel
def _compare(
    is_success: np.ndarray, length: np.ndarray, shortest: np.ndarray, cost_ratio: np.ndarray, spl: np.ndarray
) -> None:
    for i in range(length.shape[0]):
        cost_ratio[i] = length[i] / shortest[i]
        spl[i] = shortest[i] / max(length[i], shortest[i]) if is_success[i] else 0.0


@kernel
def leave_mark(trail: np.ndarray, move: int, state: int) -> None:
    """Remember where move ``move`` led."""
    trail[move % TRAIL] = state


def trail_of(w: np.void) -> np.ndarray:
    """Where the last moves led (P, ...), oldest first, of a record with ``moves`` and ``trail``."""
    moves = int(w["moves"])
    trail: np.ndarray = w["trail"][np.arange(max(0, moves - TRAIL + 1), moves + 1) % TRAIL]
    return trail


def draw_squares(canvas: Canvas, grid: np.ndarray, colours: dict[str, str]) -> None:
    """A layout (H, W) of characters, one unit a square: walls dark, other characters in their colours."""
    height, width = grid.shape
    canvas.fill(FLOOR)
    for x in range(1, width):
        canvas.line([(x, 0), (x, height)], LINE, 1.0)
    for y in range(1, height):
        canvas.line([(0, y), (width, y)], LINE, 1.0)
    for y, row in enumerate(grid):
        for mark, run in itertools.groupby(enumerate(row), key=lambda pair: pair[1]):
            colour = BLOCK if mark == WALL else colours.get(mark)
            if colour is not None:
                columns = [x for x, _ in run]
                left, right = columns[0], columns[-1] + 1
                canvas.polygon([(left, y), (right, y), (right, y + 1), (left, y + 1)], colour)


def draw_walk(canvas: Canvas, places: np.ndarray) -> None:
    """A path (P, 2) of (x, y), and a blue disc where it has led."""
    if len(places) > 1:
        canvas.line(places, WALKED, 3.0)
    x, y = places[-1]
    canvas.circle(x, y, 9.0 / canvas.zoom, "white")
    canvas.circle(x, y, 7.0 / canvas.zoom, HERE)


def draw_flag(canvas: Canvas, x: float, y: float) -> None:
    """The goal: a green ring with a dot."""
    canvas.circle(x, y, 11.0 / canvas.zoom, "white")
    canvas.circle(x, y, 10.0 / canvas.zoom, WANTED, 3.0)
    canvas.circle(x, y, 3.5 / canvas.zoom, WANTED)
