"""Sequences that ask for memory: recall of pairs, retrieval, variables, changing labels, chains, a grammar."""

from __future__ import annotations

from collections.abc import Iterator
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
class StepsBack(SequenceTask):
    """Random symbols, one a step: give the symbol of n steps ago, over n steps more."""

    levels: tuple[int, ...] = (32,)
    classes: int = 4
    level_name = "steps_back"

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """The alphabet."""
        return self.classes

    def sample(self, rng: np.random.Generator, level: int, columns: int) -> Batch:
        """`level` steps back, in sequences three times as long."""
        symbols = rng.integers(self.classes, size=(columns, 3 * level))
        target = np.full_like(symbols, IGNORED)
        target[:, level:] = symbols[:, :-level]
        return make_batch([symbols], [self.classes], target)


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


@dataclass(frozen=True)
class Retrieval(SequenceTask):
    """c9k8j3??k: n pairs of a letter and a digit, one symbol a step, two marks and a letter; give its digit."""

    levels: tuple[int, ...] = (1, 2, 3, 4, 6, 8)
    letters: int = 26
    classes: int = 10
    level_name = "pairs"

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """Letters, digits and the mark."""
        return self.letters + self.classes + 1

    def sample(self, rng: np.random.Generator, level: int, columns: int) -> Batch:
        """`level` pairs."""
        letters = distinct(rng, columns, level, self.letters)
        digits = rng.integers(self.classes, size=letters.shape)
        asked = rng.integers(level, size=(columns, 1))
        pairs = np.stack((letters, self.letters + digits), 2).reshape(columns, -1)
        mark = np.full((columns, 1), self.input_size - 1)
        symbols = np.hstack((pairs, mark, mark, np.take_along_axis(letters, asked, 1)))
        target = np.full_like(symbols, IGNORED)
        target[:, -1:] = np.take_along_axis(digits, asked, 1)
        return make_batch([symbols], [self.input_size], target)


@dataclass(frozen=True)
class Variables(SequenceTask):
    """A programme, one statement a step: v = d, v = v + 1, v = w or "print v"; give what is printed, modulo 10.

    All variables are 0 at the start.
    """

    levels: tuple[int, ...] = (5, 10, 20, 40, 80)
    variables: int = 5
    classes: int = 10
    level_name = "statements"

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """Kind of the statement, v, w and d."""
        return 4 + 2 * self.variables + self.classes

    def sample(self, rng: np.random.Generator, level: int, columns: int) -> Batch:
        """Programmes of `level` statements."""
        kind = rng.integers(4, size=(columns, level))
        kind[:, -1] = 3
        v, w = rng.integers(self.variables, size=(2, columns, level))
        d = rng.integers(self.classes, size=kind.shape)
        values = np.zeros((columns, self.variables), np.int64)
        target, rows = np.full(kind.shape, IGNORED), np.arange(columns)
        for t in range(level):
            old = values[rows, v[:, t]]
            new = np.choose(kind[:, t], (d[:, t], (old + 1) % self.classes, values[rows, w[:, t]], old))
            target[:, t] = np.where(kind[:, t] == 3, old, IGNORED)
            values[rows, v[:, t]] = new
        symbols = [kind, v, np.where(kind == 2, w, IGNORED), np.where(kind == 0, d, IGNORED)]
        return make_batch(symbols, [4, self.variables, self.variables, self.classes], target)


@dataclass(frozen=True)
class ChangingLabels(SequenceTask):
    """Five symbols of an alphabet get labels; each step shows a symbol, the one before and that one's label.

    Wanted is the label of the present symbol, which is shown one step late, as a supervisor's correction would be. At
    half time the labels are drawn anew. Asked are symbols whose label was shown since it was last drawn.

    Args:
        half: 0 or 1: score only the first or the second half; None: both.
    """

    levels: tuple[int, ...] = (10, 20, 40, 80)
    symbols: int = 20
    classes: int = 5
    half: int | None = None
    level_name = "steps"

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """The symbol, the one before and its label."""
        return 2 * self.symbols + self.classes

    def sample(self, rng: np.random.Generator, level: int, columns: int) -> Batch:
        """`level` steps."""
        present = distinct(rng, columns, 5, self.symbols)
        labels = rng.integers(self.classes, size=(2, columns, 5))
        chosen = rng.integers(5, size=(columns, level))
        halves = np.arange(level) * 2 // level
        rows = np.arange(columns)[:, None]
        label = labels[halves, rows, chosen]
        before = np.hstack((np.full((columns, 1), IGNORED), label[:, :-1]))
        earlier = (
            (chosen[:, :, None] == chosen[:, None]) & (halves[:, None] == halves) & np.tri(level, k=-1, dtype=bool)
        )
        target = np.where(earlier.any(2), label, IGNORED)
        scored = (target != IGNORED) & ((halves == self.half) | (self.half is None))
        shown = present[rows, chosen]
        last = np.hstack((np.full((columns, 1), IGNORED), shown[:, :-1]))
        return make_batch([shown, last, before], [self.symbols, self.symbols, self.classes], target, scored)


