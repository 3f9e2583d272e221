"""Memory by supervised sequence training: recall of key-value pairs by every core, at equal CPU seconds."""

from __future__ import annotations

from functools import partial

from agents.cores import CORES

from .shared.claims import Claim, Row, make_claim
from .shared.jobs import Job, jobs_of_parts
from .shared.sequence_tasks import PairRecall
from .shared.supervised import at, jobs_of, mean_accuracy

TITLE = "memory of every core: recall accuracy against the number of key-value pairs"
TASK = PairRecall()
PAIRS = (4, 8, 16, 32, 64)
SECONDS = 8.0  # of training, the same for all
QUICK = ("feedforward", "lstm", "delta", "gated_delta")


def cores(seeds: int, quick: bool) -> list[Job]:
    """All cores with their default sizes; three seeds."""
    training = {"cpu_seconds": 5.0 if quick else SECONDS, "rate": 1e-2}
    tests = {pairs: (TASK, pairs) for pairs in PAIRS}
    made = [
        job
        for core in (QUICK if quick else CORES)
        for job in jobs_of("cores", {"core": core}, min(seeds, 3), core=core, task=TASK, training=training, tests=tests)
    ]
    return sorted(made, key=lambda job: job.seed)


PARTS = {"cores": cores}

jobs = partial(jobs_of_parts, PARTS)


def claims(rows: list[Row]) -> list[Claim]:
    """Accuracy of every core at 8 and at 64 pairs; without memory it must stay near chance, with a delta rule not."""
    made = []
    for core in CORES:
        for pairs in (8, 64):
            low = {("delta", 8): 0.98, ("gated_delta", 8): 0.98}.get((core, pairs))
            high = 2 / TASK.classes if core == "feedforward" else None
            own = at(rows, PairRecall, pairs, core=core)
            text = f"{core}, {pairs} pairs: recall accuracy"
            made.append(make_claim(text, "share", own, mean_accuracy, low, high, quick=core == "feedforward"))
    return made
