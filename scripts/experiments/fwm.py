"""Schlag, Munkhdalai & Schmidhuber (2020): fast weight memory and chained reads, on associative inference."""

from __future__ import annotations

from functools import partial

from .shared.claims import Claim, Row, make_claim
from .shared.jobs import Job, jobs_of_parts
from .shared.sequence_tasks import Chains
from .shared.supervised import at, jobs_of, mean_accuracy

TITLE = "fast weight memory: A -> B and B -> C are shown, A asks for C"
TASK = Chains()
CORES = ("fast_weight_memory", "tensor_product", "delta", "lstm")


def chains(seeds: int, quick: bool) -> list[Job]:
    """One to five chains at equal CPU seconds."""
    training = {"cpu_seconds": 4.0 if quick else 6.0, "rate": 5e-3}
    made = []
    for core in CORES:
        made += jobs_of("chains", {"core": core}, seeds, core=core, task=TASK, training=training)
    return sorted(made, key=lambda job: job.seed)


PARTS = {"chains": chains}
jobs = partial(jobs_of_parts, PARTS)


def claims(rows: list[Row]) -> list[Claim]:
    """Share of right answers to the questions that need two reads, one and three chains."""
    made = []
    for core in CORES:
        for count in (1, 3):
            own = at(rows, Chains, count, core=core)
            text = f"{core}: C from A, {count} chain{'s' * (count > 1)}"
            made.append(make_claim(text, "share", own, mean_accuracy))
    return made
