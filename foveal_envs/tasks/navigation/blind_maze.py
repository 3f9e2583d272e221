"""BlindMaze: what HQMaze and KeyDoorMaze share, a table of states and an observation of four walls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from ...checks import LONGEST, flag, require, whole_number
from ...compiled import kernel, record
from ...fovea.fovea import TRAIL
from ...limits import COUNT
from ...scenes.mazes import UNREACHED, read_layout, shortest_steps
from ...task import Observation, Table, Task
from .shared import COMPASS, draw_flag, draw_squares, draw_walk, leave_mark, path_measures, trail_of

if TYPE_CHECKING:
    from ...rendering import Canvas


SETTINGS = np.dtype(
    [
        ("start", np.int64),
        ("goal", np.int64),
        ("prize", np.float64),
        ("cost", np.float64),
        ("moves", np.int64),
    ]
)


def choose_layout(layout: str | Sequence[str], layouts: dict[str, tuple[str, ...]], marks: str) -> np.ndarray:
    """The (H, W) characters of a named or given layout.

    Raises:
        ValueError: an unknown name; or see ``read_layout``.
    """
    if isinstance(layout, str):
        require(layout in layouts, "layout", (*layouts, "a list of strings"), layout)
        return read_layout(layouts[layout], marks)
    return read_layout(layout, marks)


class BlindMaze(Task):
    """Abstract: a maze in which the agent feels only the walls around it. A subclass is a constructor and a docstring.

    Args:
        grid: (H, W) characters.
        cells: (C, 2) row and column of each free square; the cell of state s is s % C.
        moves_to: (S, 4) the state to which each action leads.
        codes: (S,) observation of each state.
        start, goal: states.
        prize: reward at the goal.
        cost: of every move.
        moves: longest episode.
        one_hot: whether the observation is a vector with a 1 in its place.

    Attributes:
        steps: (S,) least number of moves to the goal.
    """

    world = np.dtype([("moves", np.int64), ("state", np.int64), ("trail", np.int16, (TRAIL,))])
    observation_space: gym.Space[Any] = gym.spaces.Discrete(16)
    action_space = gym.spaces.Discrete(4)
    action_names = COMPASS

    def __init__(
        self,
        grid: np.ndarray,
        cells: np.ndarray,
        moves_to: np.ndarray,
        codes: np.ndarray,
        start: int,
        goal: int,
        prize: float,
        cost: float,
        moves: int,
        one_hot: bool,
    ) -> None:
        if flag("one_hot", one_hot):
            self.observation_space = gym.spaces.Box(0.0, 1.0, (16,), np.float32)
        moves = whole_number("moves", moves, 1, LONGEST)
        self.grid, self.cells, self.moves_to, self.codes = grid, cells, moves_to, codes
        self.start, self.goal = start, goal
        self.limits = {"moves": COUNT, "state": (0, len(codes) - 1), "trail": (-(2**15), 2**15 - 1)}  # large mazes wrap
        self.steps = shortest_steps(moves_to, goal)
        self.render_size = float(grid.shape[1]), float(grid.shape[0])
        self._settings = record(SETTINGS, start=start, goal=goal, prize=prize, cost=cost, moves=moves)

    @property
    def table(self) -> Table:
        settings = self._settings[0]
        ends = np.arange(len(self.codes)) == self.goal
        rewards = np.where(ends[self.moves_to], settings["prize"], 0.0) - settings["cost"]
        return self.moves_to, self.codes, rewards, ends, self.start, int(settings["moves"])

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        _reset(worlds, rows, self._settings)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        _step(worlds, active, actions, self._settings, self.moves_to, rewards, terminated)

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        show = _observe if isinstance(self.observation_space, gym.spaces.Discrete) else _observe_one_hot
        show(worlds, rows, self.codes, observation)

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        state = worlds["state"][rows]
        shortest = np.full(len(rows), self.steps[self.start])
        return {**path_measures(state == self.goal, worlds["moves"][rows], shortest), "state": state}

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """Actions (N,) of a shortest path."""
        left = self.steps[self.moves_to[worlds["state"]]]
        actions: np.ndarray = np.argmin(np.where(left == UNREACHED, left.max() + 1, left), axis=1)
        return actions

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w, count = worlds[row], len(self.cells)
        draw_squares(canvas, self.grid, {"S": "#e3f2fd", "G": "#dff5ec", "K": "#fff3cd", "D": "#bcaaa4"})
        for y, x in np.argwhere(np.isin(self.grid, list("SKD"))).tolist():
            canvas.text(str(self.grid[y, x]), x + 0.5, y + 0.5, "#546e7a", min(16.0, 0.6 * canvas.zoom))
        y, x = self.cells[self.goal % count] + 0.5
        draw_flag(canvas, x, y)
        draw_walk(canvas, self.cells[trail_of(w) % count][:, ::-1] + 0.5)
        code = int(self.codes[w["state"]])
        walls = "".join(letter for i, letter in enumerate("NESW") if code >> i & 1)
        canvas.status("steps", str(int(w["moves"])))
        canvas.status("shortest path", str(int(self.steps[self.start])))
        canvas.status("walls felt", walls or "none")
        if len(self.moves_to) > count:
            canvas.status("key", "in hand" if w["state"] >= count else "not found")


@kernel
def _reset(worlds: np.ndarray, rows: np.ndarray, all_settings: np.ndarray) -> None:
    start = all_settings[0]["start"]
    for row in rows:
        w = worlds[row]
        w["moves"] = 0
        w["state"] = start
        leave_mark(w["trail"], 0, start)


@kernel
def _step(
    worlds: np.ndarray,
    active: np.ndarray,
    actions: np.ndarray,
    all_settings: np.ndarray,
    moves_to: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    settings = all_settings[0]
    goal = settings["goal"]
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            state = moves_to[w["state"], actions[i]]
            w["state"] = state
            w["moves"] += 1
            leave_mark(w["trail"], w["moves"], state)
            rewards[i] = (settings["prize"] if state == goal else 0.0) - settings["cost"]
            terminated[i] = state == goal or w["moves"] >= settings["moves"]


@kernel
def _observe(worlds: np.ndarray, rows: np.ndarray, codes: np.ndarray, observation: np.ndarray) -> None:
    for row in rows:
        observation[row] = codes[worlds[row]["state"]]


@kernel
def _observe_one_hot(worlds: np.ndarray, rows: np.ndarray, codes: np.ndarray, observation: np.ndarray) -> None:
    for row in rows:
        observation[row] = 0.0
        observation[row, codes[worlds[row]["state"]]] = 1.0
