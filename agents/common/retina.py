"""A retina as a network layer: receptive fields over pictures, differentiable in the picture and in the gaze."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

ROWS, FEWEST = 2, 16  # scan lines of a disc: per pixel, and at least


class Retina(nn.Module):
    """Mean darkness of discs of pictures around a gaze.

    For each field size, averages over discs are computed on a grid, reduced by 1/12 of their second differences, and
    interpolated bilinearly. An image bank in exact mode looks up the same values, so a network trained here sees the
    same there.

    Args:
        table: (K, 3) of (u, v, size): centre relative to the gaze and diameter, pixels.
        stride: grid spacing, in sizes of the field; 0.25 is the exact mode, 0.5 the fast one.
        outside: darkness around a picture; None: the mean of its border.

    Raises:
        ValueError: the table is not (K, 3) with positive sizes.
    """

    table: Tensor

    def __init__(self, table: Any, stride: float = 0.25, outside: float | None = None) -> None:
        super().__init__()
        values = torch.as_tensor(np.array(table), dtype=torch.float32)
        if values.ndim != 2 or values.shape[1] != 3 or len(values) == 0 or not bool((values[:, 2] > 0).all()):
            raise ValueError(f"a retina is a (K, 3) table of (u, v, size) with size > 0, got {tuple(values.shape)}")
        self.register_buffer("table", values)
        self.stride, self.outside = stride, outside
        self._sizes = sorted(set(values[:, 2].tolist()))

    def forward(self, pictures: Tensor, gaze: Tensor) -> Tensor:
        """Samples pictures around a gaze.

        Args:
            pictures: (B, C, S, S) in [0, 1], 0 is black.
            gaze: (B, 2) of (x, y) or (B, 3) of (x, y, angle): pixels from the top left corner, and radians.

        Returns:
            (B, K * C) darkness; channel c of field k at k * C + c.
        """
        dark = 1.0 - pictures
        batch, channels = dark.shape[:2]
        rim = torch.cat([dark[:, :, 0], dark[:, :, -1], dark[..., 0], dark[..., -1]], 2).mean(2)[..., None, None]
        around = rim if self.outside is None else torch.full_like(rim, self.outside)
        padded = nn.functional.pad(dark - around, (0, 0, 1, 1))
        sums = nn.functional.pad(padded.cumsum(3), (1, 0))
        out = dark.new_empty(batch, len(self.table), channels)
        for size in self._sizes:
            mine = (self.table[:, 2] == size).nonzero()[:, 0]
            step = size * self.stride
            margin = 0.5 * size + step
            grid = self._averages(sums, size, step, margin, dark.shape[-1])
            places = (self._places(gaze, mine) + margin) / step
            out = out.index_copy(1, mine, self._between(grid, places) + around[:, None, :, 0, 0])
        return out.flatten(1)

    def _places(self, gaze: Tensor, mine: Tensor) -> Tensor:
        """Centres (B, M, 2) of some fields in the picture, pixels."""
        u, v = self.table[mine, 0], self.table[mine, 1]
        if gaze.shape[1] == 2:
            return gaze[:, None] + torch.stack([u, v], 1)
        cos, sin = gaze[:, 2:].cos(), gaze[:, 2:].sin()
        return gaze[:, None, :2] + torch.stack([cos * u - sin * v, sin * u + cos * v], 2)

    def _averages(self, sums: Tensor, size: float, step: float, margin: float, side: int) -> Tensor:
        """Mean darkness (B, C, n, n) of discs on a grid, sharpened: see the class."""
        count, lines = math.ceil((side + 2.0 * margin) / step) + 1, max(FEWEST, math.ceil(ROWS * size))
        centres = torch.arange(count, device=sums.device, dtype=torch.float64) * step - margin
        area, total = 0.0, sums.new_zeros(*sums.shape[:2], count, count)
        for n in range(lines):
            offset = ((n + 0.5) / lines * 2.0 - 1.0) * 0.5 * size
            half = math.sqrt(0.25 * size * size - offset * offset)
            rows = sums[:, :, ((centres + offset).floor() + 1).clamp(0, side + 1).long()]
            total = total + _up_to(rows, centres + half) - _up_to(rows, centres - half)
            area += 2.0 * half
        means = total / area
        down, right = means.diff(n=2, dim=2) / 12.0, means.diff(n=2, dim=3) / 12.0
        return means - nn.functional.pad(down, (0, 0, 1, 1)) - nn.functional.pad(right, (1, 1))

    def _between(self, grid: Tensor, places: Tensor) -> Tensor:
        """Values (B, M, C) of a grid (B, C, n, n) at places (B, M, 2), in steps of the grid."""
        count = grid.shape[-1]
        places = places.clamp(0.0, count - 1.0)
        corner = places.detach().floor().clamp(max=count - 2)
        fx, fy = (places - corner)[:, None].unbind(3)
        at = (corner[..., 1] * count + corner[..., 0]).long()[:, None].expand(-1, grid.shape[1], -1)
        flat = grid.flatten(2)
        above = flat.gather(2, at) * (1.0 - fx) + flat.gather(2, at + 1) * fx
        below = flat.gather(2, at + count) * (1.0 - fx) + flat.gather(2, at + count + 1) * fx
        return (above * (1.0 - fy) + below * fy).transpose(1, 2)


def _up_to(sums: Tensor, places: Tensor) -> Tensor:
    """Running sums (B, C, n, S + 1) at continuous places (n,) of the last axis."""
    places = places.clamp(0.0, sums.shape[3] - 1.0)
    left = places.long().clamp(max=sums.shape[3] - 2)
    return sums[..., left] + (places - left).to(sums.dtype) * (sums[..., left + 1] - sums[..., left])
