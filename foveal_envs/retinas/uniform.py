"""Uniform retina: one square grid of equal fields, the crop that most glimpse models use."""

from __future__ import annotations

import numpy as np

from ..checks import real_number, whole_number
from .limits import LARGEST, MOST_ALONG, SMALLEST


def uniform(size: int = 12, pixel: float = 10.0) -> np.ndarray:
    """A ``size`` x ``size`` grid of equal fields centred on the gaze.

    Args:
        size: fields along a side.
        pixel: spacing and diameter of the fields, pixels.

    Returns:
        (size * size, 3) float64 table of (u, v, size), row by row.

    Raises:
        ValueError: a keyword is out of range.
    """
    size = whole_number("size", size, 1, MOST_ALONG)
    pixel = real_number("pixel", pixel, SMALLEST, LARGEST, "a number of pixels")
    axis = (np.arange(size) - 0.5 * (size - 1)) * pixel
    v, u = np.meshgrid(axis, axis, indexing="ij")
    return np.stack([u.ravel(), v.ravel(), np.full(size * size, pixel)], axis=1)
