"""Closed forms of shared areas against counting points."""

from __future__ import annotations

import math

import numpy as np
import pytest

from foveal_envs.scenes.coverage import half_plane, wedge_share

GRID = (np.arange(1000) + 0.5) / 500 - 1.0
X, Y = np.meshgrid(GRID, GRID)
IN_DISC = X * X + Y * Y < 1.0
X, Y = X[IN_DISC], Y[IN_DISC]


@pytest.mark.parametrize("t", [-1.5, -0.99, -0.3, 0.0, 0.6, 1.0, 2.0])
def test_half_plane(t):
    assert half_plane(np.float32(t)) == pytest.approx(np.mean(X + t < 0), abs=1e-3)


@pytest.mark.parametrize("angle", [0.05, 0.5, 1.6, 2.6, 3.1, math.pi])
def test_wedge(angle):
    cos, sin = math.cos(angle), abs(math.sin(angle))
    for d, e in np.random.default_rng(0).uniform(-1.0, 1.0, (20, 2)):
        exact = np.mean((X + d < 0) & (X * cos + Y * sin + e < 0))
        assert wedge_share(d, e, cos, sin) == pytest.approx(exact, abs=2e-3)
