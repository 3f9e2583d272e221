"""reproduce: jobs that resume, rows on disk, and claims that can fail."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.experiments import EXPERIMENTS, att1
from scripts.experiments.shared.budget import first_reaching
from scripts.experiments.shared.claims import judge, make_claim, numbers, select
from scripts.experiments.shared.jobs import Job, Row, begin_anew, run_jobs
from scripts.reproduce import reproduce
from scripts.shared import tables

from . import toy


def double(job: Job) -> list[Row]:
    return [{"value": 2.0 * job.arguments["x"], "environment_steps": 10}]


def a_job(seed: int) -> Job:
    return Job("table", {"agent": "a"}, seed, double, {"x": float(seed)})


def test_jobs_append_rows_and_resume(tmp_path: Path) -> None:
    run_jobs([a_job(0), a_job(1)], tmp_path, None, "the command", processes=1)
    results = run_jobs([a_job(0), a_job(1), a_job(2)], tmp_path, None, "another", processes=1)
    assert sorted(numbers(results.rows, "value")) == [0.0, 2.0, 4.0]
    assert (results.ran, results.reused) == (1, {tmp_path: 2})
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines[0] == "# the command"
    assert lines[1] == "agent,seed,value,environment_steps,cpu_seconds"
    assert len(lines) == 5
    (tmp_path / "table.csv").write_text("agent,seed,other\na,0,1\n")
    with pytest.raises(ValueError, match=r"table.csv was written by another version: .* columns .*other.* --output"):
        run_jobs([a_job(1)], tmp_path, processes=1)


def test_a_torn_row_is_a_job_not_done(tmp_path: Path) -> None:
    made = toy.jobs(("first",), 3, False)
    run_jobs(made, tmp_path, processes=1)
    path = tmp_path / "first.csv"
    text = path.read_bytes()
    lines = [line.rpartition(b",")[0] for line in text.splitlines()]  # without the CPU seconds
    for cut in range(1, sum(map(len, text.splitlines()[-3:])), 4):
        if text[-cut - 1 : -cut] == b"\n":
            continue  # no row is torn
        path.write_bytes(text[:-cut])
        results = run_jobs(made, tmp_path, processes=1)
        assert results.ran <= 2  # the job of the torn row, and the one before it, which may have lost rows too
        assert len(results.rows) == 3 * len(made)
        assert [line.rpartition(b",")[0] for line in path.read_bytes().splitlines()] == lines


def test_rows_recorded_elsewhere_are_reused_but_not_touched_and_fresh_takes_none(tmp_path: Path) -> None:
    recorded, output = tmp_path / "recorded", tmp_path / "output"
    jobs = [a_job(seed) for seed in range(3)]
    run_jobs(jobs[:2], recorded, processes=1)
    results = run_jobs(jobs, output, recorded, processes=1)
    assert (results.ran, results.reused) == (1, {recorded: 2})
    assert len(tables.read_rows(output / "table.csv")) == 1
    begin_anew(jobs, output, "the command")
    for ran, reused in ((3, {}), (0, {output: 3})):
        results = run_jobs(jobs, output, recorded, "other", processes=1)
        assert (results.ran, results.reused) == (ran, reused)
    assert tables.read_command(output / "table.csv") == "the command --fresh"
    begin_anew(jobs, output, "the command")
    assert [len(tables.read_rows(output / f"table.csv.{number}")) for number in (1, 2)] == [1, 3]
    assert len(tables.read_rows(recorded / "table.csv")) == 2


@pytest.mark.parametrize("processes", [1, 2])
def test_a_job_that_fails_harms_no_other(
    processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken").touch()
    parts = toy.PARTS[:processes]  # in the second a worker is killed
    with toy.known(), pytest.raises(SystemExit) as caught:
        reproduce("toy", parts=parts, seeds=4, processes=processes, output=tmp_path / "out")
    assert caught.value.code == 1
    said = capsys.readouterr()
    assert f"{7 * processes} runs done now, {processes} runs failed" in said.out
    lines = [line for line in said.err.splitlines() if line.startswith("failed: ")]
    expected = [
        r"first a seed 2: ValueError: two lines \(toy.py, line \d+\)",
        "second a seed 2: its process was killed",
    ]
    assert len(lines) == processes
    assert all(re.match(f"failed: {said}", line) for said, line in zip(expected, sorted(lines), strict=False))
    (tmp_path / "broken").unlink()
    with toy.known():
        reproduce("toy", parts=parts, seeds=4, processes=1, output=tmp_path / "out")
    assert f"{processes} runs done now, {21 * processes} rows reused from" in capsys.readouterr().out


def test_claims_fail_without_rows_and_outside_their_bounds() -> None:
    rows = [{"seed": seed, "share": 0.9 + 0.02 * seed, "environment_steps": 5, "cpu_seconds": 1} for seed in range(3)]

    def mean(chosen: list[Row]) -> float:
        return float(numbers(chosen, "share").mean())

    assert make_claim("c", "share", rows, mean, 0.9).passed
    assert make_claim("c", "share", [*rows, {**rows[0], "seed": "0"}], mean).seeds == 3  # one of them was read
    assert not make_claim("c", "share", rows, mean, 0.95).passed
    assert not make_claim("c", "share", rows, mean, None, 0.9).passed
    assert make_claim("c", "share", rows, mean).passed is None
    empty = make_claim("c", "share", select(rows, seed="7"), mean, 0.0)
    assert not empty.passed
    assert math.isnan(empty.measured)
    assert judge([empty]) == []
    missed, easy = (make_claim("c", "share", rows, mean, 0.95, quick=quick) for quick in (False, True))
    assert [claim.verdict() for claim in judge([missed, easy])] == ["NO", "NO"]
    assert [claim.verdict() for claim in judge([missed, easy], quick=True)] == ["not judged", "NO"]
    assert make_claim("c", "share", rows, mean).verdict() == ""


def test_the_quick_form_judges_what_it_can_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with toy.known():
        reproduce("toy", quick=True, processes=1)
        printed = capsys.readouterr().out.splitlines()
        assert printed[0] == "2 runs done now, nothing is kept"
        assert [line.split()[-1] for line in printed[2:]] == ["yes", "judged", "0.0"]
        assert not list(tmp_path.iterdir())
        with pytest.raises(SystemExit, match="no quick form: second of toy"):
            reproduce("toy", parts=("second",), quick=True)
        with pytest.raises(SystemExit, match="--quick runs one seed"):
            reproduce("toy", quick=True, seeds=3)
        with pytest.raises(SystemExit, match="--seeds must be at least 1, got 0"):
            reproduce("toy", seeds=0)
        with pytest.raises(SystemExit) as caught:
            reproduce("toy", seeds=1, processes=1)  # "first, high" is missed
    assert caught.value.code == 1
    assert "1 of 3 bars are missed" in capsys.readouterr().err
    assert (tmp_path / "runs" / "reproduce" / "toy" / "first.csv").is_file()


@pytest.mark.parametrize(("kills", "processes"), [
    (4, 1), pytest.param(100, 1, marks=pytest.mark.slow), pytest.param(36, 2, marks=pytest.mark.slow),
])  # fmt: skip
def test_a_run_that_is_ended_resumes_to_the_rows_of_one_that_is_not(kills: int, processes: int) -> None:
    command = [sys.executable, "-m", "tests.scripts.kills", str(kills), str(processes), "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_first_point_of_a_curve_at_a_level() -> None:
    curve = [{"environment_steps": 10 * i, "share": 0.3 * i} for i in range(5)]
    assert first_reaching(curve, "share", 0.85) == 30
    assert first_reaching(curve, "share", 2.0) == math.inf


def test_every_part_has_jobs_of_its_own() -> None:
    made = att1.jobs((), 2, False)
    assert len({job.key() for job in made}) == len(made)
    assert {job.table.removesuffix("_references") for job in made} >= {"published", "default", "rotation", "tracking"}
    assert judge(att1.claims([])) == []


def test_list_and_unknown_names(capsys: pytest.CaptureFixture[str]) -> None:
    reproduce(list_results=True)
    printed = capsys.readouterr().out
    assert all(name in printed for name in EXPERIMENTS)
    with pytest.raises(SystemExit, match="known: att1"):
        reproduce("att2")
    with pytest.raises(SystemExit, match="no part"):
        reproduce("att1", parts=("nonsense",))