@dataclass(frozen=True)
class Chains(SequenceTask):
    """n chains A -> B -> C, their 2 n pairs in any order, one a step, then every A: give B one time, C the other.

    Only the questions for C are scored: they need two reads, the second with what the first has found.
    """

    levels: tuple[int, ...] = (1, 2, 3, 4, 5)
    classes: int = 16
    level_name = "chains"

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """Both entities of a pair and the number of reads that a question asks for."""
        return 2 * self.classes + 2

    def sample(self, rng: np.random.Generator, level: int, columns: int) -> Batch:
        """`level` chains."""
        a, b, c = distinct(rng, columns, 3 * level, self.classes).reshape(columns, 3, level).transpose(1, 0, 2)
        first, order = ordered(rng, np.hstack((a, b)))
        second = np.take_along_axis(np.hstack((b, c)), order, 1)
        asked, order = ordered(rng, np.hstack((a, a)))
        answer = np.take_along_axis(np.hstack((b, c)), order, 1)
        reads, nothing = order // level, np.full_like(first, IGNORED)
        symbols = [np.hstack((first, asked)), np.hstack((second, nothing)), np.hstack((nothing, reads))]
        target = np.hstack((nothing, answer))
        scored = np.hstack((nothing, reads)) == 1
        return make_batch(symbols, [self.classes, self.classes, 2], target, scored)


REBER = {0: "TP", 1: "SX", 2: "TV", 3: "XS", 4: "PV"}
REBER_NEXT = {"0T": 1, "0P": 2, "1S": 1, "1X": 3, "2T": 2, "2V": 4, "3X": 2, "3S": 5, "4P": 3, "4V": 5}
LETTERS = "BTPSXVE"


def coins(rng: np.random.Generator) -> Iterator[int]:
    """Endless 0 and 1, drawn many at a time."""
    while True:
        yield from rng.integers(2, size=4096).tolist()


def embedded_reber(coin: Iterator[int]) -> str:
    """A string of the embedded Reber grammar: its last letter but one is its second."""
    inner, state = "B", 0
    while state != 5:
        letter = REBER[state][next(coin)]
        inner, state = inner + letter, REBER_NEXT[f"{state}{letter}"]
    outer = "TP"[next(coin)]
    return f"B{outer}{inner}E{outer}E"


@dataclass(frozen=True)
class ContinualReber(SequenceTask):
    """Strings of the embedded Reber grammar without a pause: predict the next letter.

    Scored is the prediction of the last letter but one, which is the string's second letter.

    Args:
        told: whether the core is told to forget at the start of each string.
    """

    levels: tuple[int, ...] = (100,)
    told: bool = False
    classes: int = len(LETTERS)
    input_size: int = len(LETTERS)
    level_name = "letters"

    def sample(self, rng: np.random.Generator, level: int, columns: int) -> Batch:
        """`level` letters."""
        letters = np.zeros((columns, level + 1), np.int64)
        scored, start = np.zeros(letters.shape, bool), np.zeros(letters.shape, bool)
        coin = coins(rng)
        for column in range(columns):
            place = 0
            while place <= level:
                string = embedded_reber(coin)
                numbers = [LETTERS.index(letter) for letter in string][: level + 1 - place]
                letters[column, place : place + len(numbers)] = numbers
                start[column, place] = self.told or not place
                place += len(string)
                scored[column, place - 3 : place - 2] = True
        return make_batch(
            [letters[:, :-1]], [self.input_size], letters[:, 1:], scored[:, :-1], start[:, :-1]
        )  # fmt: skip
