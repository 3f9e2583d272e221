"""Which core for which job: the best of every recorded comparison of cores, a row a job, from its raw results."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from tables import Row, grouped, matching, number, read, require

from scripts.shared.plots import interquartile_mean

PAPERS = "../papers/"
SHOWN = 4  # names at most in one cell


@dataclass(frozen=True)
class Job:
    """A comparison of cores.

    Attributes:
        name: what is to be done.
        page: where it is described, without ``.md``; may name a place on it.
        file: of the results, below docs/results.
        measure: a column.
        unit: of the measure, in words.
        by: the column that names the core.
        only: column -> value of the rows that count.
        least: whether less is better.
        apart: what ``by`` contains in rows that compare no core.
    """

    name: str
    page: str
    file: str
    measure: str = "accuracy"
    unit: str = "accuracy"
    by: str = "core"
    only: dict[str, str] = field(default_factory=dict)
    least: bool = False
    apart: tuple[str, ...] = ()


STEPS = {"measure": "solved_steps", "unit": "steps to the threshold", "by": "learner", "least": True}
JOBS = (
    Job("recall of 8 pairs, with a teacher", "recall", "recall/cores.csv", only={"pairs": "8"}),
    Job("recall of 64 pairs, with a teacher", "recall", "recall/cores.csv", only={"pairs": "64"}),
    Job("recall of 8 pairs, by reward", "memory", "memory/recall.csv", **STEPS),
    Job("the newest of bindings that change, by reward", "memory", "memory/parking.csv", **STEPS,
        apart=("sb3-contrib", "loop over steps", "through a world model")),
    Job("events far apart, by reward", "memory", "memory/flip_flop.csv", **STEPS),
    Job("a ball that is seen for a moment, by reward", "memory", "memory/catch.csv", **STEPS),
    Job("facts that chain, five of them", "fwm", "fwm/chains.csv", only={"chains": "5"}),
    Job("programmes of 80 statements", "fwp7", "fwp7/programmes.csv", only={"statements": "80"}),
    Job("labels learned from 80 examples", "srwm", "srwm/labels.csv", only={"steps": "80 second"}),
    Job("brackets 40 deep, after training on 6", "state_tracking", "state-tracking/brackets.csv", by="model",
        only={"level": "40", "equal": "updates"}),
)  # fmt: skip


def table(argument: str) -> str:
    """For the directive of generate.py: of every job the best cores, the next, and the last, each with its figure."""
    lines = ["| job | measure | best | next | last | cores |", "|---|---|---|---|---|---:|"]
    for job in JOBS:
        scores = _scores(job)
        places = _places(scores)
        next_best = places[1] if len(places) > 2 else ""
        last = places[-1] if len(places) > 1 else ""
        cells = [f"[{job.name}]({PAPERS}{job.page}.md)", job.unit, places[0], next_best, last, str(len(scores))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _scores(job: Job) -> dict[str, float]:
    """Interquartile mean over the seeds of every core, the best first."""
    (path,) = matching(job.file)
    _, rows = read(path)
    require(path, rows, [job.by, job.measure, *job.only])
    rows = [row for row in rows if _counts(job, row)]
    scores = {core: float(interquartile_mean(np.array([float(row[job.measure]) for row in group])))
              for (core,), group in grouped(rows, [job.by])}  # fmt: skip
    return dict(sorted(scores.items(), key=lambda item: item[1], reverse=not job.least))


def _counts(job: Job, row: Row) -> bool:
    return all(row[column] == value for column, value in job.only.items()) and not any(
        word in row[job.by] for word in job.apart
    )


def _places(scores: dict[str, float]) -> list[str]:
    """Cores that share a place, with the figure that they share."""
    places = []
    for figure, cores in groupby(scores.items(), key=lambda item: number(item[1])):
        names = [core.replace("_", " ") for core, _ in cores]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        places.append(f"{'; '.join(names[:SHOWN])}{more} ({figure})")
    return places
