"""Walls as a retina sees them, and as a body feels them."""

from __future__ import annotations

import math

import numpy as np

from ..compiled import kernel
from .geodesics import BODY, is_clear


@kernel
def sum_free(walls: np.ndarray, size: int, sums: np.ndarray) -> None:
    """Free area above and left of every grid point: sums[row, column] of size x size blocks, with a border of 0."""
    for column in range(size + 1):
        sums[0, column] = 0
    for row in range(size):
        line = 0
        sums[row + 1, 0] = 0
        for column in range(size):
            line += 1 - walls[row, column]
            sums[row + 1, column + 1] = sums[row, column + 1] + line


@kernel
def _free_above(sums: np.ndarray, size: int, x: float, y: float) -> float:
    """Free area above and left of any point, exact: bilinear between grid points."""
    x, y = min(float(size), max(0.0, x)), min(float(size), max(0.0, y))
    column, row = min(size - 1, int(x)), min(size - 1, int(y))
    x, y = x - column, y - row
    upper = sums[row, column] + x * (sums[row, column + 1] - sums[row, column])
    lower = sums[row + 1, column] + x * (sums[row + 1, column + 1] - sums[row + 1, column])
    return float(upper + y * (lower - upper))


@kernel
def see_walls(
    sums: np.ndarray, size: int, x: float, y: float, angle: float, fields: np.ndarray, out: np.ndarray
) -> None:
    """The share of wall in each receptive field; outside the maze all is wall.

    Args:
        sums: of ``sum_free``.
        size: blocks along a side.
        x, y, angle: pose, blocks and radians.
        fields: (K, 3) of (u, v, side): a field is an axis-parallel square around its centre, whatever the angle.
        out: receives K numbers in [0, 1].
    """
    cos, sin = math.cos(angle), math.sin(angle)
    for k in range(fields.shape[0]):
        u, v, side = fields[k, 0], fields[k, 1], fields[k, 2]
        left, top = x + cos * u - sin * v - 0.5 * side, y + sin * u + cos * v - 0.5 * side
        right, bottom = left + side, top + side
        free = _free_above(sums, size, right, bottom) - _free_above(sums, size, left, bottom)
        free += _free_above(sums, size, left, top) - _free_above(sums, size, right, top)
        out[k] = min(1.0, max(0.0, 1.0 - free / (side * side)))


@kernel
def walk(walls: np.ndarray, size: int, place: np.ndarray, dx: float, dy: float) -> float:
    """Move a body by (dx, dy), each at most 1: straight, or where walls stand in the way, along them.

    Args:
        walls: (size or more, same) uint8.
        size: blocks along a side.
        place: (2,) x and y, changed in place.
        dx, dy: displacement.

    Returns:
        Length of the way.
    """
    x, y = place[0], place[1]
    if is_clear(walls, size, x, y, x + dx, y + dy):
        place[0], place[1] = x + dx, y + dy
        return math.hypot(dx, dy)
    place[0] = x + dx if is_clear(walls, size, x, y, x + dx, y) else _stop(x, dx)
    across = place[0]
    place[1] = y + dy if is_clear(walls, size, across, y, across, y + dy) else _stop(y, dy)
    return float(abs(place[0] - x) + abs(place[1] - y))


@kernel
def _stop(at: float, by: float) -> float:
    """Where a body that meets a wall on its way along one axis comes to rest."""
    if by > 0.0:
        return max(at, math.floor(at + by + BODY) - BODY)
    return min(at, math.floor(at + by - BODY) + 1.0 + BODY)
