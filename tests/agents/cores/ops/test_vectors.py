"""Vectors of eight numbers in compiled loops: compiled code does what NumPy does to arrays of eight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agents.cores.ops.compiled import fast
from agents.cores.ops.vectors import LANES, full, load, spread, store, total


@fast
def combine(a: np.ndarray, b: np.ndarray, start: int, out: np.ndarray) -> Any:
    x, y, number = load(a, start), spread(b, start + 1), b[0]
    sums = full(number) + x * y - number
    sums = number * sums + x
    store(out, start, y - sums)
    return total(sums)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compiled_vectors_equal_numpy(dtype: Any) -> None:
    a, b = np.random.default_rng(0).standard_normal((2, 2 * LANES)).astype(dtype)
    results = []
    for function in (combine, combine.py_func):
        out = np.zeros(2 * LANES, dtype)
        results.append((function(a, b, 3, out), *out))
    np.testing.assert_allclose(*results, rtol=1e4 * np.finfo(dtype).eps)
    assert np.count_nonzero(results[0][1:]) == LANES
