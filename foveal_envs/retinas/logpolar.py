"""Log-polar retina: field size grows with distance from the gaze, as in the primate retina and cortex."""

from __future__ import annotations

import numpy as np

from ..checks import real_number, require, whole_number
from .limits import LARGEST, MOST, SMALLEST


def logpolar(diameter: float = 240.0, inner: float = 4.0, rings: int = 12, wedges: int = 16) -> np.ndarray:
    """One central field and ``rings`` rings of ``wedges`` fields at geometrically growing distances.

    Args:
        diameter: of the circle that holds all fields, pixels.
        inner: distance of the innermost ring from the gaze, pixels.
        rings: number of rings, at least 2.
        wedges: fields on a ring.

    Returns:
        (1 + rings * wedges, 3) float64 table of (u, v, size), the central field first.

    Raises:
        ValueError: a keyword is out of range.
    """
    diameter = real_number("diameter", diameter, SMALLEST, LARGEST, "a number of pixels")
    inner = real_number("inner", inner, SMALLEST, LARGEST, "a number of pixels")
    rings = whole_number("rings", rings, 2, MOST)
    wedges = whole_number("wedges", wedges, 3, MOST)
    half_width = np.sin(np.pi / wedges)
    outer = 0.5 * diameter / (1.0 + half_width)
    require(inner < outer, "inner", f"below {outer:g}, as diameter is {diameter:g}", inner)
    ring, wedge = np.divmod(np.arange(rings * wedges), wedges)
    rho = np.geomspace(inner, outer, rings)[ring]
    angle = 2.0 * np.pi * (wedge + 0.5 * (ring % 2)) / wedges
    table = np.stack([rho * np.cos(angle), rho * np.sin(angle), 2.0 * rho * half_width], axis=1)
    centre = [[0.0, 0.0, 2.0 * inner * (1.0 - half_width)]]
    return np.concatenate([centre, table])
