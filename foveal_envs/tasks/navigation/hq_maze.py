"""HQMaze: a maze seen through the four walls around one's own square."""

from __future__ import annotations

from collections.abc import Sequence

from ...scenes.mazes import WALL, index_of, neighbours, place_of, require_reach, wall_codes
from .blind_maze import BlindMaze, choose_layout

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


class HQMaze(BlindMaze):
    """Find the goal of a maze that looks alike in many places: only memory tells them apart.

    The maze of Wiering & Schmidhuber, "HQ-learning" (Adaptive Behavior 6:219-246, 1997): 62 free squares on a board of
    10 x 10, with only 9 different wall patterns and a shortest path of 28 steps. Its walls are lost; the layout here is
    ours and matches these numbers. No policy that maps observations to actions walks the shortest path, or even reaches
    the goal; a sequence of at least three such policies, each of which hands over at an observation, can.

    ### Observation
    Discrete(16): which of the four neighbours are walls, 1 north + 2 east + 4 south + 8 west. Outside is wall. With
    ``one_hot`` Box(0, 1, (16,)), 1 at that number and else 0.

    ### Actions
    Discrete(4): one square north, east, south, west. A wall stops the move.

    ### Reward
    100 at the goal, otherwise 0.

    ### Episode
    ``terminated`` at the goal or after ``moves`` moves. Info: ``is_success``, ``path_length``, ``shortest_path``
    (steps), ``cost_ratio``, ``spl`` and ``state``. Every episode begins at the same square, and nothing is random.
    The oracle walks 28 steps; random moves arrive in 22 % of episodes, after a path 33 times as long. Use a discount of
    0.9.

    Args:
        layout: "published" (62 squares, 9 patterns, 28 steps), "small" (44, 12, 18), "large" (76, 13, 36), or strings:
            ``#`` wall, ``.`` free, one ``S``, the start, and one ``G``, the goal.
        moves: longest episode.
        one_hot: whether the observation is a Box, for what takes no Discrete.

    Raises:
        ValueError: an impossible keyword, or a layout without start, goal or a way, drawn with the fault marked.
    """

    def __init__(self, layout: str | Sequence[str] = "published", moves: int = 1000, one_hot: bool = False) -> None:
        grid = choose_layout(layout, LAYOUTS, "SG")
        start, goal = place_of(grid, "S", "start"), place_of(grid, "G", "goal")
        require_reach(grid, grid != WALL, start, grid == "G", "the goal must be reachable from the start")
        cells, moves_to = neighbours(grid != WALL)
        ends = index_of(cells, start), index_of(cells, goal)
        super().__init__(grid, cells, moves_to, wall_codes(moves_to), *ends, 100.0, 0.0, moves, one_hot)
