"""reproduce: jobs that resume, rows on disk, and claims that can fail."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from scripts.experiments import EXPERIMENTS, att1
from scripts.experiments.shared.budget import first_reaching
from scripts.experiments.shared.claims import make_claim, numbers, select
from scripts.experiments.shared.jobs import Job, Row, read_rows, run_jobs
from scripts.reproduce import reproduce


def double(job: Job) -> list[Row]:
    return [{"value": 2.0 * job.arguments["x"], "environment_steps": 10}]


def a_job(seed: int) -> Job:
    return Job("table", {"agent": "a"}, seed, double, {"x": float(seed)})


def test_jobs_append_rows_and_resume(tmp_path: Path) -> None:
    run_jobs([a_job(0), a_job(1)], tmp_path, "the command", processes=1)
    rows = run_jobs([a_job(0), a_job(1), a_job(2)], tmp_path, "the command", processes=1)
    assert sorted(numbers(rows, "value")) == [0.0, 2.0, 4.0]
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines[0] == "# the command"
    assert lines[1] == "agent,seed,value,environment_steps,cpu_seconds"
    assert len(lines) == 5
    assert len(read_rows(tmp_path, "table")) == 3
    assert read_rows(tmp_path, "nothing") == []


def test_claims_fail_without_rows_and_outside_their_bounds() -> None:
    rows = [{"seed": seed, "share": 0.9 + 0.02 * seed, "environment_steps": 5, "cpu_seconds": 1} for seed in range(3)]

    def mean(chosen: list[Row]) -> float:
        return float(numbers(chosen, "share").mean())

    assert make_claim("c", "share", rows, mean, 0.9).passed
    assert not make_claim("c", "share", rows, mean, 0.95).passed
    assert not make_claim("c", "share", rows, mean, None, 0.9).passed
    empty = make_claim("c", "share", select(rows, seed="7"), mean, 0.0)
    assert not empty.passed
    assert math.isnan(empty.measured)


def test_first_point_of_a_curve_at_a_level() -> None:
    curve = [{"environment_steps": 10 * i, "share": 0.3 * i} for i in range(5)]
    assert first_reaching(curve, "share", 0.85) == 30
    assert first_reaching(curve, "share", 2.0) == math.inf


def test_every_part_has_jobs_of_its_own() -> None:
    made = att1.jobs((), 2, False)
    assert len({job.key() for job in made}) == len(made)
    assert {job.table.removesuffix("_references") for job in made} >= {"published", "default", "rotation", "tracking"}
    assert att1.claims([]) == []


def test_list_and_unknown_names(capsys: pytest.CaptureFixture[str]) -> None:
    reproduce(list_results=True)
    printed = capsys.readouterr().out
    assert all(name in printed for name in EXPERIMENTS)
    with pytest.raises(SystemExit, match="known: att1"):
        reproduce("att2")
    with pytest.raises(SystemExit, match="no part"):
        reproduce("att1", parts=("nonsense",))
