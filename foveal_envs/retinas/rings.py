"""Rings: the retina of 1990, 40 receptive fields, small and dense in the centre, large at the periphery."""

from __future__ import annotations

import numpy as np

from ..checks import real_number, whole_number
from .limits import LARGEST, MOST, SMALLEST


def rings(diameter: float = 120.0, rings: int = 5, spokes: int = 8, growth: float = 1.6) -> np.ndarray:
    """Rings of equally many touching fields, each ring turned by half a field against the next.

    Schmidhuber & Huber (1990) give the number of fields, their kind and the fovea's diameter (about the object's); the
    ring layout is not in the source and is ours.

    Args:
        diameter: of the circle that holds all fields, pixels.
        rings: number of rings.
        spokes: fields on a ring.
        growth: ratio of the sizes (and distances) of neighbouring rings, > 1.

    Returns:
        (rings * spokes, 3) float64 table of (u, v, size), inner ring first.

    Raises:
        ValueError: a keyword is out of range.
    """
    diameter = real_number("diameter", diameter, SMALLEST, LARGEST, "a number of pixels")
    rings = whole_number("rings", rings, 1, MOST)
    spokes = whole_number("spokes", spokes, 3, MOST)
    growth = real_number("growth", growth, 1.0, 10.0, above=True)
    half_width = np.sin(np.pi / spokes)  # neighbours on a ring touch: radius = distance * sin(pi / spokes)
    outer = 0.5 * diameter / (1.0 + half_width)
    distance = outer * growth ** -np.arange(rings - 1.0, -1.0, -1.0)
    ring, spoke = np.divmod(np.arange(rings * spokes), spokes)
    angle = 2.0 * np.pi * (spoke + 0.5 * (ring % 2)) / spokes
    rho = distance[ring]
    return np.stack([rho * np.cos(angle), rho * np.sin(angle), 2.0 * rho * half_width], axis=1)
