"""Vectors of 16 numbers: compiled code does what NumPy does to arrays of 16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from foveal_envs.compiled import compiled
from foveal_envs.vectors import LANES, absolute, anywhere, full, larger, load, root, smaller, store, where

HALF = np.float32(0.5)


@compiled
def arithmetic(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    x, y = load(a, 0), load(b, 0)
    total = full(HALF)
    total += x * y - HALF
    total -= y / (HALF + absolute(x))
    store(out, 0, total * HALF + root(absolute(y)))


@compiled
def choice(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    x, y = load(a, 0), load(b, 0)
    mask = (x < y) & (x >= -HALF) | (y > HALF) & (x >= HALF)
    store(out, 0, where(mask, larger(x, HALF), smaller(y, x)))


@compiled
def search(a: np.ndarray, limit: float) -> bool:
    return anywhere(load(a, 0) > np.float32(limit))


@pytest.mark.parametrize("function", [arithmetic, choice])
def test_compiled_vectors_equal_numpy(function: Any) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.normal(size=(2, LANES)).astype(np.float32)
        ours, theirs = np.empty((2, LANES), np.float32)
        function(a, b, ours)
        getattr(function, "py_func", function)(a, b, theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_anywhere_looks_at_every_lane() -> None:
    for lane in range(LANES):
        numbers = np.zeros(LANES, np.float32)
        numbers[lane] = 1.0
        assert search(numbers, 0.5)
        assert not search(numbers, 1.0)


def test_loads_and_stores_touch_sixteen_numbers() -> None:
    @compiled
    def move(a: np.ndarray, out: np.ndarray) -> None:
        store(out, 3, load(a, 5))

    source, target = np.arange(40, dtype=np.float32), np.zeros(40, np.float32)
    move(source, target)
    np.testing.assert_array_equal(target[3 : 3 + LANES], source[5 : 5 + LANES])
    assert not target[:3].any()
    assert not target[3 + LANES :].any()
