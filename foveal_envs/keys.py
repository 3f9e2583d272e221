"""Random numbers as a pure function of (key, counter): SplitMix64.

A key is a uint64. Draw number ``counter`` of a key never depends on other draws, so a scene is a pure function of its
key, whatever the order or the number of worlds. The generator is the finaliser of Steele, Lea & Flood, "Fast splittable
pseudorandom number generators" (OOPSLA 2014): ``bits = mix(key + (counter + 1) * golden_gamma)``.

All uint64 arithmetic of the package lives in this file; uncompiled NumPy scalars warn on overflow, so it is wrapped
here, once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from .compiled import compiled

GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
SHIFT_30, SHIFT_27, SHIFT_31, SHIFT_11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
ONE = np.uint64(1)
TO_UNIT = 2.0**-53


def _wrapping(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let uint64 scalars wrap silently where the function runs uncompiled."""
    return np.errstate(over="ignore")(function) if numba.config.DISABLE_JIT else function


@_wrapping
@compiled
def bits(key: np.uint64, counter: int) -> np.uint64:
    """64 random bits: draw number ``counter`` (>= 0) of ``key``."""
    z = key + (np.uint64(counter) + ONE) * GOLDEN_GAMMA
    z = (z ^ (z >> SHIFT_30)) * MIX_1
    z = (z ^ (z >> SHIFT_27)) * MIX_2
    return z ^ (z >> SHIFT_31)


@compiled
def uniform(key: np.uint64, counter: int) -> float:
    """A float64 uniform in [0, 1): draw number ``counter`` of ``key``."""
    return float(bits(key, counter) >> SHIFT_11) * TO_UNIT


@compiled
def between(key: np.uint64, counter: int, low: float, high: float) -> float:
    """A float64 uniform in [low, high): draw number ``counter`` of ``key``."""
    return low + (high - low) * uniform(key, counter)


@compiled
def below(key: np.uint64, counter: int, n: int) -> int:
    """An integer uniform in 0 .. n - 1: draw number ``counter`` of ``key``."""
    return int(uniform(key, counter) * n)


@compiled
def normal(key: np.uint64, counter: int) -> float:
    """A standard normal float64 (Box-Muller): uses draws ``2 * counter`` and ``2 * counter + 1`` of ``key``."""
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(key, 2 * counter)))
    return radius * math.cos(2.0 * math.pi * uniform(key, 2 * counter + 1))


@_wrapping
@compiled
def split(key: np.uint64, stream: int) -> np.uint64:
    """A new key, independent of ``key``'s own draws and of other streams: mix(mix(key) + stream)."""
    mixed: np.uint64 = bits(bits(~key, stream), stream)
    return mixed


@compiled
def episode_keys(seeds: np.ndarray, episodes: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """Write the key of episode ``episodes[row]`` of the lane seeded ``seeds[row]`` to ``out[row]``, and count it.

    Args:
        seeds: (N,) uint64, one seed a lane.
        episodes: (N,) int64, number of the episode in its lane, from 0; then the number of the next.
        rows: (R,) int64, the lanes to serve.
        out: (N,) uint64.
    """
    for row in rows:
        out[row] = split(seeds[row], episodes[row])
        episodes[row] += 1
