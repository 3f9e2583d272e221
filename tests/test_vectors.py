"""Vectors of 16 numbers: compiled code does what NumPy does to arrays of 16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba.core.errors import TypingError

from foveal_envs.compiled import compiled
from foveal_envs.vectors import (
    LANES,
    absolute,
    anywhere,
    byte,
    first,
    floor,
    full,
    gather,
    larger,
    load,
    root,
    smaller,
    store,
    total,
    where,
    whole,
)

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
def parts(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    x, down = absolute(load(a, 0)), floor(load(b, 0))
    out[0] = total(down)
    store(out, 0, load(out, 0) * HALF + (x - floor(x)) - down)


@compiled
def search(a: np.ndarray, limit: float) -> bool:
    return anywhere(load(a, 0) > np.float32(limit))


@pytest.mark.parametrize("function", [arithmetic, choice, parts])
def test_compiled_vectors_equal_numpy(function: Any) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.normal(size=(2, LANES)).astype(np.float32)
        ours, theirs = np.zeros((2, LANES), np.float32)
        function(a, b, ours)
        getattr(function, "py_func", function)(a, b, theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_first_is_the_mask_of_so_many_lanes() -> None:
    @compiled
    def keep(a: np.ndarray, count: int, out: np.ndarray) -> None:
        store(out, 0, where(first(count), load(a, 0), HALF))

    numbers, out = np.arange(1.0, LANES + 1, dtype=np.float32), np.zeros(LANES, np.float32)
    for count in (-3, 0, 1, LANES - 1, LANES, 100):
        keep(numbers, count, out)
        np.testing.assert_array_equal(out, np.where(np.arange(LANES) < count, numbers, HALF))


def test_gather_looks_up_sixteen_places() -> None:
    @compiled
    def look_up(a: np.ndarray, at: np.ndarray, out: np.ndarray) -> None:
        store(out, 0, gather(a, load(at, 0)))

    table = np.arange(1000, dtype=np.uint32) * np.uint32(4_000_003)
    at, out = np.random.default_rng(0).integers(1000, size=LANES, dtype=np.uint32), np.zeros(LANES, np.uint32)
    at[:2] = 0, 999
    look_up(table, at, out)
    np.testing.assert_array_equal(out, gather(table, at))
    np.testing.assert_array_equal(out, table[at])


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


def test_integers_are_loaded_added_and_taken_apart() -> None:
    @compiled
    def take_apart(numbers: np.ndarray, more: np.ndarray, added: np.ndarray, out: np.ndarray) -> None:
        given = load(numbers, 2)
        store(added, 1, given + whole(load(more, 0)))
        for index in range(4):
            store(out[index], 0, byte(given, index))

    rng = np.random.default_rng(0)
    numbers, more = rng.integers(0, 2**32 - 100, 20, np.uint32), rng.uniform(0, 99, LANES).astype(np.float32)
    for function in (take_apart, getattr(take_apart, "py_func", take_apart)):
        added, out = np.zeros(LANES + 1, np.uint32), np.zeros((4, LANES), np.float32)
        function(numbers, more, added, out)
        np.testing.assert_array_equal(added[1:], numbers[2 : 2 + LANES] + more.astype(np.uint32))
        wanted = numbers[2 : 2 + LANES].view(np.uint8).reshape(LANES, 4).T
        np.testing.assert_array_equal(out, wanted)


def test_a_vector_goes_to_an_array_of_its_kind() -> None:
    @compiled
    def mixed(numbers: np.ndarray, out: np.ndarray) -> None:
        store(out, 0, load(numbers, 0))

    with pytest.raises(TypingError):
        mixed(np.zeros(LANES, np.float32), np.zeros(LANES, np.uint32))
