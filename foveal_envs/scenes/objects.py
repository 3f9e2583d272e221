"""Objects made of convex parts and discs: their records, their shapes, and their fast sensing through receptive fields.

An object is a rigid body at (x, y, angle). Its parts have a sign: +1 adds darkness, -1 cuts a hole or a dent, so that a
ring is a disc less a disc and every concave shape is a sum of convex ones. Parts never overlap with equal sign.
Angles are radians, clockwise on the screen, because y points down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .. import keys
from ..compiled import kernel
from .coverage import ONE, ZERO, half_plane, polygon_share, segment

EDGES, PARTS = 8, 4
HALF, TINY = np.float32(0.5), np.float32(1e-6)
ONE_CUT, CORNERS = np.float32(2.0), 16  # marks of a field: what one edge leaves, and the first of the corners
PART = np.dtype(
    [
        ("edges", np.int32),  # 0: a disc
        ("sign", np.float32),
        ("x", np.float32),  # bounding circle, object frame, pixels
        ("y", np.float32),
        ("radius", np.float32),
        ("vertex_x", np.float32, (EDGES,)),
        ("vertex_y", np.float32, (EDGES,)),
        ("normal_x", np.float32, (EDGES,)),  # outward unit normals
        ("normal_y", np.float32, (EDGES,)),
        ("offset", np.float32, (EDGES,)),  # a point is outside an edge by normal . point - offset
        ("length", np.float32, (EDGES,)),
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
        part["length"][i] = length
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
            b["length"][i] = scale * a["length"][i]


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
        fields: (4, K) float32, rows u, v (offset from the gaze in the fovea's frame), radius and 1 / radius; pixels.
        reach: radius of the circle around the gaze that holds all fields.
        scratch: (3, K) or more, float32: work space.
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
        if part["edges"] == 0:
            qx, qy = part["x"] - ox, part["y"] - oy
            centre_u, centre_v = np.float32(c * qx + s * qy), np.float32(c * qy - s * qx)
            _add_disc(centre_u, centre_v, part["radius"], weight, fields, out)
        else:
            _add_polygon(part, weight, ox, oy, c, s, fields, reach, scratch, out)
    return True


@kernel
def _add_polygon(
    part: np.void,
    weight: np.float32,
    ox: float,
    oy: float,
    c: float,
    s: float,
    fields: np.ndarray,
    reach: float,
    scratch: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fields without a corner that at most one edge cuts, all at once; then, one by one, the few others.

    A disc that holds no corner is cut by the edges on which the foot of its centre's perpendicular lies. If that is
    one, the share inside is 1, or 0 if the centre lies outside, less or plus the smaller segment. An edge whose line
    passes all fields by cuts none.
    """
    normal_x, normal_y, offset, edges = part["normal_x"], part["normal_y"], part["offset"], part["edges"]
    for i in range(edges):
        if normal_x[i] * ox + normal_y[i] * oy - offset[i] >= reach:
            return
    u, v, r, per_r, cut, most, marks = fields[0], fields[1], fields[2], fields[3], scratch[0], scratch[1], scratch[2]
    _fill(cut, -ONE)
    _fill(most, -ONE)
    _fill(marks, ONE)
    corner = np.float32(CORNERS)
    for i in range(edges):
        nx, ny = normal_x[i], normal_y[i]
        away = nx * ox + ny * oy - offset[i]
        if away > -reach:
            x, y = ox - part["vertex_x"][i], oy - part["vertex_y"][i]
            a, b, along = np.float32(c * nx + s * ny), np.float32(c * ny - s * nx), np.float32(nx * y - ny * x)
            _cut(a, b, np.float32(away), along, part["length"][i], corner, u, v, per_r, cut, most, marks)
        corner += corner
    left = _add_shares(weight, cut, most, marks, out)
    for k in range(u.shape[0]):
        if left == 0:
            break
        if marks[k] > ONE_CUT:
            left -= 1
            px, py = ox + c * u[k] - s * v[k], oy + s * u[k] + c * v[k]
            exact = polygon_share(px, py, float(r[k]), int(marks[k]) // CORNERS, part)
            out[k] += weight * (np.float32(exact) - cut[k])


# The loops over fields below take scalars, not records: LLVM vectorises them only if no record may alias the arrays.


@kernel
def _add_disc(
    x: np.float32, y: np.float32, radius: np.float32, weight: np.float32, fields: np.ndarray, out: np.ndarray
) -> None:
    """The lens of two circles is a segment of each, cut off by their common chord."""
    u, v, r = fields[0], fields[1], fields[2]
    for k in range(r.shape[0]):
        dx, dy = u[k] - x, v[k] - y
        squared = dx * dx + dy * dy + TINY
        distance = math.sqrt(squared)
        chord = HALF * (squared + r[k] * r[k] - radius * radius) / distance
        ratio = radius / r[k]
        lens = half_plane(chord / r[k]) + ratio * ratio * half_plane((distance - chord) / radius)
        out[k] += weight * lens


@kernel
def _fill(out: np.ndarray, value: np.float32) -> None:
    for k in range(out.shape[0]):
        out[k] = value


@kernel
def _cut(
    a: np.float32,
    b: np.float32,
    away: np.float32,
    along: np.float32,
    length: np.float32,
    corner: np.float32,
    u: np.ndarray,
    v: np.ndarray,
    per_r: np.ndarray,
    cut: np.ndarray,
    most: np.ndarray,
    marks: np.ndarray,
) -> None:
    """One edge. In ``cut``: how far, in radii, a field's centre has left the edge that cuts it; in ``most``: the edge
    that it has left most; in ``marks``: 1, plus 1 for each edge that cuts it, plus ``corner`` if it holds the first.

    A centre (u, v) is a u + b v + away beyond the edge, and a v - b u + along from its first corner towards the second.
    """
    for k in range(u.shape[0]):
        d = (a * u[k] + b * v[k] + away) * per_r[k]
        t = (a * v[k] - b * u[k] + along) * per_r[k]
        cuts = (abs(d) < ONE) & (t > ZERO) & (t < length * per_r[k])
        before = most[k]
        cut[k] = d if cuts else cut[k]
        most[k] = d if d > before else before
        marks[k] += (ONE if cuts else ZERO) + (corner if d * d + t * t < ONE else ZERO)


@kernel
def _add_shares(weight: np.float32, cut: np.ndarray, most: np.ndarray, marks: np.ndarray, out: np.ndarray) -> int:
    """Add the shares of fields that at most one edge cuts, and leave them in ``cut``; how many others are left."""
    left = 0
    for k in range(cut.shape[0]):
        share = segment(cut[k]) + (ZERO if most[k] > ZERO else ONE)
        cut[k] = share
        out[k] += weight * share
        left += marks[k] > ONE_CUT
    return left
