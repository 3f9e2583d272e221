"""Formal languages: their symbols and answers, and the rules by which a string grows, one symbol a move.

A string is a function of its key. Besides the fields of a stream, a record holds ``state``: the element of a group, the
number of open brackets, or the place in a string of a's and b's; ``target``: the depth to which the brackets go, or
the number of a's; and ``stack``: the kinds of the open brackets.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import permutations
from typing import NamedTuple

import numpy as np

from ... import keys
from ...compiled import kernel
from .shared import NOTHING, begin_stream, show

GROUP, STACK, COUNTER = range(3)  # what a language needs
TARGET_STREAM = 1
PAIRS = ("()", "[]", "{}", "<>")
SETTINGS = np.dtype([(name, np.int64) for name in ("need", "length", "symbols", "brackets", "depth")])


class Language(NamedTuple):
    """What a language is made of.

    Attributes:
        need: GROUP, STACK or COUNTER.
        symbols, answers: their names, for pictures.
        table: (states, symbols) int16, the state that follows; of a group.
    """

    need: int
    symbols: Sequence[str]
    answers: Sequence[str]
    table: np.ndarray


@cache
def cyclic(order: int) -> Language:
    """The integers modulo ``order``: a symbol is added to the state."""
    digits = np.arange(order)
    names = tuple(map(str, digits))
    return Language(GROUP, names, names, ((digits[:, None] + digits) % order).astype(np.int16))


@cache
def symmetric(elements: int, symbols: str) -> Language:
    """The permutations of 3, 4 or 5 elements: p and then the symbol q bring element i to place q[p[i]].

    Args:
        elements: their number.
        symbols: "all", or "generators", a swap and a cycle.
    """
    every = list(permutations(range(elements)))
    number = {p: n for n, p in enumerate(every)}
    swap, cycle = (1, 0, *range(2, elements)), (*range(1, elements), 0)
    applied = every if symbols == "all" else [swap, cycle]
    table = [[number[tuple(q[place] for place in p)] for q in applied] for p in every]
    names = {p: "".join(str(place + 1) for place in p) for p in every}
    return Language(GROUP, [names[q] for q in applied], list(names.values()), np.array(table, np.int16))


def nested(brackets: int) -> Language:
    """Well-formed strings of several kinds of brackets; the answers are the closing ones and "none"."""
    few = brackets <= len(PAIRS)
    opening, closing = zip(*((PAIRS[i]) if few else (f"({i}", f"{i})") for i in range(brackets)), strict=True)
    return Language(STACK, opening + closing, (*closing, "none"), np.zeros((1, 1), np.int16))


def counted() -> Language:
    """Strings of n a's and n b's; the answers say whether the string may end."""
    return Language(COUNTER, ("a", "b"), ("no", "yes"), np.zeros((1, 1), np.int16))


@kernel
def read(w: np.void, settings: np.void, table: np.ndarray) -> None:
    """Put the next symbol on show, with the answer that it wants; nothing after the last."""
    if w["moves"] >= settings["length"]:
        show(w, NOTHING, NOTHING, NOTHING)
    elif settings["need"] == GROUP:
        _compose(w, settings["symbols"], table)
    elif settings["need"] == STACK:
        _nest(w, settings["brackets"], settings["depth"])
    else:
        _count(w, settings["depth"])


@kernel
def begin(w: np.void, key: np.uint64, questions: int) -> None:
    """The empty string of a key."""
    begin_stream(w, key, questions)
    w["state"] = 0
    w["target"] = 0


@kernel
def _compose(w: np.void, symbols: int, table: np.ndarray) -> None:
    """The next symbol of a group; asked for is the product of all so far."""
    symbol = keys.below(w["key"], w["moves"], symbols)
    w["state"] = table[w["state"], symbol]
    show(w, symbol, NOTHING, w["state"])


@kernel
def _nest(w: np.void, brackets: int, depth: int) -> None:
    """The next bracket on the way to the target depth; after a closing one, the top of the stack is asked for."""
    key, move, height, stack = w["key"], w["moves"], w["state"], w["stack"]
    if height == w["target"]:
        other = keys.below(keys.split(key, TARGET_STREAM), move, depth)
        w["target"] = other + (other >= height)
    if height < w["target"]:
        kind = keys.below(key, move, brackets)
        stack[height] = kind
        w["state"] = height + 1
        show(w, kind, height + 1, NOTHING)
    else:
        w["state"] = height - 1
        top = stack[height - 2] if height > 1 else brackets
        show(w, brackets + stack[height - 1], height - 1, top)


@kernel
def _count(w: np.void, depth: int) -> None:
    """The next a or b; at the last two b's, the question is whether the string may end."""
    if w["state"] >= 2 * w["target"]:
        w["state"], w["target"] = 0, 1 + keys.below(w["key"], w["moves"], depth)
    w["state"] += 1
    place, n = w["state"], w["target"]
    asked = place > max(n, 2 * n - 2)
    show(w, int(place > n), min(place, 2 * n - place), int(place == 2 * n) if asked else NOTHING)
