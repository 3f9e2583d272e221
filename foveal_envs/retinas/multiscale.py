"""Multiscale retina: nested square grids around the gaze, each coarser than the one inside it."""

from __future__ import annotations

import numpy as np

from ..checks import real_number, whole_number
from .limits import LARGEST, MOST_ALONG, SMALLEST


def multiscale(size: int = 8, scales: int = 3, pixel: float = 4.0) -> np.ndarray:
    """``scales`` concentric ``size`` x ``size`` grids, each twice as wide as the one before it.

    The glimpse sensor of Mnih et al., "Recurrent models of visual attention" (2014), with discs for pixels.

    Args:
        size: fields along a side of each grid.
        scales: number of grids.
        pixel: spacing and diameter of the finest fields, pixels.

    Returns:
        (scales * size * size, 3) float64 table of (u, v, size): scale, then row, then column.

    Raises:
        ValueError: a keyword is out of range.
    """
    size = whole_number("size", size, 1, MOST_ALONG)
    scales = whole_number("scales", scales, 1, 16)
    pixel = real_number("pixel", pixel, SMALLEST, LARGEST, "a number of pixels")
    axis = np.arange(size) - 0.5 * (size - 1)
    v, u = np.meshgrid(axis, axis, indexing="ij")
    grid = np.stack([u.ravel(), v.ravel(), np.ones(size * size)], axis=1)
    return np.concatenate([grid * pixel * 2.0**scale for scale in range(scales)])
