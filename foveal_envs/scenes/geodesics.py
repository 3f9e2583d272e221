"""Shortest paths of a square body among square blocks: exact, over the corners that it can see.

Blocks are unit squares, ``walls[row, column]`` 1 where one stands; outside all is wall. The body is an axis-parallel
square with sides 2 BODY, so a corridor of one unit leaves its centre 1 - 2 BODY.
"""

from __future__ import annotations

import math

import numpy as np

from ..compiled import kernel

BODY = 0.1
SLACK = 1e-9  # a body may touch a wall
CORNER = BODY + 1e-6  # paths pass corners by that much, so that actions in float32 do not touch them


def graph_record(side: int) -> np.dtype[np.void]:
    """Work space of ``shortest_path`` for at most side x side blocks."""
    most = 2 + (side + 1) * (side + 1)
    return np.dtype(
        [
            ("count", np.int64),
            ("x", np.float64, (most,)),
            ("y", np.float64, (most,)),
            ("distance", np.float64, (most,)),  # to the goal
            ("next", np.int64, (most,)),
            ("over", np.uint8, (most,)),
        ]
    )


@kernel
def wall_at(walls: np.ndarray, size: int, row: int, column: int) -> bool:
    """Whether a block stands in one of size x size squares, or outside."""
    return not (0 <= row < size and 0 <= column < size) or walls[row, column] == 1


@kernel
def is_clear(walls: np.ndarray, size: int, x0: float, y0: float, x1: float, y1: float) -> bool:
    """Whether the body can go straight from one place to another."""
    reach = BODY - SLACK
    dx, dy = x1 - x0, y1 - y0
    left, right = min(x0, x1), max(x0, x1)
    for column in range(math.floor(left - reach), math.floor(right + reach) + 1):
        a, b = 0.0, 1.0  # the part of the way on which the body overlaps the column
        if right - left > SLACK:
            a, b = (column - reach - x0) / dx, (column + 1 + reach - x0) / dx
            a, b = max(0.0, min(a, b)), min(1.0, max(a, b))
        low, high = y0 + a * dy, y0 + b * dy
        if low > high:
            low, high = high, low
        for row in range(math.floor(low - reach), math.floor(high + reach) + 1):
            if wall_at(walls, size, row, column):
                return False
    return True


@kernel
def shortest_path(
    walls: np.ndarray, size: int, x0: float, y0: float, x1: float, y1: float, graph: np.void, whole: bool
) -> float:
    """Length of the shortest path from a start to a goal, inf if there is none: Dijkstra's search over corners.

    A shortest path bends only where one block meets three free squares. Afterwards ``graph["next"]`` leads from corner
    to corner, from the start, corner 0, to the goal, corner 1.

    Args:
        walls: (size or more, same) uint8.
        size: blocks along a side.
        x0, y0, x1, y1: start and goal, where the body fits.
        graph: a ``graph_record``, work space.
        whole: find ``graph["distance"]`` to the goal of all corners, not only what the path needs.
    """
    x, y, distance, following, over = graph["x"], graph["y"], graph["distance"], graph["next"], graph["over"]
    x[0], y[0], x[1], y[1] = x0, y0, x1, y1
    count = 2
    for row in range(1, size):
        for column in range(1, size):
            a, b = walls[row - 1, column - 1], walls[row - 1, column]
            c, d = walls[row, column - 1], walls[row, column]
            if a + b + c + d == 1:
                x[count] = column + (CORNER if a + c == 1 else -CORNER)
                y[count] = row + (CORNER if a + b == 1 else -CORNER)
                count += 1
    graph["count"] = count
    for k in range(count):
        distance[k] = math.inf
        over[k] = 0
        following[k] = -1
    distance[1] = 0.0
    best = 1
    while whole or best != 0:
        over[best] = 1
        bx, by, so_far = x[best], y[best], distance[best]
        for k in range(count):
            if over[k] == 0:
                length = so_far + math.hypot(x[k] - bx, y[k] - by)
                if length < distance[k] and is_clear(walls, size, x[k], y[k], bx, by):
                    distance[k] = length
                    following[k] = best
        best = -1
        for k in range(count):
            if over[k] == 0 and distance[k] < math.inf and (best < 0 or _bound(graph, k) < _bound(graph, best)):
                best = k
        if best < 0:
            break
    return float(distance[0])


@kernel
def _bound(graph: np.void, k: int) -> float:
    """A lower bound of the path over corner k: A* search."""
    return float(graph["distance"][k] + math.hypot(graph["x"][k] - graph["x"][0], graph["y"][k] - graph["y"][0]))


@kernel
def distance_left(walls: np.ndarray, size: int, x: float, y: float, graph: np.void) -> float:
    """After ``shortest_path`` with ``whole``: length of the shortest path from any place to the goal."""
    least = math.inf
    for k in range(1, graph["count"]):
        length = graph["distance"][k] + math.hypot(graph["x"][k] - x, graph["y"][k] - y)
        if length < least and is_clear(walls, size, x, y, graph["x"][k], graph["y"][k]):
            least = length
    return least
