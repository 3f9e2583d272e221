"""CuriosityGrid: a world to be learned, in a part of which there is nothing to learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np

from ... import keys
from ...checks import LONGEST, flag, require, whole_number
from ...compiled import kernel, record
from ...fovea.fovea import TRAIL
from ...limits import COUNT, KEY
from ...scenes.mazes import UNREACHED, WALL, fault, neighbours, place_of, require_reach, shortest_steps
from ...task import Observation, Task
from .blind_maze import choose_layout
from .shared import COMPASS, draw_squares, draw_walk, leave_mark, trail_of

if TYPE_CHECKING:
    from ...rendering import Canvas

NOISE = "~"
LAYOUTS = {
    "open": (
        "S.........",
        "..........",
        "...~~~~~..",
        "...~~~~~..",
        "...~~~~~..",
        "...~~~~~..",
        "...~~~~~..",
        "..........",
        "..........",
        "..........",
    ),
    "four_rooms": (
        "###############",
        "#S.....#......#",
        "#.............#",
        "#......#......#",
        "#......#......#",
        "###.######.####",
        "#......#~~~~~~#",
        "#......~~~~~~~#",
        "#......#~~~~~~#",
        "#......#~~~~~~#",
        "###############",
    ),
    "corridor": (
        "S.........",
        "#########.",
        "..........",
        ".#########",
        "..........",
        "#########.",
        "..........",
        ".#########",
        "..........",
        "#########.",
        "..........",
        ".#########",
        ".........~",
        "#########~",
        "~~~~~~~~~~",
        "~#########",
        "~~~~~~~~~~",
        "#########~",
        "#########~",
    ),
}
MOST = 1024  # free squares: a record holds every pair of cell and action
SETTINGS = np.dtype([("start", np.int64), ("moves", np.int64)])
FOG, TRIED = "#eceff1", "#90caf9"


class CuriosityGrid(Task):
    """Find out where every move leads, in a grid of 100 cells of which 25 are noise.

    The kind of world of Schmidhuber's first curious controllers ("A possibility for implementing curiosity and boredom
    in model-building neural controllers", 1990; "Curious model-building control systems", 1991): partly deterministic,
    so that a world model M can learn it, and partly random, so that M will never predict it. There is no goal. Who is
    attracted by the errors of M stays with the noise for ever; who is attracted by what M can still learn does not.

    Moves from a cell of the region of noise go in a direction that is drawn anew each time, whatever the action.

    ### Observation
    Discrete(100), the cell, in the order of reading. With ``one_hot`` Box(0, 1, (100,)), 1 at that cell and else 0.

    ### Actions
    Discrete(4): one cell north, east, south, west. A wall stops the move.

    ### Reward
    1 / 300 for every pair of a deterministic cell and an action that is tried for the first time in an episode, so that
    the return is the share of what can be known that was found out. It needs memory, and a curious agent does without.

    ### Episode
    ``terminated`` after ``moves`` moves. It begins at the first cell, always. Info: ``known``, the share of the pairs
    that were tried; ``is_success``, whether all were; ``noise``, the share of moves from cells of noise; and ``cell``.
    The oracle goes to the nearest cell with an action that was not tried.

    ``env.unwrapped.task`` has ``cells`` (C, 2) rows and columns, ``moves_to`` (C, 4) the cell to which each action
    leads, and ``noisy`` (C,) bool, where it does not.

    Args:
        layout: "open", a torus without walls; "four_rooms", of which one is noise; "corridor", folded, with the noise
            at its far end; or strings: ``#`` wall, ``.`` free, ``~`` noise and one ``S``, the start.
        moves: of an episode.
        one_hot: whether the observation is a Box, for what takes no Discrete.

    Raises:
        ValueError: an impossible keyword, or a layout with cells that cannot be reached, drawn with the fault marked.
    """

    action_space = gym.spaces.Discrete(4)
    action_names = COMPASS

    def __init__(self, layout: str | Sequence[str] = "four_rooms", moves: int = 1000, one_hot: bool = False) -> None:
        grid = choose_layout(layout, LAYOUTS, NOISE + "S")
        free = grid != WALL
        require(2 <= free.sum() <= MOST, "layout", f"2 to {MOST} free squares large", int(free.sum()))
        start = place_of(grid, "S", "start")
        if grid[start] == NOISE or not (free & (grid != NOISE)).any():
            raise fault(grid, grid == NOISE, "some cells must not be noise")
        require_reach(grid, free, start, free, "every free cell must be reachable from the start")
        self.grid = grid
        self.cells, self.moves_to = neighbours(free)
        if not (grid == WALL).any():  # without walls the edges meet
            self.moves_to = _torus(grid.shape)
        self.noisy = grid[tuple(self.cells.T)] == NOISE
        count = len(self.cells)
        first = int(np.flatnonzero((self.cells == start).all(1))[0])
        self.pairs = 4 * int((~self.noisy).sum())
        self.world = np.dtype(
            [("key", np.uint64), *[(name, np.int64) for name in ("moves", "cell", "tried_count", "noise")],
             ("tried", np.uint8, (count,)), ("trail", np.int16, (TRAIL,))]
        )  # fmt: skip
        whole = dict.fromkeys(("moves", "noise"), COUNT)
        places = dict.fromkeys(("cell", "trail"), (0, count - 1))
        self.limits = {"key": KEY, **whole, **places, "tried_count": (0, self.pairs), "tried": (0, 15)}
        self.observation_space: gym.Space[np.ndarray] = (
            gym.spaces.Box(0.0, 1.0, (count,), np.float32) if flag("one_hot", one_hot) else gym.spaces.Discrete(count)  # type: ignore[assignment]
        )
        moves = whole_number("moves", moves, 1, LONGEST)
        self._settings = record(SETTINGS, start=first, moves=moves)
        self.render_size = float(grid.shape[1]), float(grid.shape[0])
        # Steps from cell to cell along moves that do what they say; who is in the noise waits.
        sure = np.where(self.noisy[:, None], np.arange(count)[:, None], self.moves_to)
        self._steps = np.stack([shortest_steps(sure, goal) for goal in range(count)], axis=1)

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        _reset(worlds, rows, keys, self._settings)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        _step(worlds, active, actions, self._settings, self.moves_to, self.noisy, 1 / self.pairs, rewards, terminated)

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        if isinstance(self.observation_space, gym.spaces.Discrete):
            observation[rows] = worlds["cell"][rows]
        else:
            observation[rows] = 0.0
            observation[rows, worlds["cell"][rows]] = 1.0

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        w = worlds[rows]
        known = w["tried_count"] / self.pairs
        noise = w["noise"] / np.maximum(1, w["moves"])
        return {"is_success": known == 1.0, "known": known, "noise": noise, "cell": w["cell"]}

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """An action not tried in the present cell, else a step towards the nearest cell that has one."""
        actions = np.zeros(len(worlds), np.int64)
        for i, w in enumerate(worlds):
            cell, open_ = w["cell"], ~_tried(w) & ~self.noisy[:, None]
            if open_[cell].any():
                actions[i] = int(np.argmax(open_[cell]))
                continue
            left = np.where(open_.any(1) & (self._steps[cell] != UNREACHED), self._steps[cell], MOST)
            goal = int(np.argmin(left))
            ways = self._steps[self.moves_to[cell], goal]
            actions[i] = int(np.argmin(np.where(ways == UNREACHED, MOST, ways)))
        return actions

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w = worlds[row]
        tried = _tried(w)
        draw_squares(canvas, self.grid, {NOISE: FOG})
        for cell in range(len(self.cells)):
            y, x = self.cells[cell] + 0.5
            if self.noisy[cell]:
                canvas.text("?", x, y, "#b0bec5", min(14.0, 0.5 * canvas.zoom))
                continue
            for action, (dx, dy) in enumerate(((0, -1), (1, 0), (0, 1), (-1, 0))):
                if tried[cell, action]:
                    canvas.circle(x + 0.3 * dx, y + 0.3 * dy, 0.12, TRIED)
        draw_walk(canvas, self.cells[trail_of(w)[-1:]][:, ::-1] + 0.5)
        canvas.status("moves", str(int(w["moves"])))
        canvas.status("known", f"{100 * w['tried_count'] // self.pairs} %")  # 100 where all is known


def _tried(w: np.void) -> np.ndarray:
    """Which actions were tried in which cells, (C, 4) bool: a bit each in the record."""
    tried: np.ndarray = w["tried"][:, None] >> np.arange(4) & 1 == 1
    return tried


def _torus(shape: tuple[int, ...]) -> np.ndarray:
    """Where a step leads (C, 4) in a board whose edges meet."""
    index = np.arange(shape[0] * shape[1]).reshape(shape)
    rolled = [np.roll(index, shift, axis) for shift, axis in ((1, 0), (-1, 1), (-1, 0), (1, 1))]
    return np.stack([part.ravel() for part in rolled], axis=1)


@kernel
def _reset(worlds: np.ndarray, rows: np.ndarray, episode_keys: np.ndarray, all_settings: np.ndarray) -> None:
    start = all_settings[0]["start"]
    for row in rows:
        w = worlds[row]
        w["key"] = episode_keys[row]
        w["moves"] = 0
        w["cell"] = start
        w["tried_count"] = 0
        w["noise"] = 0
        w["tried"][:] = 0
        leave_mark(w["trail"], 0, start)


@kernel
def _step(
    worlds: np.ndarray,
    active: np.ndarray,
    actions: np.ndarray,
    all_settings: np.ndarray,
    moves_to: np.ndarray,
    noisy: np.ndarray,
    share: float,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    longest = all_settings[0]["moves"]
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            cell, action = w["cell"], actions[i]
            if noisy[cell]:
                action = keys.below(w["key"], w["moves"], 4)
                w["noise"] += 1
            elif not w["tried"][cell] >> action & 1:
                w["tried"][cell] |= np.uint8(1 << action)
                w["tried_count"] += 1
                rewards[i] = share
            w["cell"] = moves_to[cell, action]
            w["moves"] += 1
            leave_mark(w["trail"], w["moves"], w["cell"])
            terminated[i] = w["moves"] >= longest
