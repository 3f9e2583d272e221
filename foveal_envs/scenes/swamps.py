"""Swamps: cones in the plane, the exact area under them along a straight leg, and the shortest path around them.

A swamp is a row (x, y, radius, height); its depth at distance r of its centre is max(0, height (1 - r / radius)).
Depths of swamps that overlap add.
"""

from __future__ import annotations

import math

import numpy as np

from ..compiled import kernel

CAPACITY = 5  # swamps of a scene
CORNERS = 2 + CAPACITY * (4 * (CAPACITY - 1) + 4)  # start, goal, and where tangents touch: 4 a pair, 2 a point
NEAR = 1e-9
TOUCHING = 1e-4  # a tangent shorter than this ends where it begins: on the rim
GRAPH = np.dtype(  # work space of the shortest path: corners, and for each the swamp it lies on (-1: none)
    [
        ("count", np.int64),
        ("x", np.float64, (CORNERS,)),
        ("y", np.float64, (CORNERS,)),
        ("on", np.int64, (CORNERS,)),
        ("partner", np.int64, (CORNERS,)),  # other end of the tangent
        ("angle", np.float64, (CORNERS,)),  # as seen from the swamp's centre
        ("distance", np.float64, (CORNERS,)),  # to the goal
        ("next", np.int64, (CORNERS,)),
        ("over", np.uint8, (CORNERS,)),
        ("radius", np.float64, (CAPACITY,)),  # a little less where start or goal touches the swamp
    ]
)


@kernel
def leg_area(x0: float, y0: float, x1: float, y1: float, swamps: np.ndarray, count: int) -> float:
    """Area under the cones' surfaces along a straight leg, exact.

    With p the distance of the line from a centre, and the chord from a to b measured from the foot of the perpendicular
    and cut to the leg: height [(b - a) - (G(b) - G(a)) / radius], G(l) = 1/2 [l sqrt(l^2 + p^2) + p^2 asinh(l / p)].

    Args:
        x0, y0, x1, y1: ends of the leg.
        swamps: (CAPACITY, 4).
        count: how many of them there are.
    """
    length = math.hypot(x1 - x0, y1 - y0)
    if length == 0.0:
        return 0.0
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    area = 0.0
    for i in range(count):
        radius, height = swamps[i, 2], swamps[i, 3]
        dx, dy = swamps[i, 0] - x0, swamps[i, 1] - y0
        foot, p = dx * ux + dy * uy, abs(dx * uy - dy * ux)
        if p < radius:
            half = math.sqrt(radius * radius - p * p)
            a, b = max(-half, -foot), min(half, length - foot)
            if b > a:
                area += height * ((b - a) - (_antiderivative(b, p) - _antiderivative(a, p)) / radius)
    return area


@kernel
def _antiderivative(at: float, p: float) -> float:
    """G: of the distance from a point whose foot on a line is ``p`` away."""
    arc = p * p * math.asinh(at / p) if p > 0.0 else 0.0
    return 0.5 * (at * math.sqrt(at * at + p * p) + arc)


@kernel
def inside(x: float, y: float, margin: float, swamps: np.ndarray, count: int) -> bool:
    """Whether a point lies in a swamp or within ``margin`` of one."""
    for i in range(count):  # noqa: SIM110 (Numba compiles no generator expression)
        if math.hypot(swamps[i, 0] - x, swamps[i, 1] - y) < swamps[i, 2] + margin:
            return True
    return False


