"""Objects made of convex parts and discs: their records, their shapes, and their fast sensing through receptive fields.

An object is a rigid body at (x, y, angle). Its parts have a sign: +1 adds darkness, -1 cuts a hole or a dent, so that a
ring is a disc less a disc and every concave shape is a sum of convex ones. Parts never overlap with equal sign.
Angles are radians, clockwise on the screen, because y points down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import keys
from ..compiled import kernel
from ..limits import NUMBER
from ..retinas.retina import BOX_HEIGHT, BOX_U, BOX_V, BOX_WIDTH, PER_RADIUS, RADIUS, U, V
from ..vectors import LANES, load, root, store
from .coverage import HALF, ONE, beyond, beyond_both, corner, half_plane

EDGES, PARTS = 8, 4
TINY = np.float32(1e-6)
A, B, AWAY, COSINE, SECOND, THIRD = range(6)  # rows of the work space, which has an edge a column: ``_find_lines``
LINE = 6  # number of these rows
PART = np.dtype(
    [
        ("edges", np.int32),  # 0: a disc
        ("sign", np.float32),
        ("x", np.float32),  # bounding circle, object frame, pixels
        ("y", np.float32),
        ("radius", np.float32),
        ("vertex_x", np.float32, (EDGES,)),
        ("vertex_y", np.float32, (EDGES,)),
        ("normal_x", np.float32, (LANES,)),  # outward unit normals; from here on a vector for all edges
        ("normal_y", np.float32, (LANES,)),
        ("offset", np.float32, (LANES,)),  # a point is outside an edge by normal . point - offset
        ("corner", np.float32, (LANES,)),  # cosine of the angle between an edge's normal and the next one's
    ]
)
OBJECT = np.dtype(
    [
        ("x", np.float64),
        ("y", np.float64),
        ("angle", np.float64),
        ("radius", np.float32),  # of the circle that holds the whole object
        ("value", np.float32, (3,)),  # darkness of each channel: 0 white, 1 black
        ("parts", np.int32),
        ("part", PART, (PARTS,)),
    ]
)
OBJECT_LIMITS = {
    **dict.fromkeys(("x", "y", "radius"), NUMBER),
    "angle": (-math.pi, math.pi),
    "value": (0.0, 1.0),
    "parts": (0, PARTS),
    "part": {**dict.fromkeys(PART.names or (), NUMBER), "edges": (0, EDGES), "sign": (-1.0, 1.0)},
}

FIXED_SHAPES = ("triangle", "L", "T", "plus", "ring", "disc", "square", "arrow")
RANDOM_SHAPES = ("convex", "concave")
SHAPES = FIXED_SHAPES + RANDOM_SHAPES
CONVEX, CONCAVE = len(FIXED_SHAPES), len(FIXED_SHAPES) + 1
MIN_CORNERS, MAX_CORNERS = 5, 8

# Outlines inside the unit circle, in units of the object's radius: (sign, vertices) or (sign, (x, y, radius)).
Outline = tuple[float, Sequence[Sequence[float]]]


def _rectangle(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


_TOP, _SIDE = math.cos(math.radians(130.0)), math.sin(math.radians(130.0))
_OUTLINES: dict[str, list[Outline]] = {
    # isosceles, so that its sharpest corner (50 degrees, pointing up) tells its angle
    "triangle": [(1.0, [(0.0, -1.0), (_SIDE, -_TOP), (-_SIDE, -_TOP)])],
    "L": [(1.0, _rectangle(-0.60, -0.80, -0.10, 0.80)), (1.0, _rectangle(-0.10, 0.30, 0.60, 0.80))],
    "T": [(1.0, _rectangle(-0.80, -0.60, 0.80, -0.15)), (1.0, _rectangle(-0.25, -0.15, 0.25, 0.80))],
    "plus": [
        (1.0, _rectangle(-0.95, -0.30, -0.30, 0.30)),
        (1.0, _rectangle(-0.30, -0.95, 0.30, 0.95)),
        (1.0, _rectangle(0.30, -0.30, 0.95, 0.30)),
    ],
    "ring": [(1.0, [(0.0, 0.0, 1.0)]), (-1.0, [(0.0, 0.0, 0.6)])],
    "disc": [(1.0, [(0.0, 0.0, 1.0)])],
    "square": [(1.0, _rectangle(-math.sqrt(0.5), -math.sqrt(0.5), math.sqrt(0.5), math.sqrt(0.5)))],
    "arrow": [(1.0, [(0.0, -1.0), (0.7, -0.1), (-0.7, -0.1)]), (1.0, _rectangle(-0.22, -0.1, 0.22, 0.95))],
}


@kernel
def set_disc(part: np.void, sign: float, x: float, y: float, radius: float) -> None:
    """Make ``part`` a disc: centre and radius in pixels of the object frame."""
    part["edges"] = 0
    part["sign"] = sign
    part["x"] = x
    part["y"] = y
    part["radius"] = radius


@kernel
def set_polygon(part: np.void, sign: float, edges: int) -> None:
    """Finish ``part``, whose first ``edges`` vertices are set: its normals, offsets and bounding circle."""
    part["edges"] = edges
    part["sign"] = sign
    vertex_x, vertex_y = part["vertex_x"], part["vertex_y"]
    x = y = 0.0
    for i in range(edges):
        x += vertex_x[i] / edges
        y += vertex_y[i] / edges
    radius = 0.0
    for i in range(edges):
        j = i + 1 if i + 1 < edges else 0
        radius = max(radius, math.hypot(vertex_x[i] - x, vertex_y[i] - y))
        ex, ey = vertex_x[j] - vertex_x[i], vertex_y[j] - vertex_y[i]
        length = math.hypot(ex, ey)
        part["normal_x"][i] = ey / length
        part["normal_y"][i] = -ex / length
        part["offset"][i] = (ey * vertex_x[i] - ex * vertex_y[i]) / length
    for i in range(edges):
        j = i + 1 if i + 1 < edges else 0
        part["corner"][i] = part["normal_x"][i] * part["normal_x"][j] + part["normal_y"][i] * part["normal_y"][j]
    part["x"] = x
    part["y"] = y
    part["radius"] = radius


def shape_table(radius: float = 1.0) -> np.ndarray:
    """The fixed shapes as records.

    Returns:
        (8,) array of OBJECT in the order of ``FIXED_SHAPES``, each inside a circle of ``radius`` pixels.
    """
    table = np.zeros(len(FIXED_SHAPES), OBJECT)
    for record, name in zip(table, FIXED_SHAPES, strict=True):
        record["radius"] = radius
        record["parts"] = len(_OUTLINES[name])
        for part, (sign, outline) in zip(record["part"], _OUTLINES[name], strict=False):
            points = np.asarray(outline) * radius
            if points.shape == (1, 3):
                set_disc(part, sign, *points[0])
            else:
                part["vertex_x"][: len(points)], part["vertex_y"][: len(points)] = points.T
                set_polygon(part, sign, len(points))
    return table


@kernel
def random_polygon(thing: np.void, key: np.uint64, radius: float, concave: bool) -> None:
    """Give ``thing`` the shape of a random polygon of 5 to 8 corners on a circle of ``radius``, drawn from ``key``.

    Corners are evenly spaced but for a jitter; a concave polygon has one or two dents, triangles cut from its edges.
    """
    edges = MIN_CORNERS + keys.below(key, 0, MAX_CORNERS - MIN_CORNERS + 1)
    turn = keys.between(key, 1, 0.0, 2.0 * math.pi)
    body = thing["part"][0]
    for i in range(edges):
        angle = turn + 2.0 * math.pi * (i + keys.between(key, 2 + i, -0.4, 0.4)) / edges
        body["vertex_x"][i] = radius * math.cos(angle)
        body["vertex_y"][i] = radius * math.sin(angle)
    set_polygon(body, 1.0, edges)
    thing["radius"] = radius
    thing["parts"] = 1
    if concave:
        thing["parts"] = 2 + keys.below(key, 20, 2)
        first = keys.below(key, 21, edges)
        for n in range(1, thing["parts"]):
            i = (first + (n - 1) * (edges // 2)) % edges
            j = (i + 1) % edges
            depth = keys.between(key, 21 + n, 0.25, 0.65)
            dent = thing["part"][n]
            dent["vertex_x"][0] = body["vertex_x"][i]
            dent["vertex_y"][0] = body["vertex_y"][i]
            dent["vertex_x"][1] = body["vertex_x"][j]
            dent["vertex_y"][1] = body["vertex_y"][j]
            dent["vertex_x"][2] = 0.5 * (1.0 - depth) * (body["vertex_x"][i] + body["vertex_x"][j])
            dent["vertex_y"][2] = 0.5 * (1.0 - depth) * (body["vertex_y"][i] + body["vertex_y"][j])
            set_polygon(dent, -1.0, 3)


@kernel
def copy_shape(source: np.void, target: np.void, scale: float) -> None:
    """Copy the shape of ``source`` to ``target``, ``scale`` times as large; pose and value stay as they are."""
    target["radius"] = scale * source["radius"]
    target["parts"] = source["parts"]
    for n in range(source["parts"]):
        a, b = source["part"][n], target["part"][n]
        set_disc(b, a["sign"], scale * a["x"], scale * a["y"], scale * a["radius"])
        b["edges"] = a["edges"]
        for i in range(a["edges"]):
            b["vertex_x"][i] = scale * a["vertex_x"][i]
            b["vertex_y"][i] = scale * a["vertex_y"][i]
            b["normal_x"][i] = a["normal_x"][i]
            b["normal_y"][i] = a["normal_y"][i]
            b["offset"][i] = scale * a["offset"][i]
            b["corner"][i] = a["corner"][i]


@kernel
def add_object(
    thing: np.void,
    ink: np.float32,
    x: float,
    y: float,
    angle: float,
    fields: np.ndarray,
    reach: float,
    scratch: np.ndarray,
    out: np.ndarray,
) -> bool:
    """Add ``ink`` times the share of every receptive field that one object covers.

    Args:
        thing: the object.
        ink: what a field that it covers wholly receives.
        x, y, angle: pose of the fovea in the scene, pixels and radians.
        fields: (8, K) float32 of a ``Retina``.
        reach: radius of the circle around the gaze that holds all fields.
        scratch: (LINE, K) or more, float32: work space.
        out: (K,) or longer, float32: added to, in place.

    Returns:
        Whether any field may see the object; if not, ``out`` is untouched.
    """
    dx, dy = x - thing["x"], y - thing["y"]
    far = reach + thing["radius"]
    if dx * dx + dy * dy >= far * far:
        return False
    ox, oy = dx, dy  # the gaze in the object's frame
    if thing["angle"] != 0.0:
        cos, sin = math.cos(thing["angle"]), math.sin(thing["angle"])
        ox, oy = cos * dx + sin * dy, cos * dy - sin * dx
    c, s = 1.0, 0.0  # a field at (u, v) stands at (ox + c u - s v, oy + s u + c v) there
    if angle != thing["angle"]:
        c, s = math.cos(angle - thing["angle"]), math.sin(angle - thing["angle"])
    for n in range(thing["parts"]):
        part = thing["part"][n]
        weight = ink * part["sign"]
        qx, qy = part["x"] - ox, part["y"] - oy  # its circle in the fovea's frame
        u, v, radius = np.float32(c * qx + s * qy), np.float32(c * qy - s * qx), part["radius"]
        edges = part["edges"]
        if edges:
            _find_lines(part, np.float32(ox), np.float32(oy), np.float32(c), np.float32(s), scratch)
        for k in range(0, fields.shape[1], LANES):
            wide, tall = fields[BOX_WIDTH, k] + radius, fields[BOX_HEIGHT, k] + radius
            if abs(fields[BOX_U, k] - u) < wide and abs(fields[BOX_V, k] - v) < tall:
                share = (
                    _share_of_polygon(edges, scratch, fields, k) if edges else _share_of_disc(u, v, radius, fields, k)
                )
                store(out, k, load(out, k) + weight * share)
    return True


@kernel
def _find_lines(
    part: np.void, ox: np.float32, oy: np.float32, c: np.float32, s: np.float32, scratch: np.ndarray
) -> None:
    """Write the edges of a polygon as the fovea sees them, one a column: a field's centre (u, v) lies a u + b v + away
    beyond an edge; below that what ``beyond_both`` needs of the corner to the next edge.
    """
    nx, ny, cosine = load(part["normal_x"], 0), load(part["normal_y"], 0), load(part["corner"], 0)
    store(scratch[A], 0, c * nx + s * ny)
    store(scratch[B], 0, c * ny - s * nx)
    store(scratch[AWAY], 0, ox * nx + oy * ny - load(part["offset"], 0))
    second, third = corner(cosine)
    store(scratch[COSINE], 0, cosine)
    store(scratch[SECOND], 0, second)
    store(scratch[THIRD], 0, third)


@kernel
def _share_of_polygon(edges: int, lines: np.ndarray, fields: np.ndarray, k: int) -> Any:
    """Shares of the 16 fields from k on that a convex polygon covers: all, less what lies beyond each edge, plus what
    lies beyond each two neighbours, which was taken away twice: the edges that have a point beyond them stand in a row.
    """
    u, v, per_r = load(fields[U], k), load(fields[V], k), load(fields[PER_RADIUS], k)
    first = beyond((lines[A, 0] * u + lines[B, 0] * v + lines[AWAY, 0]) * per_r)
    outside, _, _, _ = first
    share, last = ONE - outside, first
    for i in range(1, edges):
        this = beyond((lines[A, i] * u + lines[B, i] * v + lines[AWAY, i]) * per_r)
        outside, _, _, _ = this
        share += beyond_both(last, this, lines[COSINE, i - 1], lines[SECOND, i - 1], lines[THIRD, i - 1]) - outside
        last = this
    i = edges - 1
    return share + beyond_both(last, first, lines[COSINE, i], lines[SECOND, i], lines[THIRD, i])


@kernel
def _share_of_disc(x: np.float32, y: np.float32, radius: np.float32, fields: np.ndarray, k: int) -> Any:
    """Shares of the 16 fields from k on that a disc covers: the lens of two circles is a segment of each, cut off by
    their common chord.
    """
    u, v, r, per_r = load(fields[U], k), load(fields[V], k), load(fields[RADIUS], k), load(fields[PER_RADIUS], k)
    dx, dy = u - x, v - y
    squared = dx * dx + dy * dy + TINY
    distance = root(squared)
    chord = HALF * (squared + r * r - radius * radius) / distance
    ratio = radius * per_r
    return half_plane(chord * per_r) + ratio * ratio * half_plane((distance - chord) * (ONE / radius))
