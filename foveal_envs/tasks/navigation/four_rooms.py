"""FourRooms: a grid with lava in which every cell is a goal, and some goals are held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from ... import keys
from ...checks import LONGEST, one_of, require, whole_number
from ...compiled import kernel, record
from ...fovea.fovea import TRAIL
from ...limits import COUNT, KEY
from ...scenes.mazes import FREE, UNREACHED, WALL, fault, neighbours, read_layout, require_reach, shortest_steps
from ...task import Observation
from .shared import COMPASS, GoalNavigation, draw_flag, draw_squares, draw_walk, leave_mark, path_measures, trail_of

if TYPE_CHECKING:
    from ...rendering import Canvas

LAVA = "~"
ROOMS = (
    "#############",
    "#.....#.....#",
    "#.....#.~...#",
    "#..~........#",
    "#.....#.....#",
    "#..~..#...~.#",
    "##.####.....#",
    "#.....###.###",
    "#..~..#.....#",
    "#.....#..~..#",
    "#...........#",
    "#.~...#...~.#",
    "#############",
)
LARGEST = 4096  # squares of a layout: tables hold every pair of cells
FORMS = ("coordinates", "one_hot")
SPLITS = ("all", "train", "held_out")
REWARDS = ("sparse", "reached", "dense", "terminal")
SPARSE, REACHED, DENSE, TERMINAL = range(4)
SETTINGS = np.dtype([("reward", np.int64), ("moves", np.int64), ("farthest", np.int64)])  # farthest: steps to a goal


class FourRooms(GoalNavigation):
    """Walk to a cell of four rooms with lava; every cell is a goal, and some goals can be held out.

    The kind of world on which Schaul, Horgan, Gregor & Silver, "Universal value function approximators" (ICML 2015)
    test how values V(s, g) generalise to goals never trained on. The layout is the classic one of four rooms (104
    cells) with 8 cells of lava, ours.

    ### Observation
    A Dict of float32 vectors, ``observation`` and ``achieved_goal`` the present cell, ``desired_goal`` the wanted one.
    ``form="coordinates"``: (x, y), each in [-1, 1] from the first to the last column or row; ``form="one_hot"``:
    (104,), the cells in the order of reading, lava included.

    ### Actions
    Discrete(4): one cell north, east, south, west. A wall stops the move.

    ### Reward
    ``sparse`` 0 at the goal, else -1; ``reached`` 1 at the goal, else 0; ``dense`` minus the steps that are left,
    around the lava, over the largest such distance; ``terminal`` the dense reward, at the end only. Entering lava pays
    -moves, as much as an episode without arrival, and with ``reached`` 0: dying early never pays. All are functions of
    the two goal vectors.

    ### Episode
    ``terminated`` at the goal, in lava, or after ``moves`` moves. The start is uniform over the other cells. Info:
    ``is_success``, ``path_length`` and ``shortest_path`` (steps), ``cost_ratio``, ``spl``, and the indices ``cell`` and
    ``goal_cell``. The mean return is -7.7 for the oracle and -109 for random moves. Use a discount of 0.95.

    For tables of V(s, g): ``env.unwrapped.task`` has ``cells`` (C, 2) rows and columns, ``moves_to`` (C, 4) the cell to
    which each action leads, ``lava`` (C,) bool, ``steps`` (C, C) the steps from cell to goal (-1: no way), ``vectors``
    (C, G) the goal vector of each cell, and ``train_goals`` and ``held_out_goals``, indices of cells.

    Args:
        form: "coordinates" or "one_hot".
        goals: which goals episodes have: "all", "train" (not held out) or "held_out".
        held_out: how many goals are held out, or "room": all goals of one room.
        split_seed: decides which goals, or which room (in the order of reading, modulo their number).
        reward: "sparse", "reached", "dense" or "terminal".
        moves: longest episode.
        goal_format: "dict", or "concat": one Box (observation, desired_goal).
        layout: strings of ``#`` walls, ``.`` free cells, ``~`` lava; None: the four rooms. A free cell between two
            walls and two free cells is a doorway, and what doorways separate is a room.

    Raises:
        ValueError: an impossible keyword, or a layout with cells that cannot be reached, drawn with the fault marked.
    """

    action_names = COMPASS

    world = np.dtype(
        [(name, np.int64) for name in ("moves", "cell", "goal", "start")] + [("trail", np.int16, (TRAIL,))]
    )

    def __init__(
        self,
        form: str = "coordinates",
        goals: str = "all",
        held_out: int | str = 20,
        split_seed: int = 0,
        reward: str = "sparse",
        moves: int = 100,
        goal_format: str = "dict",
        layout: Sequence[str] | None = None,
    ) -> None:
        form = one_of("form", form, FORMS)
        goals = one_of("goals", goals, SPLITS)
        reward = one_of("reward", reward, REWARDS)
        moves = whole_number("moves", moves, 1, LONGEST)
        split_seed = whole_number("split_seed", split_seed, *KEY)
        self.grid = grid = read_layout(ROOMS if layout is None else layout, LAVA)
        require(grid.size <= LARGEST, "layout", f"at most {LARGEST} squares large", grid.shape)
        free = grid == FREE
        if free.sum() < 2:
            raise fault(grid, ~free & (grid != WALL), "a layout needs at least two free cells")
        first = tuple(np.argwhere(free)[0].tolist())
        require_reach(grid, free, first, free, "every free cell must be reachable from the first without lava")
        self.cells, moves_to = neighbours(grid != WALL)
        self.limits = {"moves": COUNT, **dict.fromkeys(("cell", "goal", "start", "trail"), (0, len(self.cells) - 1))}
        self.lava = grid[tuple(self.cells.T)] == LAVA
        self.moves_to = np.where(self.lava[:, None], np.arange(len(self.cells))[:, None], moves_to)
        self.steps = np.stack([shortest_steps(self.moves_to, goal) for goal in range(len(self.cells))], axis=1)
        self.vectors = _vectors(self.cells, grid.shape, form)
        self.rooms = _rooms(moves_to)
        self.train_goals, self.held_out_goals = self._split(held_out, split_seed)
        self._starts = np.flatnonzero(~self.lava)
        self._goals = {"all": self._starts, "train": self.train_goals, "held_out": self.held_out_goals}[goals]
        require(len(self._goals) > 0, "held_out", "such that episodes have a goal", held_out)
        box = gym.spaces.Box(-1.0 if form == "coordinates" else 0.0, 1.0, self.vectors.shape[1:], np.float32)
        super().__init__(box, box, goal_format)
        self.action_space, self._form = gym.spaces.Discrete(4), form
        self._settings = record(SETTINGS, reward=REWARDS.index(reward), moves=moves, farthest=self.steps.max())
        self.render_size = (float(grid.shape[1]), float(grid.shape[0]))

    def _split(self, held_out: int | str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Goals to train on and goals held out."""
        goals = np.flatnonzero(~self.lava)
        if isinstance(held_out, str) and held_out == "room":
            kept = self.rooms[goals] != seed % (self.rooms.max() + 1)
        else:
            count = whole_number("held_out", held_out, 0, len(goals) - 1, "'room' or a number of goals")
            kept = np.ones(len(goals), bool)
            kept[np.random.default_rng(seed).permutation(len(goals))[:count]] = False
        return goals[kept], goals[~kept]

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        _reset(worlds, rows, keys, self._goals, self._starts)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        _step(worlds, active, actions, self._settings, self.moves_to, self.lava, self.steps, rewards, terminated)

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        _observe(worlds, rows, self.vectors, *self._spaces.parts(observation))

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        cell, goal = worlds["cell"][rows], worlds["goal"][rows]
        shortest = self.steps[worlds["start"][rows], goal]
        measures = path_measures(cell == goal, worlds["moves"][rows], shortest)
        return {**measures, "cell": cell, "goal_cell": goal}

    def cell_of(self, vectors: np.ndarray) -> np.ndarray:
        """Index (...) of the cell nearest to each goal vector (..., G)."""
        if self._form == "one_hot":
            largest: np.ndarray = np.argmax(vectors, axis=-1)
            return largest
        gaps = vectors[..., None, :] - self.vectors
        nearest: np.ndarray = np.argmin((gaps * gaps).sum(-1), axis=-1)
        return nearest

    def pay(self, achieved: np.ndarray, desired: np.ndarray, info: Any, rewards: np.ndarray) -> None:
        _reward_pairs(self.cell_of(achieved), self.cell_of(desired), self._settings, self.lava, self.steps, rewards)

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> np.ndarray:
        cell = self.cell_of(achieved_goal)
        ends: np.ndarray = (cell == self.cell_of(desired_goal)) | self.lava[cell]
        return ends

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        """A step towards the goal."""
        left = self.steps[self.moves_to[worlds["cell"]], worlds["goal"][:, None]]
        actions: np.ndarray = np.argmin(np.where(left == UNREACHED, left.max() + 1, left), axis=1)
        return actions

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        w = worlds[row]
        draw_squares(canvas, self.grid, {LAVA: "#ff8a65"})
        for goal in self.held_out_goals:
            y, x = self.cells[goal]
            canvas.circle(x + 0.5, y + 0.5, 0.08, "#b0bec5")
        y, x = self.cells[w["goal"]] + 0.5
        draw_flag(canvas, x, y)
        draw_walk(canvas, self.cells[trail_of(w)][:, ::-1] + 0.5)
        canvas.status("steps", str(int(w["moves"])))
        canvas.status("shortest path", str(int(self.steps[w["start"], w["goal"]])))
        canvas.status("goal held out", "yes" if w["goal"] in self.held_out_goals else "no")


