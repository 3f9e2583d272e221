"""Gers, Schmidhuber & Cummins (2000): learning to forget, on a stream that does not tell where strings begin."""

from __future__ import annotations

from functools import partial

from .shared.claims import Claim, Row, make_claim
from .shared.jobs import Job, jobs_of_parts
from .shared.sequence_tasks import ContinualReber
from .shared.supervised import at, jobs_of, mean_accuracy

TITLE = "LSTM with and without forget gates on the continual embedded Reber grammar"
LENGTHS = (100, 1000, 10_000)
OPEN = 30.0  # a bias at which the forget gate is 1 in float32, and its gradient 0
NETS = {
    "forget gate": (3.0, False),
    "always open": (OPEN, False),
    "always open, told to forget": (OPEN, True),
}
CELLS = 16


def reber(seeds: int, quick: bool) -> list[Job]:
    """Trained on streams of 100 letters, tested on longer ones."""
    made = []
    for net, (bias, told) in NETS.items():
        task = ContinualReber(told=told)
        arguments = {
            "core": "lstm",
            "keywords": {"size": CELLS, "forget_bias": bias},
            "task": task,
            "training": {"cpu_seconds": 4.0 if quick else 8.0, "rate": 1e-2},
            "tests": {length: (task, length) for length in (LENGTHS[:2] if quick else LENGTHS)},
            "sequences": 16,
        }
        made += jobs_of("reber", {"net": net}, seeds, **arguments)
    return sorted(made, key=lambda job: job.seed)


PARTS = {"reber": reber}
jobs = partial(jobs_of_parts, PARTS)


def claims(rows: list[Row]) -> list[Claim]:
    """The letter that must be remembered, in streams as long as those of training and ten times as long."""
    made = []
    for net in NETS:
        for length in LENGTHS[:2]:
            own = at(rows, ContinualReber, length, net=net)
            bar = 0.95 if net == "forget gate" else None
            made.append(make_claim(f"{net}: remembered letter, {length} letters", "share", own, mean_accuracy, bar))
    return made
