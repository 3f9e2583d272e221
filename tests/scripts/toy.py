"""A result of small fast jobs, for tests of `reproduce`: three rows a job in two tables."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from scripts import reproduce
from scripts.experiments.shared.claims import Claim, make_claim, numbers, select
from scripts.experiments.shared.jobs import Job, Row

TITLE = "a toy"
PARTS = ("first", "second")
SECONDS = 0.005  # of a job


def work(job: Job) -> list[Row]:
    """Rows that depend on the job alone; while the file ``broken`` is there, one job of each table fails in its way."""
    time.sleep(job.arguments["seconds"])
    if job.seed == 2 and job.conditions["agent"] == "a" and os.path.exists(job.arguments["broken"]):
        if job.table == "first":
            raise ValueError("two\nlines")
        os.kill(os.getpid(), signal.SIGKILL)
    return [{"level": level, "score": (job.seed + 1) / (level + 3), "environment_steps": 10} for level in range(3)]


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    names = ("a", "b, quoted")
    return [
        Job(part, {"agent": name}, seed, work, {"seconds": SECONDS, "broken": os.path.abspath("broken")})
        for seed in range(seeds)
        for part in parts or PARTS
        for name in names
        if part == "first" or not quick
    ]


def claims(rows: list[Row]) -> list[Claim]:
    def mean(own: list[Row]) -> float:
        return float(numbers(own, "score").mean())

    first, second = (select(rows, table=part, agent="a") for part in PARTS)
    return [
        make_claim("first", "share", first, mean, 0.1, quick=True),
        make_claim("first, high", "share", first, mean, 0.5),
        make_claim("second", "share", second, mean, 0.0),
        make_claim("told", "share", first, mean),
    ]


@contextmanager
def known() -> Iterator[None]:
    """Makes it a result that `reproduce` knows, in this process."""
    name, before = "scripts.experiments.toy", reproduce.EXPERIMENTS
    sys.modules[name], reproduce.EXPERIMENTS = sys.modules[__name__], (*before, "toy")
    try:
        yield
    finally:
        del sys.modules[name]
        reproduce.EXPERIMENTS = before
