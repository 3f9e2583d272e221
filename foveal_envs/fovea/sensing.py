"""Sensing: what a retina gives at a pose, its noise, and the pose itself as numbers."""

from __future__ import annotations

import math

import numpy as np

from .. import keys
from ..compiled import kernel
from ..scenes.coverage import ONE, ZERO
from ..scenes.objects import LINE, add_object
from ..vectors import LANES, first, full, larger, load, smaller, store, where
from .fovea import HALF_SCENE

NOISE_STREAM = 7


@kernel
def perceive(w: np.void, settings: np.void, fields: np.ndarray, noise: np.ndarray, scratch: np.ndarray) -> None:
    """Sense at the gaze: glimpse (with noise), pose, and proprioception at the end of the observation."""
    gaze, glimpse = w["gaze"], w["glimpse"]
    channels, values = settings["channels"], settings["values"]
    look(w, gaze[0], gaze[1], gaze[2], fields, settings["reach"], channels, values, scratch, glimpse)
    if settings["noisy"]:
        add_noise(w, noise, channels, w["moves"], glimpse)
    write_pose(gaze[0], gaze[1], gaze[2], w["pose"], 0, settings["pose_length"])
    own = settings["proprioception"]
    for i in range(own):
        glimpse[settings["observed"] - own + i] = w["pose"][i]


@kernel
def look(
    w: np.void,
    x: float,
    y: float,
    angle: float,
    fields: np.ndarray,
    reach: float,
    channels: int,
    values: int,
    scratch: np.ndarray,
    out: np.ndarray,
) -> None:
    """What the retina gives at a pose: the mean darkness of each field's area, clipped to [0, 1].

    Args:
        w: record with ``background`` and ``objects``.
        x, y, angle: pose, pixels and radians.
        fields, reach: of the retina.
        channels: 1 or 3; channel c of field k goes to out[k * channels + c].
        values: channels times the number of the retina's fields.
        scratch: (LINE + 1, K) float32 work space.
        out: receives ``values`` numbers; it reaches to a multiple of 16.
    """
    background, objects, share = w["background"], w["objects"], scratch[LINE]
    if channels == 1:
        fill(share, background[0])
    else:
        for k in range(values):
            out[k] = background[k % channels]
    for i in range(w["count"]):
        ink = objects[i]["value"][0] - background[0]  # of one channel, whose shares of ink make up the glimpse
        if channels > 1:
            fill(share, ZERO)
            ink = ONE
        if add_object(objects[i], ink, x, y, angle, fields, reach, scratch, share) and channels > 1:
            for k in range(values):
                out[k] += (objects[i]["value"][k % channels] - background[k % channels]) * share[k // channels]
    if channels == 1:
        _clip(share, out, values)
    else:
        _clip(out, out, values)


@kernel
def add_noise(w: np.void, noise: np.ndarray, channels: int, draw: int, out: np.ndarray) -> None:
    """Add each field's noise, a pure function of (key, draw, field), and clip to [0, 1]."""
    stream = keys.split(w["key"], NOISE_STREAM)
    for k in range(noise.shape[0] * channels):
        value = out[k] + noise[k // channels] * np.float32(keys.normal(stream, draw * 8192 + k))
        out[k] = min(np.float32(1.0), max(np.float32(0.0), value))


@kernel
def write_pose(x: float, y: float, angle: float, out: np.ndarray, at: int, length: int) -> None:
    """A pose as ``length`` (2 or 4) numbers in [-1, 1] from out[at]: x and y over half the scene, (cos, sin)."""
    out[at] = x / HALF_SCENE - 1.0
    out[at + 1] = y / HALF_SCENE - 1.0
    if length == 4:
        out[at + 2] = math.cos(angle)
        out[at + 3] = math.sin(angle)


@kernel
def fill(out: np.ndarray, value: np.float32) -> None:
    """Set all numbers of an array whose length is a multiple of 16."""
    for k in range(0, out.shape[0], LANES):
        store(out, k, full(value))


@kernel
def _clip(source: np.ndarray, out: np.ndarray, values: int) -> None:
    """The first numbers of ``source`` to ``out``, kept in [0, 1]; both reach to a multiple of 16."""
    rest = values % LANES
    for k in range(0, values - rest, LANES):
        store(out, k, smaller(larger(load(source, k), ZERO), ONE))
    if rest:
        k = values - rest
        store(out, k, where(first(rest), smaller(larger(load(source, k), ZERO), ONE), load(out, k)))
