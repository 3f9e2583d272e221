"""Uniform retina: one square grid of equal fields, the crop that most glimpse models use."""

from __future__ import annotations

import numpy as np


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
    if size < 1 or pixel <= 0:
        raise ValueError(f"uniform needs size >= 1 and pixel > 0, got {size=}, {pixel=}")
    axis = (np.arange(size) - 0.5 * (size - 1)) * pixel
    v, u = np.meshgrid(axis, axis, indexing="ij")
    return np.stack([u.ravel(), v.ravel(), np.full(size * size, pixel)], axis=1)
