"""Timings and claims of the benchmarks: ratios of CPU times taken in turns inside one run."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..shared.tables import Row, write_rows


@dataclass(frozen=True)
class Timing:
    """CPU nanoseconds of one environment step: the least and the median over all rounds."""

    name: str
    least: float
    median: float


@dataclass(frozen=True)
class Claim:
    """A measured number beside its bar: the ratio of the least times, and the median of the rounds' ratios."""

    name: str
    measured: float
    median: float
    unit: str
    relation: Literal["<=", ">="]
    bar: float

    @property
    def passed(self) -> bool:
        return self.measured <= self.bar if self.relation == "<=" else self.measured >= self.bar


def ratio(
    nanoseconds: dict[str, np.ndarray], name: str, over: str, under: str, relation: Literal["<=", ">="], bar: float
) -> Claim:
    """How many times as long ``over`` takes as ``under``; each (rounds,)."""
    a, b = nanoseconds[over], nanoseconds[under]
    return Claim(name, float(a.min() / b.min()), float(np.median(a / b)), "times", relation, bar)


def new_folder(command: str) -> Path:
    """The first folder under runs/benchmark/ for a command's files that is not there yet."""
    number = 1
    while (folder := Path("runs", "benchmark", f"{command}-{number}")).exists():
        number += 1
    return folder


def keep(path: Path, rows: Sequence[Row], command: str = "") -> None:
    """Write a table and say so."""
    write_rows(path, rows, command)
    print(f"written: {path}", file=sys.stderr)


def report(
    nanoseconds: dict[str, np.ndarray],
    claims: list[Claim],
    json_output: bool,
    output: Path,
    clock: str = "CPU",
    title: str = "one environment step",
) -> None:
    """Print tables or JSON, and write timings.csv and claims.csv into the folder ``output``."""
    timings = [Timing(name, float(row.min()), float(np.median(row))) for name, row in nanoseconds.items()]
    keep(output / "timings.csv", [asdict(timing) for timing in timings])
    keep(output / "claims.csv", [_row(claim) for claim in claims])
    if json_output:
        print(json.dumps({"timings": [asdict(t) for t in timings], "claims": [_row(c) for c in claims]}, indent=2))
    else:
        print("\n".join(table(timings, claims, f"{clock} time of {title}")))


def seconds(steps: Callable[[int], None], count: int) -> float:
    """CPU seconds of ``steps(count)``."""
    start = time.process_time()
    steps(count)
    return time.process_time() - start


def table(timings: list[Timing], claims: list[Claim], title: str) -> Iterator[str]:
    """Lines of both tables."""
    yield f"{title:40} {'least':>10} {'median':>10}  ns"
    for timing in timings:
        yield f"{timing.name:40} {timing.least:10.0f} {timing.median:10.0f}"
    yield ""
    yield f"{'claim':40} {'measured':>10} {'median':>10} {'bar':>10}         passed"
    for claim in claims:
        numbers = f"{claim.measured:10.3f} {claim.median:10.3f} {claim.relation + f' {claim.bar:g}':>10}"
        yield f"{claim.name:40} {numbers} {claim.unit:7} {'yes' if claim.passed else 'no'}"


def _row(claim: Claim) -> dict[str, Any]:
    return {**asdict(claim), "passed": claim.passed}