@kernel
def shortest_way(x0: float, y0: float, x1: float, y1: float, swamps: np.ndarray, count: int, graph: np.void) -> float:
    """Length of the shortest path from a start to a goal that enters no swamp, inf if there is none.

    Exact: Dijkstra's search over the visibility graph of tangents and of arcs between their ends. Afterwards
    ``graph["next"]`` leads from corner to corner, from the start, corner 0, to the goal, corner 1.

    Args:
        x0, y0, x1, y1: start and goal; at most on the rim of a swamp.
        swamps: (CAPACITY, 4).
        count: how many of them there are.
        graph: a record GRAPH, work space.
    """
    _find_corners(x0, y0, x1, y1, swamps, count, graph)
    distance, following, over = graph["distance"], graph["next"], graph["over"]
    total = graph["count"]
    for k in range(total):
        distance[k] = math.inf
        over[k] = 0
        following[k] = -1
    distance[1] = 0.0
    if _open(x0, y0, x1, y1, -1, -1, swamps, count, graph):
        distance[0], following[0] = math.hypot(x1 - x0, y1 - y0), 1
        return float(distance[0])
    for _ in range(total):
        best = -1
        for k in range(total):
            if over[k] == 0 and (best < 0 or distance[k] < distance[best]):
                best = k
        if best == 0 or distance[best] == math.inf:
            break
        over[best] = 1
        for k in range(total):
            if over[k] == 0:
                length = distance[best] + _edge(best, k, swamps, count, graph)
                if length < distance[k]:
                    distance[k], following[k] = length, best
    return float(distance[0])


@kernel
def _find_corners(x0: float, y0: float, x1: float, y1: float, swamps: np.ndarray, count: int, graph: np.void) -> None:
    """Start, goal, and both ends of every tangent that no swamp crosses."""
    graph["count"] = 2
    graph["x"][0], graph["y"][0], graph["x"][1], graph["y"][1] = x0, y0, x1, y1
    for k in range(2):
        graph["on"][k] = -1
        graph["partner"][k] = -1
    for i in range(count):
        cx, cy = swamps[i, 0], swamps[i, 1]
        nearest = min(math.hypot(cx - x0, cy - y0), math.hypot(cx - x1, cy - y1))
        graph["radius"][i] = min(swamps[i, 2], nearest * (1.0 - NEAR))
    for i in range(count):
        cx, cy, radius = swamps[i, 0], swamps[i, 1], graph["radius"][i]
        for end in range(2):
            px, py = graph["x"][end], graph["y"][end]
            away = math.hypot(px - cx, py - cy)
            middle, half = math.atan2(py - cy, px - cx), math.acos(min(1.0, radius / away))
            for side in range(2):
                angle = middle + (half if side else -half)
                tx, ty = cx + radius * math.cos(angle), cy + radius * math.sin(angle)
                if _open(px, py, tx, ty, i, -1, swamps, count, graph):
                    _add_corner(tx, ty, i, angle, end, graph)
        for j in range(i + 1, count):
            dx, dy, other = swamps[j, 0] - cx, swamps[j, 1] - cy, graph["radius"][j]
            away, middle = math.hypot(dx, dy), math.atan2(dy, dx)
            for kind in range(2):  # outer tangents touch both on one side, inner ones cross between them
                share = (radius - other if kind == 0 else radius + other) / away if away > 0.0 else 2.0
                if abs(share) < 1.0:
                    for side in range(2):
                        angle = middle + (math.acos(share) if side else -math.acos(share))
                        back = angle if kind == 0 else angle + math.pi
                        ax, ay = cx + radius * math.cos(angle), cy + radius * math.sin(angle)
                        bx, by = swamps[j, 0] + other * math.cos(back), swamps[j, 1] + other * math.sin(back)
                        if _open(ax, ay, bx, by, i, j, swamps, count, graph):
                            _add_corner(ax, ay, i, angle, graph["count"] + 1, graph)
                            _add_corner(bx, by, j, back, graph["count"] - 1, graph)


@kernel
def _add_corner(x: float, y: float, on: int, angle: float, partner: int, graph: np.void) -> None:
    k = graph["count"]
    graph["x"][k], graph["y"][k], graph["on"][k], graph["partner"][k] = x, y, on, partner
    graph["angle"][k] = angle % (2.0 * math.pi)
    graph["count"] = k + 1


