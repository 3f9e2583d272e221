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
    see(w, settings, fields, noise, scratch)
    feel(w, settings)


@kernel
def see(w: np.void, settings: np.void, fields: np.ndarray, noise: np.ndarray, scratch: np.ndarray) -> None:
    """The glimpse at the gaze, with its noise."""
    gaze = w["gaze"]
    look(w, settings, gaze[0], gaze[1], gaze[2], fields, scratch, w["glimpse"])
    add_noise(w, settings, noise)


@kernel
def feel(w: np.void, settings: np.void) -> None:
    """The gaze's pose, and as much of it as is observed at the end of the observation."""
    gaze, pose, own = w["gaze"], w["pose"], settings["proprioception"]
    write_pose(gaze[0], gaze[1], gaze[2], pose, 0, settings["pose_length"])
    for i in range(own):
        w["glimpse"][settings["observed"] - own + i] = pose[i]


@kernel
def look(
    w: np.void,
    settings: np.void,
    x: float,
    y: float,
    angle: float,
    fields: np.ndarray,
    scratch: np.ndarray,
    out: np.ndarray,
) -> None:
    """What the retina gives at a pose: the mean darkness of each field's area, clipped to [0, 1].

    Args:
        w: record with ``background`` and ``objects``.
        settings: record with the fields of EYE; channel c of field k goes to out[k * channels + c].
        x, y, angle: pose, pixels and radians.
        fields: of the retina.
        scratch: of the fovea.
        out: receives ``values`` numbers; it reaches to a multiple of 16.
    """
    channels, values, reach = settings["channels"], settings["values"], settings["reach"]
    background, objects, share = w["background"], w["objects"], scratch[LINE]
    grey = channels == 1  # then shares of ink add up to the glimpse
    fill(share, background[0] if grey else ZERO)
    if not grey:
        for c in range(channels):
            for k in range(c, values, channels):
                out[k] = background[c]
    for i in range(min(w["count"], objects.shape[0])):
        ink = objects[i]["value"][0] - background[0] if grey else ONE
        if add_object(objects[i], ink, x, y, angle, fields, reach, scratch, share) and not grey:
            for c in range(channels):
                ink = objects[i]["value"][c] - background[c]
                for k in range(values // channels):
                    out[k * channels + c] += ink * share[k]
            fill(share, ZERO)
    if grey:
        _clip(share, out, values)
    else:
        _clip(out, out, values)


@kernel
def add_noise(w: np.void, settings: np.void, noise: np.ndarray) -> None:
    """Add to the glimpse each field's noise, a pure function of (key, move, field), and clip it to [0, 1]."""
    if not settings["noisy"]:
        return
    channels, glimpse = settings["channels"], w["glimpse"]
    stream, first_draw = keys.split(w["key"], NOISE_STREAM), w["moves"] * 8192
    for k in range(settings["values"]):
        value = glimpse[k] + noise[k // channels] * np.float32(keys.normal(stream, first_draw + k))
        glimpse[k] = min(np.float32(1.0), max(np.float32(0.0), value))


@kernel
def tell_gaze(w: np.void, settings: np.void) -> None:
    """The gaze (x, y) in [-1, 1] behind the glimpse, if ``proprioception`` is 2."""
    for axis in range(settings["proprioception"]):
        w["glimpse"][settings["values"] + axis] = w["gaze"][axis] / HALF_SCENE - 1.0


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
