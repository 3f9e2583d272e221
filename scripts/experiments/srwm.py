"""Self-referential weight matrices (1992; Irie et al. 2022): labels learned, and learned anew, in a sequence."""

from __future__ import annotations

from functools import partial

from .shared.claims import Claim, Row, make_claim
from .shared.jobs import Job, jobs_of_parts
from .shared.sequence_tasks import ChangingLabels
from .shared.supervised import at, jobs_of, mean_accuracy

TITLE = "self-referential weight matrices: labels shown one step late, drawn anew half-way"
TASK = ChangingLabels()
LENGTHS = (10, 20, 40, 80)
CORES = ("self_referential", "self_referential_1992", "delta", "lstm")


def labels(seeds: int, quick: bool) -> list[Job]:
    """Both halves of sequences of four lengths, at equal CPU seconds."""
    tests = {f"{n} {name}": (ChangingLabels(half=i), n) for n in LENGTHS for i, name in enumerate(("first", "second"))}
    training = {"cpu_seconds": 4.0 if quick else 6.0, "rate": 1e-2}
    made = []
    for core in CORES:
        arguments = {"core": core, "task": TASK, "training": training, "tests": tests}
        made += jobs_of("labels", {"core": core}, seeds, **arguments)
    return sorted(made, key=lambda job: job.seed)


PARTS = {"labels": labels}
jobs = partial(jobs_of_parts, PARTS)


def claims(rows: list[Row]) -> list[Claim]:
    """Accuracy before and after the labels change, 20 steps."""
    made = []
    for core in CORES:
        for half in ("first", "second"):
            own = at(rows, ChangingLabels, f"20 {half}", core=core)
            text = f"{core}: labels in the {half} half of 20 steps"
            made.append(make_claim(text, "share", own, mean_accuracy))
    return made
