"""Share of receptive fields (discs) that a half-plane or a piece of an edge cuts off, for 16 fields at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..compiled import kernel
from ..vectors import absolute, larger, root, smaller, where

ZERO, ONE = np.float32(0.0), np.float32(1.0)
TINY = np.float32(1e-12)
PI, HALF_PI, PER_TURN = np.float32(math.pi), np.float32(0.5 * math.pi), np.float32(0.5 / math.pi)
# share of a unit disc beyond a line at distance t = 1 - s: s^(3/2) P(s), P fitted to the largest error below 2e-6
CAP_0, CAP_1 = np.float32(0.6003345251), np.float32(-0.0909603089)
CAP_2, CAP_3 = np.float32(-0.0058011133), np.float32(-0.0035714109)
# atan z = z Q(z^2) for z in [0, 1], Q fitted to the largest error below 2e-6
ATAN_0, ATAN_1, ATAN_2 = np.float32(0.99997722), np.float32(-0.33262281), np.float32(0.19354028)
ATAN_3, ATAN_4, ATAN_5 = np.float32(-0.11642626), np.float32(0.05264712), np.float32(-0.01171905)


@kernel
def half_plane(t: Any) -> Any:
    """Share of a unit disc inside a half-plane whose edge its centre has left by ``t`` (negative: is still inside by).

    share(t) = 1/2 - (t sqrt(1 - t^2) + asin t) / pi, by a polynomial with an error below 2e-6; 0 for t >= 1 and 1 for
    t <= -1. Also the area of a circular segment in units of its circle's. ``t`` is a vector.
    """
    s = larger(ONE - absolute(t), ZERO)
    cap = s * root(s) * (CAP_0 + s * (CAP_1 + s * (CAP_2 + s * CAP_3)))
    return where(t > ZERO, cap, ONE - cap)


@kernel
def piece_beyond(away: Any, enter: Any, leave: Any) -> Any:
    """Share of a unit disc between a piece of a chord and the arc behind it, as seen from the centre.

    The sector less the triangle, (phi - |d| (b - a)) / 2 pi, where phi is the angle under which the centre sees the
    piece, tan phi = |d| (b - a) / (d^2 + a b). All pieces of a polygon's boundary together say how much of a disc the
    polygon covers: 1 if the centre lies inside, less the shares of the edges that have the centre on their inner side,
    plus those of the others. All arguments are vectors.

    Args:
        away: d, signed distance of the centre from the chord.
        enter, leave: a < b, where the piece begins and ends, along the chord from the foot of the perpendicular.
    """
    distance = absolute(away)
    sine = distance * (leave - enter)
    cosine = distance * distance + enter * leave
    size = absolute(cosine)
    z = smaller(size, sine) / (larger(size, sine) + TINY)
    q = z * z
    angle = z * (ATAN_0 + q * (ATAN_1 + q * (ATAN_2 + q * (ATAN_3 + q * (ATAN_4 + q * ATAN_5)))))
    angle = where(sine > size, HALF_PI - angle, angle)
    angle = where(cosine < ZERO, PI - angle, angle)
    return PER_TURN * (angle - sine)
