"""KeyDoorMaze: fetch a key, pass a door, find the goal, and feel only the walls around."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...scenes.mazes import UNREACHED, WALL, fault, index_of, neighbours, place_of, require_reach, steps_to, wall_codes
from .blind_maze import BlindMaze, choose_layout

LAYOUTS = {
    "published": (
        "##########################",
        "##########################",
        "............S.......D...##",
        ".######################.##",
        ".######################.##",
        ".######################.##",
        ".######################.##",
        ".######################.##",
        ".######################.##",
        ".######################.##",
        ".######################.##",
        ".######################.##",
        "K######################.##",
        "#######################.##",
        "#######################.##",
        "#######################.##",
        "#########G..............##",
        "##########################",
        "##########################",
        "##########################",
        "##########################",
        "##########################",
        "##########################",
    ),
    "small": (
        "##############",
        ".....S...D..##",
        ".##.#######.##",
        ".##.#######.##",
        ".##########.##",
        "K#######....##",
        "#######.###.##",
        "#######.###.##",
        "#######.###.##",
        "###G........##",
    ),
    "large": (
        "############...####....###",
        "########....##.....##.####",
        "###.#####.#.#.####....####",
        "....#######....######..###",
        "#.#.#######.##.#####..####",
        "#.#.#########...##.##...##",
        "###.########..#.#...#.##.#",
        ".#...######..##...#...#..#",
        "..##..####.#..#.###.####..",
        ".###G#####.#.##.##.######.",
        ".#...####....##.S...#####.",
        "...########.#....##.####..",
        "##.#...####D##.#.##.....#.",
        "##.#.##.###.###...#####...",
        "##......###....##..###..#.",
        "###.###.....###...######..",
        "########.#####..##########",
        ".#...##.###...#.....######",
        "...#.#...#..###.##.#.#####",
        "#.#..#.#..#.#.##.....#####",
        "..##...##..K.....#########",
        "#...#.#########.##########",
        "..#....###################",
    ),
}


class KeyDoorMaze(BlindMaze):
    """Find the key, then the door that it opens, then the goal, in a maze that looks alike in many places.

    The second task of Wiering & Schmidhuber, "HQ-learning" (Adaptive Behavior 6:219-246, 1997), with a shortest path of
    83 steps. The walls of the paper are lost; the layouts here are ours. Until the agent has been on the key's square
    the door is a wall, in the observation too. The key looks like a free square, and nothing shows that the agent has
    it.

    ### Observation
    Discrete(16): which of the four neighbours are walls, 1 north + 2 east + 4 south + 8 west. Outside is wall. With
    ``one_hot`` Box(0, 1, (16,)), 1 at that number and else 0.

    ### Actions
    Discrete(4): one square north, east, south, west. A wall stops the move.

    ### Reward
    -0.1 for every move, and 500 at the goal.

    ### Episode
    ``terminated`` at the goal or after ``moves`` moves. Info: ``is_success``, ``path_length``, ``shortest_path``
    (steps), ``cost_ratio``, ``spl`` and ``state``. Every episode begins at the same square, and nothing is random.
    The oracle returns 491.7. Random moves return -99.7; they arrive once in 2,000 episodes. Use a discount of 0.99.

    Args:
        layout: "published" (62 squares, 8 patterns, 83 steps), "small" (40, 12, 40), "large" (230, 14, 83), or strings:
            ``#`` wall, ``.`` free, one each of ``S`` start, ``K`` key, ``D`` door, ``G`` goal.
        moves: longest episode.
        one_hot: whether the observation is a Box, for what takes no Discrete.

    Raises:
        ValueError: an impossible keyword; or a layout that lacks a mark, whose key cannot be reached before or whose
            goal cannot be reached after the door opens, or that needs no key: drawn with the fault marked.
    """

    def __init__(self, layout: str | Sequence[str] = "published", moves: int = 1000, one_hot: bool = False) -> None:
        grid = choose_layout(layout, LAYOUTS, "SKDG")
        places = [
            place_of(grid, mark, name) for mark, name in zip("SKDG", ("start", "key", "door", "goal"), strict=True)
        ]
        free, shut, place = grid != WALL, (grid != WALL) & (grid != "D"), places[0]
        require_reach(grid, shut, place, grid == "K", "the key must be reachable while the door is shut")
        require_reach(grid, free, place, grid == "G", "the goal must be reachable once the door is open")
        if steps_to(shut, place)[places[3]] != UNREACHED:
            raise fault(grid, grid == "D", "the door must stand between start and goal")
        cells, after = neighbours(free)
        count = len(cells)
        start, key, door, goal = (index_of(cells, place) for place in places)
        before = np.where(after == door, np.arange(count)[:, None], after)
        codes = np.concatenate([wall_codes(before), wall_codes(after)])
        moves_to = np.concatenate([np.where(before == key, key + count, before), after + count])  # no key, then key
        super().__init__(grid, cells, moves_to, codes, start, goal + count, 500.0, 0.1, moves, one_hot)
