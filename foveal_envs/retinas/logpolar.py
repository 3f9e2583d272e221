"""Log-polar retina: field size grows with distance from the gaze, as in the primate retina and cortex."""

from __future__ import annotations

import numpy as np


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
    half_width = np.sin(np.pi / wedges) if wedges >= 3 else 0.0
    outer = 0.5 * diameter / (1.0 + half_width)
    if wedges < 3 or rings < 2 or not 0 < inner < outer:
        raise ValueError(
            "logpolar needs wedges >= 3, rings >= 2 and 0 < inner < diameter / 2, "
            f"got {diameter=}, {inner=}, {rings=}, {wedges=}"
        )
    ring, wedge = np.divmod(np.arange(rings * wedges), wedges)
    rho = np.geomspace(inner, outer, rings)[ring]
    angle = 2.0 * np.pi * (wedge + 0.5 * (ring % 2)) / wedges
    table = np.stack([rho * np.cos(angle), rho * np.sin(angle), 2.0 * rho * half_width], axis=1)
    centre = [[0.0, 0.0, 2.0 * inner * (1.0 - half_width)]]
    return np.concatenate([centre, table])
