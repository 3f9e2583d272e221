"""Share of receptive fields (discs) that lies beyond a line or beyond two, for 16 fields at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..compiled import kernel
from ..vectors import absolute, larger, root, smaller, where

ZERO, HALF, ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
# share of a unit disc beyond a line at distance t = 1 - s: s^(3/2) P(s), P fitted to the largest error below 2e-6
CAP_0, CAP_1 = np.float32(0.6003345251), np.float32(-0.0909603089)
CAP_2, CAP_3 = np.float32(-0.0058011133), np.float32(-0.0035714109)
# c_0 and c_1 of ``beyond``, fitted to largest errors below 5e-4 and 2e-3
FLAT_0, FLAT_1, FLAT_2 = np.float32(0.1401161), np.float32(0.00020535), np.float32(0.06733774)
BUMP_0, BUMP_1, BUMP_2 = np.float32(0.42288219), np.float32(-0.17834581), np.float32(-0.14232838)
TWO, THREE, SIX = np.float32(2.0), np.float32(3.0), np.float32(6.0)
SECOND, THIRD = np.float32(0.75), np.float32(0.16)


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
def beyond(t: Any) -> tuple[Any, Any, Any, Any]:
    """What of a unit disc lies beyond a line that its centre has left by ``t`` (negative: has still before it).

    Returns:
        Vectors c_0, c_1, t and 6 t^2 - 1, with t kept in [-1, 1]. c_n is the disc's mean of U_n(x) over x > -t, up to
        (-1)^n: c_0 = 1/2 + (t sqrt(1 - t^2) + asin t) / pi is the share, c_1 = 4 (1 - t^2)^(3/2) / 3 pi, both by
        polynomials; c_2 = 3/2 t c_1 and c_3 = 2/5 (6 t^2 - 1) c_1.
    """
    t = smaller(larger(t, -ONE), ONE)
    square = t * t
    rest = ONE - square
    share = HALF + t * (HALF + rest * (FLAT_0 + square * (FLAT_1 + square * FLAT_2)))
    return share, rest * (BUMP_0 + square * (BUMP_1 + square * BUMP_2)), t, SIX * square - ONE


@kernel
def corner(cosine: Any) -> tuple[Any, Any]:
    """What ``beyond_both`` needs of two lines beside the cosine of the angle between their normals; all vectors."""
    square = cosine * cosine
    return THREE * square - SECOND, THIRD * cosine * (TWO * square - ONE)


@kernel
def beyond_both(a: tuple[Any, ...], b: tuple[Any, ...], first: Any, second: Any, third: Any) -> Any:
    """Share of a unit disc beyond two lines, from what ``beyond`` says of each and ``corner`` of both.

    Chebyshev polynomials U_n along different directions are orthogonal on the disc (Logan & Shepp 1975, "Optimal
    reconstruction of a function from its projections", Duke Math. J. 42), so that the share is the sum over n of
    c_n(a) c_n(b) U_n(cos) / (n + 1). Here it ends with n = 3: errors stay below 0.01 but for corners that are nearly
    flat or sharper than 20 degrees.
    """
    (a_0, a_1, a_2, a_3), (b_0, b_1, b_2, b_3) = a, b
    return a_0 * b_0 + a_1 * b_1 * (first + second * (a_2 * b_2) + third * (a_3 * b_3))
