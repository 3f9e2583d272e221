"""Sprites: small pictures of a bank that lie over a scene at any place and angle, and are never drawn for sensing."""

from __future__ import annotations

import math

import numpy as np

from ..compiled import kernel
from ..limits import NUMBER, Limits
from .bank import Bank, look_at_picture
from .coverage import ZERO

SPRITE = np.dtype(
    [
        ("x", np.float64),  # middle, scene pixels
        ("y", np.float64),
        ("angle", np.float64),
        ("radius", np.float64),  # of the circle that holds all that is drawn on it, scene pixels
        ("picture", np.int64),  # of a bank with nothing outside; the last channel's darkness is the opacity
        ("value", np.float32, (3,)),  # darkness of a stencil's ink in each channel
    ]
)


def sprite_limits(pictures: int) -> Limits:
    """Limits of a SPRITE of a bank of so many pictures."""
    numbers = dict.fromkeys(("x", "y", "angle", "radius"), NUMBER)
    return {**numbers, "picture": (0, pictures - 1), "value": (0.0, 1.0)}


@kernel
def place_sprite(sprite: np.void, picture: int, x: float, y: float, angle: float, half: float) -> None:
    """A coloured sprite at a pose; ``half`` of its side, scene pixels."""
    sprite["picture"] = picture
    sprite["x"] = x
    sprite["y"] = y
    sprite["angle"] = angle
    sprite["radius"] = math.sqrt(2.0) * half


@kernel
def add_sprite(
    sprite: np.void, settings: np.void, x: float, y: float, angle: float, bank: Bank, out: np.ndarray
) -> bool:
    """Lay one sprite over what the retina gives: out += opacity (value - out); nothing is drawn again as it moves.

    Args:
        sprite: record SPRITE.
        settings: record with the retina's ``reach``, and the ``channels`` of ``out``.
        x, y, angle: pose of the gaze in the scene.
        bank: of stencils, with one channel, which show the sprite's own ink; or of coloured sprites, with ``channels``
            for opacity times darkness and one for opacity.
        out: (K * channels,), changed in place.

    Returns:
        Whether any field may have changed.
    """
    layout, _, _, _, share = bank
    dx, dy, channels = x - sprite["x"], y - sprite["y"], settings["channels"]
    if dx * dx + dy * dy > (settings["reach"] + sprite["radius"]) ** 2:
        return False
    c, s = 1.0, 0.0
    if sprite["angle"] != 0.0:
        c, s = math.cos(sprite["angle"]), math.sin(sprite["angle"])
    pixel, half, planes, fields = layout[0]["pixel"], layout[0]["half"], layout[0]["channels"], layout[0]["fields"]
    u, v = (c * dx + s * dy) / pixel + half, (c * dy - s * dx) / pixel + half
    look_at_picture(bank, sprite["picture"], u, v, angle - sprite["angle"], share)
    if planes == 1:
        for channel in range(channels):
            ink = sprite["value"][channel]
            for k in range(fields):
                if share[k] > ZERO:
                    i = k * channels + channel
                    out[i] += share[k] * (ink - out[i])
    else:
        for k in range(fields):
            opacity = share[k * planes + channels]
            for channel in range(channels):
                i = k * channels + channel
                out[i] += share[k * planes + channel] - opacity * out[i]
    return True
