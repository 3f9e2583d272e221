"""Irie, Schlag, Csordas & Schmidhuber (2021): recurrent fast weight programmers, and the gradient through them."""

from __future__ import annotations

from functools import partial

from .shared.claims import Claim, Row, make_claim
from .shared.jobs import Job, jobs_of_parts
from .shared.sequence_tasks import PairRecall, Variables
from .shared.supervised import at, jobs_of, mean_accuracy

TITLE = "recurrent fast weight programmers: full against cut gradient on recall, execution of programmes"
RECALL = PairRecall(levels=(1, 2, 4, 8))
GRADIENTS = {"full": None, "cut": 1}  # steps through which the gradient flows
RECALLING = ("delta", "recurrent_delta", "delta_rnn")
EXECUTING = ("delta_rnn", "recurrent_delta", "lstm", "delta")


def gradient(seeds: int, quick: bool) -> list[Job]:
    """Recall of up to 8 pairs with the gradient through all steps, or cut at every step; three seeds."""
    made = []
    for core in RECALLING[:1] if quick else RECALLING:
        for name, window in GRADIENTS.items():
            training = {"cpu_seconds": 4.0 if quick else 16.0, "rate": 1e-2, "window": window}
            conditions = {"core": core, "gradient": name}
            made += jobs_of("gradient", conditions, min(seeds, 3), core=core, task=RECALL, training=training)
    return sorted(made, key=lambda job: job.seed)


def programmes(seeds: int, quick: bool) -> list[Job]:
    """Programmes over five variables; three seeds."""
    made = []
    for core in EXECUTING:
        training = {"cpu_seconds": 4.0 if quick else 24.0, "rate": 1e-2}
        made += jobs_of("programmes", {"core": core}, min(seeds, 3), core=core, task=Variables(), training=training)
    return sorted(made, key=lambda job: job.seed)


PARTS = {"gradient": gradient, "programmes": programmes}
jobs = partial(jobs_of_parts, PARTS)


def claims(rows: list[Row]) -> list[Claim]:
    """Full and cut gradient at 8 pairs, and programmes of 40 statements."""
    made = []
    for core in RECALLING:
        for name in GRADIENTS:
            own = at(rows, PairRecall, 8, table="gradient", core=core, gradient=name)
            bounds = (0.98, None) if name == "full" else (None, 0.8)
            text = f"{core}, {name} gradient: recall of 8 pairs"
            made.append(make_claim(text, "share", own, mean_accuracy, *bounds, quick=name == "cut"))
    for core in EXECUTING:
        own = at(rows, Variables, 40, table="programmes", core=core)
        made.append(make_claim(f"{core}: programmes of 40 statements, printed rightly", "share", own, mean_accuracy))
    return made
