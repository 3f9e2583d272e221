"""Mazes of square blocks: read from text and checked, or grown from a key; steps to a goal and moves between squares.

A layout is a list of equally long strings, one a row: ``#`` is a wall, ``.`` or a space is free, letters mark places.
Outside the layout all is wall.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import keys
from ..checks import require, shown
from ..compiled import kernel

WALL, FREE = "#", "."
FAULT = "X"
LARGEST = 2**14  # squares of a layout
COMPASS = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])  # north, east, south, west, as (row, column)
UNREACHED = -1
LOOP_STREAM, TREE_STREAM = 1, 2


def read_layout(layout: Any, marks: str) -> np.ndarray:
    """A layout as an (H, W) array of single characters.

    Args:
        layout: sequence of strings.
        marks: letters that may occur, beside wall and free.

    Raises:
        ValueError: no rows, or more than 16,384 squares; or rows of different lengths or an unknown character: shows
            the maze and marks the fault.
    """
    if isinstance(layout, str) or not isinstance(layout, Sequence) or not all(isinstance(row, str) for row in layout):
        raise ValueError(f"a layout is a list of strings, one a row; got {shown(layout)}")
    rows = [row.replace(" ", FREE) for row in layout]
    width = max(map(len, rows), default=0)
    if not width:
        raise ValueError("a layout needs at least one row and one column")
    require(len(rows) * width <= LARGEST, "layout", f"at most {LARGEST} squares large", (len(rows), width))
    grid = np.array([list(row.ljust(width, FAULT)) for row in rows])
    if any(len(row) != width for row in rows):
        short = np.arange(width)[None] >= np.array([len(row) for row in rows])[:, None]
        raise fault(grid, short, f"every row must have the length of the longest, {width}")
    allowed = WALL + FREE + marks
    unknown = ~np.isin(grid, list(allowed))
    if unknown.any():
        found = ", ".join(map(repr, sorted(set(grid[unknown].tolist()))))
        raise fault(grid, unknown, f"a layout may hold {', '.join(map(repr, allowed))}; it holds {found}")
    return grid


def fault(grid: np.ndarray, wrong: np.ndarray, rule: str) -> ValueError:
    """An error that says the rule and draws the maze, with the squares of the mask ``wrong`` (H, W) as ``X``."""
    rows = ["".join(row) for row in np.where(wrong, FAULT, grid)]
    lines = [f"{row}  <--" if bad else row for row, bad in zip(rows, np.any(wrong, axis=1).tolist(), strict=True)]
    return ValueError("\n".join([f"{rule}; {FAULT} marks the fault:", *lines]))


def place_of(grid: np.ndarray, mark: str, meaning: str) -> tuple[int, int]:
    """Row and column of the one square with a mark.

    Raises:
        ValueError: the mark is missing or not alone; shows the maze.
    """
    found = grid == mark
    if found.sum() != 1:
        raise fault(grid, found, f"a layout needs exactly one {mark!r}, the {meaning}; this one has {found.sum()}")
    row, column = np.argwhere(found)[0].tolist()
    return row, column


def require_reach(grid: np.ndarray, free: np.ndarray, start: tuple[int, int], wanted: np.ndarray, rule: str) -> None:
    """Check that every square of the mask ``wanted`` (H, W) can be reached from a start over ``free`` squares.

    Raises:
        ValueError: one cannot; shows the maze and marks them.
    """
    missed = wanted & (steps_to(free, start) == UNREACHED)
    if missed.any():
        raise fault(grid, missed, rule)


def steps_to(free: np.ndarray, goal: tuple[int, int]) -> np.ndarray:
    """Least number of steps north, east, south or west from each free square to a goal, UNREACHED if there is no way.

    Args:
        free: (H, W) bool.
        goal: row and column.

    Returns:
        (H, W) int64.
    """
    steps = np.full(free.shape, UNREACHED)
    _flood(free, goal[0], goal[1], steps, np.empty(free.size, np.int64))
    return steps


@kernel
def _flood(free: np.ndarray, row: int, column: int, steps: np.ndarray, queue: np.ndarray) -> None:
    """Breadth first search from a square; ``steps`` is UNREACHED on entry."""
    height, width = free.shape
    if not free[row, column]:
        return
    steps[row, column] = 0
    queue[0] = row * width + column
    head, tail = 0, 1
    while head < tail:
        y, x = queue[head] // width, queue[head] % width
        head += 1
        for way in range(4):
            a, b = y + COMPASS[way, 0], x + COMPASS[way, 1]
            if 0 <= a < height and 0 <= b < width and free[a, b] and steps[a, b] == UNREACHED:
                steps[a, b] = steps[y, x] + 1
                queue[tail] = a * width + b
                tail += 1


def neighbours(free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Free squares, and where a step leads from each.

    Args:
        free: (H, W) bool.

    Returns:
        squares (C, 2) int64, row and column, row by row; and moves (C, 4) int64, the index of the square reached by a
        step north, east, south or west, the square's own where a wall stands in the way.
    """
    squares = np.argwhere(free)
    index = np.full((free.shape[0] + 2, free.shape[1] + 2), UNREACHED)
    index[1:-1, 1:-1][free] = np.arange(len(squares))
    moves = np.stack([index[squares[:, 0] + 1 + dy, squares[:, 1] + 1 + dx] for dy, dx in COMPASS], axis=1)
    return squares, np.where(moves == UNREACHED, np.arange(len(squares))[:, None], moves)