@kernel
def _open(
    x0: float, y0: float, x1: float, y1: float, i: int, j: int, swamps: np.ndarray, count: int, graph: np.void
) -> bool:
    """Whether a segment enters no swamp; it may touch swamps i and j."""
    length = math.hypot(x1 - x0, y1 - y0)
    ux, uy = ((x1 - x0) / length, (y1 - y0) / length) if length > 0.0 else (1.0, 0.0)
    for k in range(count):
        if k != i and k != j:
            dx, dy = swamps[k, 0] - x0, swamps[k, 1] - y0
            along = min(length, max(0.0, dx * ux + dy * uy))
            if math.hypot(dx - along * ux, dy - along * uy) < graph["radius"][k] * (1.0 - NEAR):
                return False
    return True


@kernel
def _edge(a: int, b: int, swamps: np.ndarray, count: int, graph: np.void) -> float:
    """Length of the way between two corners: their tangent, or the shorter open arc of the swamp both lie on."""
    if graph["partner"][a] == b or graph["partner"][b] == a:
        return math.hypot(graph["x"][a] - graph["x"][b], graph["y"][a] - graph["y"][b])
    i = graph["on"][a]
    if i < 0 or i != graph["on"][b]:
        return math.inf
    turn = (graph["angle"][b] - graph["angle"][a]) % (2.0 * math.pi)
    ways = math.inf
    if _arc_open(i, graph["angle"][a], turn, swamps, count, graph):
        ways = turn
    if _arc_open(i, graph["angle"][b], 2.0 * math.pi - turn, swamps, count, graph):
        ways = min(ways, 2.0 * math.pi - turn)
    return float(graph["radius"][i] * ways)


@kernel
def _arc_open(i: int, first: float, turn: float, swamps: np.ndarray, count: int, graph: np.void) -> bool:
    """Whether the arc of swamp i from an angle, ``turn`` further, enters no other swamp."""
    radius = graph["radius"][i]
    for j in range(count):
        dx, dy, other = swamps[j, 0] - swamps[i, 0], swamps[j, 1] - swamps[i, 1], graph["radius"][j]
        away = math.hypot(dx, dy)
        if j == i or away >= radius + other or away <= radius - other:
            continue
        if away <= other - radius:
            return False
        half = math.acos((away * away + radius * radius - other * other) / (2.0 * away * radius)) - NEAR
        gap = (math.atan2(dy, dx) - half - first) % (2.0 * math.pi)  # from the arc's beginning to the covered part
        if gap < turn or gap + 2.0 * half > 2.0 * math.pi:
            return False
    return True


@kernel
def next_waypoint(swamps: np.ndarray, largest_turn: float, graph: np.void) -> tuple[float, float]:
    """After ``shortest_way``: where to go straight next; an arc is walked along the polygon around it.

    Args:
        swamps: (CAPACITY, 4).
        largest_turn: radians between two sides of the polygon.
        graph: a record GRAPH.

    Returns:
        x, y.
    """
    x, y, here = graph["x"], graph["y"], 0
    target = graph["next"][here]
    while target > 1 and math.hypot(x[target] - x[0], y[target] - y[0]) < TOUCHING:
        here = target
        target = graph["next"][here]
    if target < 0:
        return float(x[1]), float(y[1])
    i = graph["on"][here]
    if i < 0 or graph["partner"][here] == target or graph["partner"][target] == here:
        return float(x[target]), float(y[target])
    first = graph["angle"][here]
    turn = (graph["angle"][target] - first + math.pi) % (2.0 * math.pi) - math.pi
    if abs(abs(turn) * graph["radius"][i] + graph["distance"][target] - graph["distance"][here]) > 1e-6:
        turn -= math.copysign(2.0 * math.pi, turn)  # the long way round
    half = 0.5 * math.copysign(min(abs(turn), largest_turn), turn)
    reach = graph["radius"][i] / math.cos(half)
    return float(swamps[i, 0] + reach * math.cos(first + half)), float(swamps[i, 1] + reach * math.sin(first + half))
