"""Share of a receptive field (a disc) that a half-plane, a convex polygon or another disc covers, in scalar code."""

from __future__ import annotations

import math

import numpy as np

from ..compiled import kernel

ZERO, ONE = np.float32(0.0), np.float32(1.0)
# share of a unit disc beyond a line at distance t = 1 - s: s^(3/2) P(s), P fitted to the largest error below 2e-6
CAP_0, CAP_1 = np.float32(0.6003345251), np.float32(-0.0909603089)
CAP_2, CAP_3 = np.float32(-0.0058011133), np.float32(-0.0035714109)


@kernel
def half_plane(t: np.float32) -> np.float32:
    """Share of a unit disc inside a half-plane whose edge its centre has left by ``t`` (negative: is still inside by).

    share(t) = 1/2 - (t sqrt(1 - t^2) + asin t) / pi, by a polynomial with an error below 2e-6; 0 for t >= 1 and 1 for
    t <= -1. Also the area of a circular segment in units of its circle's.
    """
    cap = segment(t)
    return cap if t > ZERO else ONE + cap


@kernel
def segment(t: np.float32) -> np.float32:
    """Share of a unit disc in the smaller segment that a line at distance ``t`` cuts off; negative for negative t."""
    s = ONE - abs(t)
    s = s if s > ZERO else ZERO
    cap = s * math.sqrt(s) * (CAP_0 + s * (CAP_1 + s * (CAP_2 + s * CAP_3)))
    return cap if t > ZERO else -cap


@kernel
def wedge_share(d: float, e: float, cos: float, sin: float) -> float:
    """Share of a unit disc inside two half-planes, whose edges its centre has left by ``d`` and ``e``.

    Args:
        d, e: signed distances of the centre beyond the edges, in units of the radius, in (-1, 1).
        cos, sin: of the angle in [0, pi] between the outward normals.
    """
    if d * d + e * e - 2.0 * d * e * cos >= sin * sin:  # the edges do not cross inside the disc
        if e > d * cos:
            return 0.0 if d > e * cos else float(half_plane(np.float32(e)))
        if d > e * cos:
            return float(half_plane(np.float32(d)))
        return max(0.0, float(half_plane(np.float32(d)) + half_plane(np.float32(e)) - ONE))
    # half chords, and where each edge leaves the disc inside the other, with the first normal along x
    h, g = math.sqrt(max(0.0, 1.0 - d * d)), math.sqrt(max(0.0, 1.0 - e * e))
    ax, ay, bx, by = -d, -h, -e * cos - g * sin, g * cos - e * sin
    triangle = (h * sin - e + d * cos) * (g * sin - d + e * cos) / (2.0 * math.pi * sin)
    away = math.sqrt(max(0.0, 0.5 * (1.0 + ax * bx + ay * by)))  # of the chord between the two points
    return triangle + float(half_plane(np.float32(away if ay * bx >= ax * by else -away)))


@kernel
def polygon_share(px: float, py: float, radius: float, corners: int, part: np.void) -> float:
    """Share of the disc at (px, py) inside a convex polygon that cuts it.

    No corner in the disc: all of it, less what each edge cuts off. One: the wedge of its two edges, less what the
    others cut off.

    Args:
        px, py, radius: the disc in the polygon's frame, pixels.
        corners: bit i is set if the disc holds the first corner of edge i.
        part: record of the polygon, with unit normals; vertices run clockwise on the screen.
    """
    if corners & (corners - 1):
        return _boundary_share(px, py, radius, part)
    normal_x, normal_y, edges = part["normal_x"], part["normal_y"], part["edges"]
    per_radius = 1.0 / radius
    arriving = leaving = 0
    d = e = rest = 0.0
    for i in range(edges):
        nx, ny = normal_x[i], normal_y[i]
        outside = (nx * px + ny * py - part["offset"][i]) * per_radius
        if corners == 1 << i:
            leaving, e = i, outside
        elif corners == 1 << (i + 1 if i + 1 < edges else 0):
            arriving, d = i, outside
        elif abs(outside) < 1.0:
            along = nx * (py - part["vertex_y"][i]) - ny * (px - part["vertex_x"][i])
            if 0.0 < along < part["length"][i]:
                rest += float(half_plane(np.float32(outside)) - ONE)
    if corners == 0:
        return 1.0 + rest
    ax, ay, bx, by = normal_x[arriving], normal_y[arriving], normal_x[leaving], normal_y[leaving]
    return rest + wedge_share(d, e, ax * bx + ay * by, abs(ax * by - ay * bx))


@kernel
def _boundary_share(px: float, py: float, radius: float, part: np.void) -> float:
    """``polygon_share`` for any number of edges: Green's theorem along the boundary.

    Each straight piece inside the disc, and each chord from an exit to the next entry, adds half its cross product;
    beyond the chord lies a segment of the disc.
    """
    edges = part["edges"]
    twice_area = segments = 0.0
    first_x = first_y = exit_x = exit_y = 0.0
    entered_first = exited = False
    for i in range(edges):
        nx, ny = part["normal_x"][i], part["normal_y"][i]
        outside = nx * px + ny * py - part["offset"][i]
        if abs(outside) >= radius:
            continue
        half = math.sqrt(radius * radius - outside * outside)  # of the chord; (-ny, nx) points along the edge
        j = i + 1 if i + 1 < edges else 0
        begin = ny * (px - part["vertex_x"][i]) - nx * (py - part["vertex_y"][i])
        end = ny * (px - part["vertex_x"][j]) - nx * (py - part["vertex_y"][j])
        enter = begin if begin > -half else -half
        leave = end if end < half else half
        if enter >= leave:
            continue
        twice_area -= outside * (leave - enter)
        if begin < -half:
            qx, qy = ny * half - nx * outside, -nx * half - ny * outside
            if exited:
                twice_area += exit_x * qy - exit_y * qx
                segments += _segment(exit_x, exit_y, qx, qy, radius)
                exited = False
            else:
                first_x, first_y, entered_first = qx, qy, True
        if end > half:
            exit_x, exit_y, exited = -ny * half - nx * outside, nx * half - ny * outside, True
    if exited and entered_first:
        twice_area += exit_x * first_y - exit_y * first_x
        segments += _segment(exit_x, exit_y, first_x, first_y, radius)
    return min(1.0, max(0.0, 0.5 * twice_area / (math.pi * radius * radius) + segments))


@kernel
def _segment(ax: float, ay: float, bx: float, by: float, radius: float) -> float:
    """Share of the disc around 0 beyond the chord from a to b on its rim, on the chord's left as y points up."""
    dx, dy = bx - ax, by - ay
    chord = math.sqrt(dx * dx + dy * dy)
    if chord < 1e-9 * radius:
        return 0.0
    return float(half_plane(np.float32((ax * by - ay * bx) / (chord * radius))))