def index_of(cells: np.ndarray, place: tuple[int, int]) -> int:
    """Index of a row and column among cells (C, 2)."""
    return int(np.flatnonzero((cells == place).all(1))[0])


def wall_codes(moves: np.ndarray) -> np.ndarray:
    """Which ways are blocked, 1 north + 2 east + 4 south + 8 west: (C,) int64, from moves (C, 4)."""
    codes: np.ndarray = (moves == np.arange(len(moves))[:, None]) @ (1 << np.arange(4))
    return codes


def shortest_steps(moves: np.ndarray, goal: int) -> np.ndarray:
    """Least number of moves from each of C states to a goal state, UNREACHED if there is no way: (C,) int64.

    Args:
        moves: (C, A) int64, the state to which each action leads.
        goal: index of a state.
    """
    steps = np.full(len(moves), UNREACHED)
    steps[goal] = 0
    for distance in range(len(moves)):
        near = (steps == UNREACHED) & (steps[moves] == distance).any(1)
        if not near.any():
            break
        steps[near] = distance + 1
    return steps


@kernel
def grow(key: np.uint64, cells: int, loops: float, walls: np.ndarray, stack: np.ndarray) -> None:
    """A maze of cells x cells cells, a spanning tree by depth-first search and some loops: every cell reaches every.

    Cell (i, j) is the square (2 i + 1, 2 j + 1); the square between two neighbouring cells is free where they connect.

    Args:
        key: of the maze.
        cells: along each side.
        loops: probability with which a wall between two cells that the tree left standing is opened.
        walls: (2 cells + 1 or more, same) uint8, receives 1 for a wall and 0 for a free square.
        stack: (cells * cells or more,) int64 work space.
    """
    tree, more = keys.split(key, TREE_STREAM), keys.split(key, LOOP_STREAM)
    for i in range(2 * cells + 1):
        for j in range(2 * cells + 1):
            walls[i, j] = 1
    here = keys.below(tree, 0, cells * cells)
    walls[2 * (here // cells) + 1, 2 * (here % cells) + 1] = 0
    stack[0] = here
    depth, draw = 1, 1
    while depth > 0:
        row, column = stack[depth - 1] // cells, stack[depth - 1] % cells
        way, choices = UNREACHED, 0
        for side in range(4):
            y, x = row + COMPASS[side, 0], column + COMPASS[side, 1]
            if 0 <= y < cells and 0 <= x < cells and walls[2 * y + 1, 2 * x + 1] == 1:
                choices += 1
                if choices == 1 or keys.below(tree, draw, choices) == 0:
                    way = side
                draw += 1
        if way == UNREACHED:
            depth -= 1
            continue
        y, x = row + COMPASS[way, 0], column + COMPASS[way, 1]
        walls[row + y + 1, column + x + 1] = 0
        walls[2 * y + 1, 2 * x + 1] = 0
        stack[depth] = y * cells + x
        depth += 1
    for i in range(1, 2 * cells):
        for j in range(1 + i % 2, 2 * cells, 2):
            if walls[i, j] == 1 and keys.uniform(more, i * 2 * cells + j) < loops:
                walls[i, j] = 0
