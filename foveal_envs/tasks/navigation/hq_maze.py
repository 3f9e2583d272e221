"""HQMaze: a maze seen through the four walls around one's own square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...scenes.mazes import WALL, index_of, neighbours, place_of, require_reach, wall_codes
from ...task import Observation, Task
from .blind_maze import ACTIONS, OBSERVATIONS, RECORD, BlindMaze, Table, choose_layout

if TYPE_CHECKING:
    from ...rendering import Canvas

LAYOUTS = {
    "published": (
        "....#.....",
        "..#S#..##.",
        ".##..####.",
        "..##..###G",
        "....#.#...",
        ".#....#.##",
        "...####.##",
        "..##.....#",
        ".##....#..",
        "....####..",
    ),
    "small": (
        "..####..",
        "...##...",
        ".#......",
        "..###.#.",
        "#.#...#.",
        "...#.#..",
        "G....#..",
        "#..##S..",
    ),
    "large": (
        "S..#.......",
        ".#...##.##.",
        ".##.#...##.",
        "..#####.#..",
        "##G...#....",
        "...##.#.#..",
        ".#.#..#.#..",
        ".#.#...###.",
        "##.#..#....",
        ".....##.#.#",
        "##.#....#..",
    ),
}


class HQMaze(Task):
    """Find the goal of a maze that looks alike in many places: only memory tells them apart.

    The maze of Wiering & Schmidhuber, "HQ-learning" (Adaptive Behavior 6:219-246, 1997): 62 free squares on a board of
    10 x 10, of whose wall patterns only 9 differ, and a shortest path of 28 steps. Its walls are lost; the layout here
    is ours and has these numbers. No policy that maps observations to actions walks the shortest path, nor reaches the
    goal at all; a sequence of at least three such policies, each of which hands over at an observation, can.

    ### Observation
    Discrete(16): which of the four neighbours are walls, 1 north + 2 east + 4 south + 8 west. Outside is wall.

    ### Actions
    Discrete(4): one square north, east, south, west. A wall stops the move.

    ### Reward
    100 at the goal, otherwise 0.

    ### Episode
    ``terminated`` at the goal or after ``moves`` moves. Info: ``is_success``, ``path_length``, ``shortest_path``
    (steps), ``cost_ratio``, ``spl`` and ``state``. Every episode begins at the same square, and nothing is random.
    The oracle walks 28 steps; random moves arrive in 22 % of episodes, after a path 33 times as long. Discount 0.9.

    Args:
        layout: "published" (62 squares, 9 patterns, 28 steps), "small" (44, 12, 18), "large" (76, 13, 36), or strings:
            ``#`` wall, ``.`` free, one ``S``, the start, and one ``G``, the goal.
        moves: longest episode.

    Raises:
        ValueError: an impossible keyword, or a layout without start, goal or a way, drawn with the fault marked.
    """

    world = RECORD
    observation_space, action_space = OBSERVATIONS, ACTIONS

    def __init__(self, layout: str | Sequence[str] = "published", moves: int = 1000) -> None:
        grid = choose_layout(layout, LAYOUTS, "SG")
        start, goal = place_of(grid, "S", "start"), place_of(grid, "G", "goal")
        require_reach(grid, grid != WALL, start, grid == "G", "the goal must be reachable from the start")
        cells, moves_to = neighbours(grid != WALL)
        ends = index_of(cells, start), index_of(cells, goal)
        self.maze = BlindMaze(grid, cells, moves_to, wall_codes(moves_to), *ends, 100.0, 0.0, moves)
        self.limits, self.render_size = self.maze.limits, self.maze.size

    @property
    def table(self) -> Table:
        """The whole task as a table, for learners that can use it: see ``BlindMaze.table``."""
        return self.maze.table

    def reset(self, worlds: np.ndarray, rows: np.ndarray, keys: np.ndarray) -> None:
        self.maze.reset(worlds, rows)

    def step(
        self, worlds: np.ndarray, active: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        self.maze.step(worlds, active, actions, rewards, terminated)

    def observe(self, worlds: np.ndarray, rows: np.ndarray, observation: Observation) -> None:
        self.maze.observe(worlds, rows, observation)

    def info(self, worlds: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        return self.maze.info(worlds, rows)

    def oracle(self, worlds: np.ndarray) -> np.ndarray:
        return self.maze.oracle(worlds)

    def draw(self, worlds: np.ndarray, row: int, canvas: Canvas) -> None:
        self.maze.draw(worlds, row, canvas)
