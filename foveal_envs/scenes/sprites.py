"""Sprites: small pictures of a bank that lie over a scene at any place and angle, and are never drawn for sensing."""

from __future__ import annotations

import math

import numpy as np

from ..compiled import kernel
from .coverage import ZERO
from .textures import Bank, look_at_picture

SPRITE = np.dtype(
    [
        ("x", np.float64),  # middle, scene pixels
        ("y", np.float64),
        ("angle", np.float64),
        ("radius", np.float64),  # of the circle that holds all that is drawn on it, scene pixels
        ("picture", np.int64),  # of a bank of stencils: one channel, nothing outside; its darkness is the opacity
        ("value", np.float32, (3,)),  # darkness of the ink in each channel
    ]
)


@kernel
def add_sprite(
    sprite: np.void,
    bank: Bank,
    pixel: float,
    half: float,
    x: float,
    y: float,
    angle: float,
    reach: float,
    channels: int,
    share: np.ndarray,
    out: np.ndarray,
) -> bool:
    """Lay one sprite over what the retina gives: out += opacity (value - out); nothing is drawn again as it moves.

    Args:
        sprite: record SPRITE.
        bank: of stencils.
        pixel: side of a stencil's pixel in the scene, scene pixels.
        half: half the side of a stencil, in its own pixels.
        x, y, angle: pose of the gaze in the scene.
        reach: radius around the gaze that holds all fields.
        channels: of ``out``.
        share: (K,) work space.
        out: (K * channels,), changed in place.

    Returns:
        Whether any field may have changed.
    """
    dx, dy = x - sprite["x"], y - sprite["y"]
    if dx * dx + dy * dy > (reach + sprite["radius"]) ** 2:
        return False
    c, s = 1.0, 0.0
    if sprite["angle"] != 0.0:
        c, s = math.cos(sprite["angle"]), math.sin(sprite["angle"])
    u, v = (c * dx + s * dy) / pixel + half, (c * dy - s * dx) / pixel + half
    look_at_picture(bank, sprite["picture"], u, v, angle - sprite["angle"], share)
    value = sprite["value"]
    for k in range(bank[6][2]):
        if share[k] > ZERO:
            for channel in range(channels):
                i = k * channels + channel
                out[i] += share[k] * (value[channel] - out[i])
    return True
