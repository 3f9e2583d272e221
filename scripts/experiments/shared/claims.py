"""Claims: a sentence, a number measured from result rows, and the bar it must pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ...shared.tables import Row

REPORTED = "reported"


@dataclass
class Claim:
    """What a published result or this project's bar says, and what was measured.

    Attributes:
        claim: the sentence.
        measured: the number; nan if nothing was run for it.
        unit: of the number.
        bar: what it must reach, as text.
        seeds, environment_steps, cpu_seconds: of the runs behind it, the last two a run.
        quick: whether the quick form of the result can be expected to meet the bar.
        passed: whether the bar is met; None where there is no bar, or where it is not judged.
    """

    claim: str
    measured: float
    unit: str
    bar: str
    seeds: int
    environment_steps: float
    cpu_seconds: float
    quick: bool
    passed: bool | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def verdict(self) -> str:
        """The last column of the table."""
        if self.passed is None:
            return "" if self.bar == REPORTED else "not judged"
        return "yes" if self.passed else "NO"


def select(rows: Iterable[Row], **conditions: str) -> list[Row]:
    """Rows whose columns have the given values."""
    return [row for row in rows if all(str(row.get(name)) == value for name, value in conditions.items())]


def numbers(rows: Iterable[Row], name: str) -> np.ndarray:
    """One column as floats."""
    return np.array([float(row[name]) for row in rows])


def mean_of(name: str) -> Callable[[list[Row]], float]:
    """The mean of a column, as a measure of rows."""
    return lambda rows: float(numbers(rows, name).mean())


def median_of(name: str) -> Callable[[list[Row]], float]:
    """The median of a column, likewise."""
    return lambda rows: float(np.median(numbers(rows, name)))


def share_solved(rows: list[Row]) -> float:
    """Share of the rows whose ``solved_steps`` are finite, see `Solving`."""
    return float(np.isfinite(numbers(rows, "solved_steps")).mean())


def make_claim(
    claim: str,
    unit: str,
    rows: list[Row],
    measure: Callable[[list[Row]], float],
    at_least: float | None = None,
    at_most: float | None = None,
    quick: bool = False,
) -> Claim:
    """A claim over the selected rows; it passes if the measure lies within the bounds, and never without rows."""
    measured = float(measure(rows)) if rows else float("nan")
    bar = " and ".join(f"{sign} {bound:g}" for sign, bound in ((">=", at_least), ("<=", at_most)) if bound is not None)
    passed = bool(rows) and (at_least is None or measured >= at_least) and (at_most is None or measured <= at_most)
    seeds = len({str(row["seed"]) for row in rows})  # text where a row was read, a number where it is new
    spent = [
        float(numbers(rows, name).mean()) if rows else float("nan") for name in ("environment_steps", "cpu_seconds")
    ]
    return Claim(claim, measured, unit, bar or REPORTED, seeds, *spent, quick, passed if bar else None)


def judge(claims: Iterable[Claim], quick: bool = False) -> list[Claim]:
    """The claims that have rows; those whose bar the quick form cannot be expected to meet are then not judged."""
    return [replace(claim, passed=None) if quick and not claim.quick else claim for claim in claims if claim.seeds]
