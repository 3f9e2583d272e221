"""Sequences that ask for memory: recall of pairs, retrieval, variables, changing labels, chains, a grammar."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .supervised import IGNORED, Batch, SequenceTask


def make_batch(
    symbols: list[np.ndarray],
    sizes: list[int],
    target: np.ndarray,
    scored: np.ndarray | None = None,
    start: np.ndarray | None = None,
) -> Batch:
    """A batch of one-hot symbols.

    Args:
        symbols: (B, T) int arrays, side by side in the input; a negative number is all zeros.
        sizes: alphabet of each.
        target: (B, T) int.
        scored: (B, T) bool; None: wherever there is a target.
        start: (B, T) bool; None: the first step.
    """
    width, total = sum(sizes), 0
    x = np.zeros((*target.T.shape, width), np.float32)
    for symbol, size in zip(symbols, sizes, strict=True):
        step, column = np.nonzero(symbol.T >= 0)
        x[step, column, total + symbol.T[step, column]] = 1.0
        total += size
    scored = target != IGNORED if scored is None else scored
    if start is None:
        start = np.zeros(target.shape, bool)
        start[:, 0] = True
    parts = (torch.from_numpy(np.ascontiguousarray(part.T)) for part in (target.astype(np.int64), scored, start))
    return Batch(torch.from_numpy(x), *parts)


def distinct(rng: np.random.Generator, columns: int, count: int, alphabet: int) -> np.ndarray:
    """(columns, count) different symbols of an alphabet, in random order."""
    return rng.random((columns, alphabet)).argsort(1)[:, :count]


def ordered(rng: np.random.Generator, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x (B, n) with each row shuffled, and the order."""
    order = rng.random(x.shape).argsort(1)
    return np.take_along_axis(x, order, 1), order


@dataclass(frozen=True)
class PairRecall(SequenceTask):
    """n pairs of a key and a value, one a step, then every key without its value, in another order: give the value."""

    levels: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    keys: int = 64
    classes: int = 16
    level_name = "pairs"

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """Keys and values side by side."""
        return self.keys + self.classes

    def sample(self, rng: np.random.Generator, level: int, columns: int) -> Batch:
        """`level` pairs."""
        keys = distinct(rng, columns, level, self.keys)
        values = rng.integers(self.classes, size=keys.shape)
        queries, order = ordered(rng, keys)
        nothing = np.full_like(keys, IGNORED)
        return make_batch(
            [np.hstack((keys, queries)), np.hstack((values, nothing))],
            [self.keys, self.classes],
            np.hstack((nothing, np.take_along_axis(values, order, 1))),
        )
