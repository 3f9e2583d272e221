"""Closed forms of shared areas against exact values and against counting points."""

from __future__ import annotations

import math

import numpy as np
import pytest

from foveal_envs.compiled import compiled
from foveal_envs.scenes.coverage import beyond, beyond_both, corner, half_plane
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
def shares_beyond(t: np.ndarray, out: np.ndarray) -> None:
    store(out, 0, beyond(load(t, 0))[0])


@compiled
def shares_beyond_both(a: np.ndarray, b: np.ndarray, cosine: np.ndarray, out: np.ndarray) -> None:
    first = load(cosine, 0)
    second, third = corner(first)
    store(out, 0, beyond_both(beyond(load(a, 0)), beyond(load(b, 0)), first, second, third))


def test_half_plane_is_the_segment_area() -> None:
    t = np.linspace(-1.2, 1.2, 400, dtype=np.float32)
    inner = np.clip(t.astype(np.float64), -1.0, 1.0)
    exact = 0.5 - (inner * np.sqrt(1 - inner**2) + np.arcsin(inner)) / np.pi
    shares = np.empty_like(t)
    half_planes(t, shares)
    np.testing.assert_allclose(shares, exact, atol=3e-6)


def test_beyond_a_line_lies_what_is_not_before_it() -> None:
    t = np.concatenate([[-2.0, -1.0, 1.0, 3.0], np.linspace(-0.99, 0.99, LANES - 4)]).astype(np.float32)
    shares = np.empty(LANES, np.float32)
    shares_beyond(t, shares)
    np.testing.assert_array_equal(shares[:4], [0.0, 0.0, 1.0, 1.0])
    np.testing.assert_allclose(shares, [(at > -X).mean() for at in t], atol=2e-3)


@pytest.mark.parametrize("degrees", [0.0, 45.0, 90.0, 130.0, 150.0])
def test_beyond_two_lines_lies_what_is_beyond_each(degrees: float) -> None:
    """Lines through the disc, on its rim and outside; parallel ones, and corners of 135, 90, 50 and 30 degrees."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1.1, 1.1, (2, LANES)).astype(np.float32)
    a[:4], b[:4] = (-1.0, 1.0, 0.0, 1.5), (0.3, 0.3, 0.0, 1.2)
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    shares = np.empty(LANES, np.float32)
    shares_beyond_both(a, b, np.full(LANES, c, np.float32), shares)
    counted = [((one > -X) & (-(c * X + s * Y) < other)).mean() for one, other in zip(a, b, strict=True)]
    np.testing.assert_allclose(shares, counted, atol=0.05 if degrees == 0.0 else 0.01)