def _vectors(cells: np.ndarray, shape: tuple[int, ...], form: str) -> np.ndarray:
    """(C, G) float32, the goal vector of each cell."""
    if form == "one_hot":
        return np.eye(len(cells), dtype=np.float32)
    largest = np.maximum(np.array(shape) - 1, 1)
    return np.ascontiguousarray((2.0 * cells / largest - 1.0)[:, ::-1], np.float32)


def _rooms(moves_to: np.ndarray) -> np.ndarray:
    """The room (C,) of each cell, in the order of reading; a doorway belongs to the room before it."""
    cells = np.arange(len(moves_to))
    blocked = moves_to == cells[:, None]
    doorway = (blocked == [True, False, True, False]).all(1) | (blocked == [False, True, False, True]).all(1)
    room = np.where(doorway, len(cells), cells)
    for _ in cells:  # the smallest index spreads through each room
        spread = np.where(doorway, room, room[moves_to].min(1))
        if (spread == room).all():
            break
        room = spread
    room = np.where(doorway, room[moves_to].min(1), room)
    return np.unique(room, return_inverse=True)[1]


@kernel
def _reward(cell: int, goal: int, settings: np.void, lava: np.ndarray, steps: np.ndarray) -> float:
    """What it pays to be in a cell with a goal; "terminal" pays as "dense" does."""
    kind = settings["reward"]
    if lava[cell]:
        return 0.0 if kind == REACHED else -float(settings["moves"])
    if kind == REACHED:
        return 1.0 if cell == goal else 0.0
    if kind == SPARSE:
        return 0.0 if cell == goal else -1.0
    left = steps[cell, goal]
    return -left / settings["farthest"] if left != UNREACHED else -1.0


