"""Closed forms of shared areas against exact values and against counting points."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from foveal_envs.compiled import compiled
from foveal_envs.scenes.coverage import half_plane, piece_beyond
from foveal_envs.vectors import LANES, load, store

GRID = (np.arange(1000) + 0.5) / 500 - 1.0
X, Y = np.meshgrid(GRID, GRID)
IN_DISC = X * X + Y * Y < 1.0
X, Y = X[IN_DISC], Y[IN_DISC]


@compiled
def half_planes(t: np.ndarray, out: np.ndarray) -> None:
    for k in range(0, t.shape[0], LANES):
        store(out, k, half_plane(load(t, k)))


@compiled
def pieces(away: np.ndarray, enter: np.ndarray, leave: np.ndarray, out: np.ndarray) -> None:
    store(out, 0, piece_beyond(load(away, 0), load(enter, 0), load(leave, 0)))


def test_half_plane_is_the_segment_area() -> None:
    t = np.linspace(-1.2, 1.2, 400, dtype=np.float32)
    inner = np.clip(t.astype(np.float64), -1.0, 1.0)
    exact = 0.5 - (inner * np.sqrt(1 - inner**2) + np.arcsin(inner)) / np.pi
    shares = np.empty_like(t)
    half_planes(t, shares)
    np.testing.assert_allclose(shares, exact, atol=3e-6)


@pytest.mark.parametrize("d", [0.0, 0.001, 0.3, 0.6, 0.95])
def test_piece_beyond_is_what_lies_behind_it(d: float) -> None:
    half = math.sqrt(1.0 - d * d)
    ends = np.sort(np.random.default_rng(0).uniform(-half, half, (LANES, 2)), axis=1)
    ends[0], ends[1] = (-half, half), (0.0, half)
    arguments: list[Any] = [np.full(LANES, -d), *ends.T]
    shares = np.empty(LANES, np.float32)
    pieces(*(np.ascontiguousarray(argument, np.float32) for argument in arguments), shares)
    for (enter, leave), share in zip(ends, shares, strict=True):
        behind = (d < Y) & (enter * Y < X * d) & (X * d < leave * Y) if d else (Y > 0) & (enter < 0) & (leave > 0)
        assert share == pytest.approx(behind.mean(), abs=1e-3)
