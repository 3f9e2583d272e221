"""Images of any size and layout as squares for a net, and back."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from gymnasium import spaces
from torch import Tensor

LARGE, SMALL = 64, 32  # sides of squares, pixels


class Squares:
    """Images of a space (B, ...), uint8, as squares (B, channels, side, side) of floats from 0 to 1, and back.

    Args:
        space: Box of images (H, W, channels) or (channels, H, W), uint8.
        side: of the squares, pixels; None: 64, or 32 where both sides of an image are below 64.

    Attributes:
        shape: of an image of the space.
        channels: of an image.
        channels_last: whether the images of the space have their channels last.
        side: of the squares, pixels.
    """

    def __init__(self, space: spaces.Box, side: int | None = None) -> None:
        self.shape = space.shape
        self.channels_last = space.shape[-1] <= space.shape[0]
        self.size, self.channels = (
            (space.shape[:2], space.shape[2]) if self.channels_last else (space.shape[1:], space.shape[0])
        )
        self.side = side or (LARGE if max(self.size) >= LARGE else SMALL)

    def read(self, images: Tensor) -> Tensor:
        """Squares (B, channels, side, side) of images (B, ...), with their channels first or last."""
        images = images.float() / 255
        if self.channels_last == (images.shape[1:] == self.shape):
            images = images.movedim(-1, 1)
        return _resized(images, (self.side, self.side))

    def write(self, squares: Tensor) -> Tensor:
        """Images (B, ...) of the space, floats from 0 to 255, from squares (B, channels, side, side)."""
        images = _resized(squares, self.size).clamp(0, 1) * 255
        return images.movedim(1, -1) if self.channels_last else images


def _resized(images: Tensor, size: Sequence[int]) -> Tensor:
    """Images (B, channels, height, width) in another size."""
    same = images.shape[-2:] == tuple(size)
    return images if same else F.interpolate(images, tuple(size), mode="bilinear", antialias=True)
