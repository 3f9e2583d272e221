"""World models: the jobs in a tiny form, blind strafing, and the claims."""

from __future__ import annotations

import numpy as np

from scripts.experiments import worldmodels
from scripts.experiments.shared.claims import judge
from scripts.experiments.shared.jobs import run_jobs


def test_the_quick_form_runs_every_part_and_has_its_claims() -> None:
    jobs = worldmodels.jobs((), 1, quick=True)
    assert [job.table for job in jobs] == ["main", *["references"] * 4, "temperature", *["inputs"] * 2]
    chosen = [job for job in jobs if job.table != "inputs"]
    rows = run_jobs(chosen, processes=1).rows
    assert len(rows) == len(chosen)
    assert all(np.isfinite(float(row["tics"])) and float(row["tics"]) > 0 for row in rows)
    main = next(row for row in rows if row["table"] == "main")
    parts = (float(main[f"{name}_seconds"]) for name in ("vision", "memory", "controller"))
    assert sum(parts) <= float(main["cpu_seconds"]) + 0.1
    claims = judge(worldmodels.claims(rows), quick=True)
    assert [claim.passed for claim in claims] == [None] * len(claims)
    assert len(claims) == 4 + 4 + 1


def test_the_parts_differ_in_what_they_say() -> None:
    jobs = worldmodels.jobs(("temperature", "inputs"), 10, quick=False)
    assert len({job.key() for job in jobs}) == len(jobs) == 3 * (5 + 2)
    assert {job.arguments["agent"].get("temperature") for job in jobs[:15]} == set(worldmodels.TEMPERATURES)


def test_strafing_turns_after_its_tics_and_begins_anew_with_an_episode() -> None:
    blind, obs, state, ways = worldmodels.Strafing(3 * worldmodels.SKIP), np.zeros((2, 4)), None, []
    for step in range(9):
        actions, state = blind.predict(obs, state, np.array([False, step == 5]))
        ways.append(actions[:, 0])
    first, second = np.transpose(ways)
    assert first.tolist() == [1, 1, -1, -1, -1, 1, 1, 1, -1]
    assert second.tolist() == [*first[:5], *first[:4]]
    assert not worldmodels.Strafing(0).predict(obs)[0].any()
