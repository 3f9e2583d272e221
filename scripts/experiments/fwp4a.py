"""Ba, Hinton, Mnih, Leibo & Ionescu (2016): fast weights that attend to the recent past, on associative retrieval."""

from __future__ import annotations

from functools import partial

from .shared.claims import Claim, Row, make_claim
from .shared.jobs import Job, jobs_of_parts
from .shared.sequence_tasks import Retrieval
from .shared.supervised import at, jobs_of, mean_accuracy

TITLE = "fast weights of 2016: associative retrieval against recurrent nets of equal size"
TASK = Retrieval()
CORES = ("fast_weights_2016", "lstm", "elman")
SIZE = 50  # units


def retrieval(seeds: int, quick: bool) -> list[Job]:
    """Nets of 50 units at equal CPU seconds."""
    training = {"cpu_seconds": 4.0 if quick else 6.0, "rate": 5e-3, "columns": 128}
    made = []
    for core in CORES:
        arguments = {"core": core, "keywords": {"size": SIZE}, "task": TASK, "training": training, "sequences": 1000}
        made += jobs_of("retrieval", {"core": core}, seeds, **arguments)
    return sorted(made, key=lambda job: job.seed)


PARTS = {"retrieval": retrieval}
jobs = partial(jobs_of_parts, PARTS)


def claims(rows: list[Row]) -> list[Claim]:
    """Share of right answers at 4 and at 8 pairs."""
    made = []
    for core in CORES:
        for pairs in (4, 8):
            own = at(rows, Retrieval, pairs, core=core)
            made.append(make_claim(f"{core}: retrieval from {pairs} pairs", "share", own, mean_accuracy))
    return made
