"""Compiled functions on maps of squares: what a view reveals, paths, and where to walk straight.

A map (S, S) int8 holds FREE, WALL or UNSEEN at [row, column]. Places are (x, y) in squares from its top left corner.
Everything outside is wall.
"""

from __future__ import annotations

import math

import numpy as np

from ..cores.ops.compiled import compiled

FREE, WALL, UNSEEN = 0, 1, 2
MOST = 14  # most unseen squares under one receptive field for which all possibilities are tried
TOLERANCE = 1e-4  # squares of area: rounding errors of shares and places in float32
FAR = 1e9
SLACK = 1e-3  # squares by which a body may seem to overlap a wall
MARGIN = 1e-4  # squares between the body and a corner that it passes
LOOKAHEAD = 40  # squares of a path that are pulled taut


@compiled
def look(squares: np.ndarray, x: float, y: float, view: np.ndarray, fields: np.ndarray, body: float) -> int:
    """Marks what is certain: squares that are the same in every map with these shares of wall in the fields.

    Args:
        squares: (S, S) map, changed in place.
        x, y: place of the body.
        view: (K,) shares of wall, in [0, 1].
        fields: (K, 3) of (u, v, side), squares; a field is an axis-parallel square around its centre.
        body: half-width of the body, squares; there is no wall under it.

    Returns:
        Number of squares that became known.
    """
    size = len(squares)
    rows, columns, area = np.empty(MOST, np.int64), np.empty(MOST, np.int64), np.empty(MOST)
    found, before = 0, -1
    for i in range(math.floor(y - body + SLACK), math.floor(y + body - SLACK) + 1):
        for j in range(math.floor(x - body + SLACK), math.floor(x + body - SLACK) + 1):
            found += squares[i, j] == UNSEEN
            squares[i, j] = FREE
    while found > before:  # what one field reveals may help the next
        before = found
        for k in range(len(fields)):
            u, v, side = fields[k, 0], fields[k, 1], fields[k, 2]
            left, top = x + u - 0.5 * side, y + v - 0.5 * side
            wall, count = view[k] * side * side, 0
            for i in range(math.floor(top), math.floor(top + side) + 1):
                height = min(top + side, i + 1.0) - max(top, float(i))
                for j in range(math.floor(left), math.floor(left + side) + 1):
                    part = height * (min(left + side, j + 1.0) - max(left, float(j)))
                    if not (0 <= i < size and 0 <= j < size) or squares[i, j] == WALL:
                        wall -= part
                    elif squares[i, j] == UNSEEN:
                        if count < MOST:
                            rows[count], columns[count], area[count] = i, j, part
                        count += 1
            if 0 < count <= MOST:
                every, some = _possible(area[:count], wall)
                for i in range(count):
                    if (every >> i) & 1 == 1:
                        squares[rows[i], columns[i]] = WALL
                        found += 1
                    elif (some >> i) & 1 == 0:
                        squares[rows[i], columns[i]] = FREE
                        found += 1
    return found


@compiled
def _possible(area: np.ndarray, wall: float) -> tuple[int, int]:
    """Bits of the squares (m,) that are wall in every choice, and in some choice, whose areas sum to `wall`."""
    every, some, code, total = (1 << len(area)) - 1, 0, 0, 0.0
    for number in range(1, (1 << len(area)) + 1):
        if abs(total - wall) < TOLERANCE:
            every &= code
            some |= code
        bit = 0  # a Gray code: one square changes at a time
        while bit < len(area) - 1 and (number >> bit) & 1 == 0:
            bit += 1
        code ^= 1 << bit
        total += area[bit] if (code >> bit) & 1 == 1 else -area[bit]
    none = every & ~some != 0  # nothing fits: conclude nothing
    return (0, (1 << len(area)) - 1) if none else (every, some)


@compiled
def _passes(squares: np.ndarray, i: int, j: int, a: int, b: int) -> bool:
    """Whether a step from square (i, j) to its neighbour (a, b) is possible; a diagonal one passes at most one wall."""
    size = len(squares)
    if not (0 <= a < size and 0 <= b < size) or squares[a, b] == WALL:
        return False
    return i == a or j == b or squares[i, b] != WALL or squares[a, j] != WALL


@compiled
def find_costs(squares: np.ndarray, extra: np.ndarray, x: float, y: float, costs: np.ndarray) -> None:
    """Costs (S, S) from every square to a place: steps of 1 or sqrt 2, and `extra` (S, S) for entering a square."""
    size = len(squares)
    costs[:] = FAR
    queue, waits = np.empty(size * size, np.int64), np.zeros((size, size), np.bool_)
    i, j = int(y), int(x)
    costs[i, j], queue[0], head, waiting = 0.0, i * size + j, 0, 1
    while waiting:
        i, j = queue[head] // size, queue[head] % size
        head, waiting, waits[i, j] = (head + 1) % len(queue), waiting - 1, False
        for a in range(i - 1, i + 2):
            for b in range(j - 1, j + 2):
                if (a != i or b != j) and _passes(squares, i, j, a, b):
                    cost = costs[i, j] + extra[i, j] + math.hypot(a - i, b - j)
                    if cost < costs[a, b] - 1e-5:
                        costs[a, b] = cost
                        if not waits[a, b]:
                            waits[a, b] = True
                            queue[(head + waiting) % len(queue)] = a * size + b
                            waiting += 1


