"""Memory by supervised sequence training, at equal CPU seconds: recall of pairs, and of what came n steps ago."""

from __future__ import annotations

from functools import partial
from typing import Any

from agents.cores import CORES

from .shared.claims import Claim, Row, make_claim
from .shared.jobs import Job, jobs_of_parts
from .shared.sequence_tasks import PairRecall, StepsBack
from .shared.supervised import at, jobs_of, mean_accuracy

TITLE = "memory of every core: recall of key-value pairs, and of the symbol of 32 steps ago"
TASK = PairRecall()
PAIRS = (4, 8, 16, 32, 64)
SECONDS = 8.0  # of training, the same for all
BACK = StepsBack()
STEPS, BACK_SECONDS = 32, 60.0
FRONT = "convolution and clock"
FRONTS: dict[str, dict[str, Any]] = {"none": {}, FRONT: {"convolution": "depthwise", "clock": 8}}
QUICK = ("feedforward", "lstm", "delta", "gated_delta")
BARE = ("feedforward", "lstm", "gru", "window_attention", "linear_attention", "delta", "gated_delta")
FRONTED = [(core, front) for core in CORES for front in FRONTS if front == FRONT or core in BARE]


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


def back(seeds: int, quick: bool) -> list[Job]:
    """The symbol of `STEPS` steps ago, by all cores with a front, and by those of `BARE` without."""
    training = {"cpu_seconds": 10.0 if quick else BACK_SECONDS, "rate": 1e-2}
    made = []
    for core, front in [pair for pair in FRONTED if not quick or pair[0] == QUICK[-1]]:
        model = {"core": core, "keywords": FRONTS[front], "task": BACK, "training": training}
        made += jobs_of("back", {"core": core, "front": front}, min(seeds, 3), **model)
    return sorted(made, key=lambda job: job.seed)


PARTS = {"cores": cores, "back": back}

jobs = partial(jobs_of_parts, PARTS)


def claims(rows: list[Row]) -> list[Claim]:
    """Accuracy of every core at 8 and at 64 pairs, where no memory must stay near chance, and many steps back."""
    made = []
    for core in CORES:
        for pairs in (8, 64):
            low = {("delta", 8): 0.98, ("gated_delta", 8): 0.98}.get((core, pairs))
            high = 2 / TASK.classes if core == "feedforward" else None
            own = at(rows, PairRecall, pairs, core=core)
            text = f"{core}, {pairs} pairs: recall accuracy"
            made.append(make_claim(text, "share", own, mean_accuracy, low, high, quick=core == "feedforward"))
    for core, front in FRONTED:
        own = at(rows, StepsBack, STEPS, table="back", core=core, front=front)
        low = 0.99 if (core, front) == ("gated_delta", FRONT) else None
        text = f"{core}, front {front}: recall {STEPS} steps back"
        made.append(make_claim(text, "share", own, mean_accuracy, low))
    return made
