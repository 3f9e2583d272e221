"""Frames: what a retina gives over a picture that is seen once, as a pixel environment renders it."""

from __future__ import annotations

import math

import numpy as np

from ..compiled import kernel

LINES, FEWEST = 4.0, 8  # scan lines of a field: a pixel, and at least


@kernel
def look_at_frame(
    frame: np.ndarray,
    table: np.ndarray,
    x: float,
    y: float,
    angle: float,
    outside: float,
    sums: np.ndarray,
    out: np.ndarray,
) -> None:
    """Mean darkness in [0, 1] of the discs of a retina over one frame, by the chords of scan lines.

    Args:
        frame: (H, W, C) uint8, 0 is black.
        table: (K, 3) of (u, v, size), of a Retina, in the frame's pixels.
        x, y, angle: pose of the gaze, from the top left corner, pixels and radians.
        outside: darkness around the frame.
        sums: (H, W + 1, C) float32 work space.
        out: receives (K * C,) numbers; channel c of field k at k * C + c.
    """
    height, width, channels = frame.shape
    for row in range(height):
        for c in range(channels):
            total = np.float32(0.0)
            sums[row, 0, c] = total
            for column in range(width):
                total += np.float32(1.0 - frame[row, column, c] / 255.0 - outside)
                sums[row, column + 1, c] = total
    cos, sin = math.cos(angle), math.sin(angle)
    for k in range(table.shape[0]):
        u, v, radius = table[k, 0], table[k, 1], 0.5 * table[k, 2]
        px, py = x + cos * u - sin * v, y + sin * u + cos * v
        lines = max(FEWEST, math.ceil(LINES * 2.0 * radius))
        for c in range(channels):
            area = dark = 0.0
            for n in range(lines):
                away = ((n + 0.5) / lines * 2.0 - 1.0) * radius
                half = math.sqrt(radius * radius - away * away)
                area += 2.0 * half
                row = math.floor(py + away)
                if 0 <= row < height:
                    dark += _up_to(sums, row, px + half, c) - _up_to(sums, row, px - half, c)
            out[k * channels + c] = min(1.0, max(0.0, outside + dark / area))


@kernel
def _up_to(sums: np.ndarray, row: int, place: float, c: int) -> float:
    """Running sum of a row at a continuous place."""
    width = sums.shape[1] - 1
    place = min(float(width), max(0.0, place))
    left = min(width - 1, int(place))
    return float(sums[row, left, c] + (place - left) * (sums[row, left + 1, c] - sums[row, left, c]))
