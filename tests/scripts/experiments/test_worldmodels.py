"""World models: the jobs in a tiny form, blind strafing, and the claims."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scripts.experiments import worldmodels
from scripts.experiments.shared.claims import judge
from scripts.experiments.shared.jobs import run_jobs


def test_the_quick_form_runs_every_part_and_has_its_claims() -> None:
    jobs = worldmodels.jobs((), 1, quick=True)
    assert [job.table for job in jobs] == ["main", *["references"] * 4, "dreams"]
    rows = run_jobs(jobs, processes=1).rows
    assert len(rows) == len(jobs) + 1
    assert all(np.isfinite(float(row["tics"])) and float(row["tics"]) > 0 for row in rows)
    main, *_, cold, blind = rows
    assert [(row["temperature"], row["observes"]) for row in (main, cold, blind)] == [
        ("1.15", "zh"), ("0.3", "zh"), ("1.15", "z")
    ]  # fmt: skip
    for row in (main, cold, blind):
        parts = (float(row[f"{name}_seconds"]) for name in ("vision", "memory", "controller"))
        assert sum(parts) <= float(row["cpu_seconds"]) + 0.1
        horizon = worldmodels.SKIP * worldmodels.QUICK["horizon"]
        assert 0 < float(row["dream_tics"]) <= horizon
        assert 0 < float(row["tics_within_horizon"]) <= min(horizon, float(row["tics"]))
    claims = judge(worldmodels.claims(rows), quick=True)
    assert [claim.passed for claim in claims] == [None] * len(claims)
    assert len(claims) == 4 + 4 + 3 + 1


def test_every_dream_of_a_seed_has_the_same_vision_and_memory() -> None:
    """A C that trains in the second dream is the one that trains there alone."""
    (job,) = worldmodels.jobs(("dreams",), 1, quick=True)
    both = worldmodels.learn(job)
    alone = worldmodels.learn(replace(job, arguments={**job.arguments, "dreams": job.arguments["dreams"][1:]}))
    for name in ("tics", "tics_within_horizon", "dream_tics"):
        assert both[1][name] == alone[0][name]


def test_the_parts_have_their_seeds_and_dreams() -> None:
    jobs = worldmodels.jobs(("main", "dreams"), 10, quick=False)
    assert len({job.key() for job in jobs}) == len(jobs) == 10 + 3
    assert [dream.get("temperature") for dream in jobs[-1].arguments["dreams"]] == [*worldmodels.TEMPERATURES, None]