@compiled
def find_path(squares: np.ndarray, extra: np.ndarray, costs: np.ndarray, x: float, y: float, path: np.ndarray) -> int:
    """Writes the squares (row, column) of the cheapest path from a place to `path`; returns how many there are."""
    i, j, count = int(y), int(x), 0
    while count < len(path):
        path[count, 0], path[count, 1] = i, j
        count += 1
        if costs[i, j] <= 0.0:
            break
        least, row, column = FAR, i, j
        for a in range(i - 1, i + 2):
            for b in range(j - 1, j + 2):
                if (a != i or b != j) and _passes(squares, i, j, a, b):
                    cost = costs[a, b] + extra[a, b] + math.hypot(a - i, b - j)
                    if cost < least:
                        least, row, column = cost, a, b
        i, j = row, column
    return count


@compiled
def _clear(squares: np.ndarray, reach: float, x0: float, y0: float, x1: float, y1: float) -> bool:
    """Whether a body of half-width `reach` can move straight from one place to another over free squares."""
    size, dx, dy = len(squares), x1 - x0, y1 - y0
    left, right = min(x0, x1), max(x0, x1)
    for j in range(math.floor(left - reach), math.floor(right + reach) + 1):
        a, b = 0.0, 1.0  # the part of the line on which the body overlaps the column
        if right - left > 1e-9:
            a, b = (j - reach - x0) / dx, (j + 1 + reach - x0) / dx
            a, b = max(0.0, min(a, b)), min(1.0, max(a, b))
        low, high = min(y0 + a * dy, y0 + b * dy), max(y0 + a * dy, y0 + b * dy)
        for i in range(math.floor(low - reach), math.floor(high + reach) + 1):
            if not (0 <= i < size and 0 <= j < size) or squares[i, j] != FREE:
                return False
    return True


@compiled
def find_waypoint(
    squares: np.ndarray, path: np.ndarray, x: float, y: float, goal_x: float, goal_y: float, body: float
) -> tuple[float, float]:
    """The place to walk straight to now: the first bend of a path (P, 2) of squares pulled taut, or the goal.

    A taut path bends only at corners. The shortest one past the corners of the path's squares is found by visiting them
    in the path's order.
    """
    size, last = len(squares), min(len(path), LOOKAHEAD) - 1
    hoped = squares.copy()
    for k in range(last + 1):
        hoped[path[k, 0], path[k, 1]] = FREE
        if k > 0:  # a diagonal step leads over one of the squares beside it
            for i, j in ((path[k, 0], path[k - 1, 1]), (path[k - 1, 0], path[k, 1])):
                hoped[i, j] = FREE if squares[i, j] != WALL else WALL
    most = 4 * (last + 1) + 2
    xs, ys, lengths, before = np.empty(most), np.empty(most), np.empty(most), np.zeros(most, np.int64)
    xs[0], ys[0], lengths[0], count = x, y, 0.0, 1
    for k in range(last + 1):
        for row in range(path[k, 0], path[k, 0] + 2):
            for column in range(path[k, 1], path[k, 1] + 2):
                stands, down, right = 0, 0, 0
                for i in range(row - 1, row + 1):
                    for j in range(column - 1, column + 1):
                        if not (0 <= i < size and 0 <= j < size) or hoped[i, j] != FREE:
                            stands, down, right = stands + 1, i - row, j - column
                if stands == 1:
                    xs[count] = column + (body + MARGIN) * (1.0 if right < 0 else -1.0)
                    ys[count] = row + (body + MARGIN) * (1.0 if down < 0 else -1.0)
                    count += 1
    xs[count], ys[count] = goal_x, goal_y
    if last + 1 < len(path):
        xs[count], ys[count] = path[last, 1] + 0.5, path[last, 0] + 0.5
    count += 1
    for k in range(1, count):
        lengths[k] = FAR
        for j in range(k):
            length = lengths[j] + math.hypot(xs[k] - xs[j], ys[k] - ys[j])
            if length < lengths[k] and _clear(hoped, body, xs[j], ys[j], xs[k], ys[k]):
                lengths[k], before[k] = length, j
    k = count - 1
    while lengths[k] < FAR and (before[k] != 0 and math.hypot(xs[before[k]] - x, ys[before[k]] - y) > MARGIN):
        k = before[k]
    if lengths[k] < FAR:
        return xs[k], ys[k]
    return path[0, 1] + 0.5, path[0, 0] + 0.5