@kernel
def _reward_pairs(
    cells: np.ndarray,
    goals: np.ndarray,
    all_settings: np.ndarray,
    lava: np.ndarray,
    steps: np.ndarray,
    rewards: np.ndarray,
) -> None:
    for i in range(cells.shape[0]):
        rewards[i] = _reward(cells[i], goals[i], all_settings[0], lava, steps)


@kernel
def _reset(
    worlds: np.ndarray, rows: np.ndarray, episode_keys: np.ndarray, goals: np.ndarray, starts: np.ndarray
) -> None:
    for row in rows:
        w, key = worlds[row], episode_keys[row]
        goal = goals[keys.below(key, 0, goals.shape[0])]
        start = keys.below(key, 1, starts.shape[0] - 1)  # any but the goal
        start += starts[start] >= goal
        w["moves"] = 0
        w["goal"] = goal
        w["start"] = starts[start]
        w["cell"] = starts[start]
        leave_mark(w["trail"], 0, starts[start])


@kernel
def _step(
    worlds: np.ndarray,
    active: np.ndarray,
    actions: np.ndarray,
    all_settings: np.ndarray,
    moves_to: np.ndarray,
    lava: np.ndarray,
    steps: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    settings = all_settings[0]
    for i in range(worlds.shape[0]):
        if active[i]:
            w = worlds[i]
            cell = moves_to[w["cell"], actions[i]]
            w["cell"] = cell
            w["moves"] += 1
            leave_mark(w["trail"], w["moves"], cell)
            terminated[i] = cell == w["goal"] or lava[cell] or w["moves"] >= settings["moves"]
            if settings["reward"] != TERMINAL or terminated[i]:
                rewards[i] = _reward(cell, w["goal"], settings, lava, steps)


@kernel
def _observe(
    worlds: np.ndarray,
    rows: np.ndarray,
    vectors: np.ndarray,
    observation: np.ndarray,
    achieved: np.ndarray,
    desired: np.ndarray,
) -> None:
    for row in rows:
        here, goal = vectors[worlds[row]["cell"]], vectors[worlds[row]["goal"]]
        for k in range(here.shape[0]):
            observation[row, k] = here[k]
            desired[row, k] = goal[k]
        for k in range(achieved.shape[1]):
            achieved[row, k] = here[k]
