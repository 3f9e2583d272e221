"""python -m tests.hostile SHARE ID...: hand odd snapshots to environments, and go on where they are taken.

What this looks for kills the process, so a test runs it in one of its own. Each attempt is printed before it begins:
the last line says which one was fatal.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from .conftest import CASES

STEPS = 30
LANES = 2
MIXTURES = 100
State = dict[str, np.ndarray]


def numbers(name: str, values: np.ndarray, limits: Any) -> Iterator[tuple[str, np.ndarray, Any]]:
    """Name, view and limits of every field of numbers, those inside of records included."""
    if values.dtype.names is None:
        yield name, values, limits
    for part in values.dtype.names or ():
        yield from numbers(f"{name}.{part}", values[part], limits and limits.get(part))


def odd_values(dtype: np.dtype[Any], limits: Any) -> list[Any]:
    """Numbers at the ends of a type and of a range, beyond them, and between."""
    ends = [] if limits is None else [np.min(limits[0]).item(), np.max(limits[1]).item()]
    if dtype.kind == "b":
        return [0, 1, 2, 255]
    if dtype.kind == "f":
        largest = float(np.finfo(dtype).max)
        beyond = [math.nextafter(end, sign * math.inf) for end in ends for sign in (-1, 1)]
        odd = [
            math.nan,
            math.inf,
            -math.inf,
            largest,
            -largest,
            1e30,
            -1e30,
            0.0,
            -0.0,
            1e-40,
            0.5,
            1e6,
            *ends,
            *beyond,
        ]
        return [value for value in odd if abs(value) <= largest or not math.isfinite(value)]
    kind = np.iinfo(dtype)
    odd = [kind.min, kind.max, kind.max // 2, -1, 0, 1, 7, 99, 2**15, 2**31, *ends, *(end + 1 for end in ends)]
    return [value for value in odd if kind.min <= value <= kind.max]


def set_bytes(values: np.ndarray, place: Any, value: Any) -> None:
    """Write a number; into a bool as a byte, which need not be 0 or 1."""
    (values.view(np.uint8) if values.dtype.kind == "b" else values)[place] = value


def scramble(rng: np.random.Generator, values: np.ndarray, limits: Any) -> None:
    """Fill a field of lane 1 with numbers within its range, its ends among them."""
    shape, kind = values[1].shape, values.dtype.kind
    if kind == "b":
        values[1] = rng.random(shape) < 0.5
        return
    low, high = (np.broadcast_to(np.asarray(end, values.dtype), shape) for end in limits)
    if kind == "f":
        with np.errstate(all="ignore"):
            between = np.clip(low + rng.random(shape) * (np.minimum(high, 1e30) - low), low, high)
        between = np.where(rng.random() < 0.5, np.clip(rng.normal(size=shape), low, high), between)
    else:
        between = rng.integers(low, high, shape, values.dtype, endpoint=True)
    at = rng.random(shape)
    values[1] = np.where(at < 0.1, low, np.where(at > 0.9, high, between))


def as_bytes(state: State) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in state.items()}


class Victim:
    """A vector and a single environment of one task, and a snapshot of the first in the middle of an episode."""

    def __init__(self, id: str, keywords: dict[str, Any], seed: int) -> None:
        self.vector: Any = gym.make_vec(id, LANES, vectorization_mode="vector_entry_point", **keywords).unwrapped
        self.single: Any = gym.make(id, **keywords).unwrapped
        self.vector.reset(seed=seed)
        self.single.reset(seed=seed)
        for space in (self.vector.action_space, self.single.action_space):
            space.seed(seed)
        for _ in range(3):
            self.vector.step(self.vector.action_space.sample())
        self.state: State = self.vector.get_state()
        self.kept = self.vector.get_state()
        self.fields = [
            field
            for name, array in self.state.items()
            for field in numbers(name, array, self.vector.task.limits if name == "worlds" else (0, 2**62))
        ]

    def take(self, name: str) -> bool:
        """Whether the changed snapshot was taken; if not, the error must name the field and nothing may have changed.
        The snapshot is then as it was.
        """
        before, message = as_bytes(self.vector.get_state()), ""
        try:
            self.vector.set_state(self.state)
        except ValueError as error:
            message = str(error)
        after = as_bytes(self.vector.get_state())
        if message:
            assert f"state {name}" in message, message
            assert " of lane 1 must " in message, message
            assert after == before, "something has changed"
        else:
            assert after == as_bytes(self.state), "something was not taken"
            self.go_on()
        for array, own in zip(self.state.values(), self.kept.values(), strict=True):
            array[...] = own
        return not message

    def go_on(self) -> None:
        self.vector.step(self.vector.action_space.sample())
        self.single.set_state({name: self.state[name][1:] for name in self.single.get_state()})
        for step in range(STEPS):  # beyond the end of the episode: nothing resets a single environment
            self.single.step(self.single.action_space.sample())
            if step % 10 == 0:
                with contextlib.suppress(NotImplementedError):
                    self.single.oracle_action()


@np.errstate(all="ignore")
def main(share: float, ids: list[str]) -> None:
    """Try a share of all odd values of all fields of the ids' configurations, and of mixtures of values in range."""
    rng, taken, refused = np.random.default_rng(0), 0, 0
    for id, keywords in CASES:
        if id not in ids:
            continue
        victim = Victim(id, keywords, seed=5)
        for name, values, limits in victim.fields:
            for value in odd_values(values.dtype, limits):
                if rng.random() <= share:
                    place = (1, *(rng.integers(size).item() for size in values.shape[1:]))
                    print(id, keywords, name, place, value, flush=True)
                    set_bytes(values, place, value)
                    took = victim.take(name)
                    taken, refused = taken + took, refused + (not took)
        for mixture in range(round(share * MIXTURES)):
            print(id, keywords, "mixture", mixture, flush=True)
            some = rng.random()
            for _, values, limits in victim.fields:
                if rng.random() < some:
                    scramble(rng, values, limits)
            assert victim.take("")
    print(f"{taken} values taken, {refused} refused")


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
