"""Tables of the documentation: what a page names must be recorded; few seeds are shown one by one."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from scripts.shared.tables import write_rows

pytest.importorskip("mkdocs")
from mkdocs.exceptions import PluginError


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs" / "build"))
    module = importlib.import_module("tables")
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    return module


@pytest.mark.parametrize(("directive", "argument"), [
    ("tables.tables", "nothing/*.csv"),
    ("tables.pivot", "nothing/*.csv | rows: agent | show: share"),
    ("charts.curve", "nothing/curve.csv | x: steps | show: share"),
    ("charts.heat", "nothing/all.csv | x: pairs | y: core | show: accuracy"),
    ("jobs.table", "table"),
    ("charts.dots", "nothing/all.csv | y: task | by: agent | show: share"),
])  # fmt: skip
def test_results_that_are_not_recorded_fail_the_build(tables: ModuleType, directive: str, argument: str) -> None:
    module, _, function = directive.partition(".")
    with pytest.raises(PluginError, match="record the result, or take it off the page"):
        getattr(importlib.import_module(module), function)(argument)


def test_half_a_row_fails_the_build(tables: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "torn.csv").write_text("agent,seed,score\na,0,1\na,1")
    with pytest.raises(PluginError, match="half a row"):
        tables.tables("torn.csv")


def test_few_seeds_are_shown_one_by_one(tables: ModuleType, tmp_path: Path) -> None:
    rows = [{"agent": "few", "seed": seed, "score": 0.1 * seed} for seed in range(3)]
    rows += [{"agent": "many", "seed": seed, "score": 0.1 * seed} for seed in range(10)]
    write_rows(tmp_path / "all.csv", [*rows, {"agent": "one", "seed": 0, "score": 0.5}], "a command")
    lines = tables.tables("all.csv | by: agent | show: score").splitlines()
    assert lines[0] == "**all**, by `a command`"
    assert lines[4] == "| few | 0.1 (0, 0.1, 0.2) | 3 |"
    assert lines[5].startswith("| many | 0.45 [")
    assert lines[6] == "| one | 0.5 | 1 |"


def test_a_short_table_joins_files(tables: ModuleType, tmp_path: Path) -> None:
    ours = [{"agent": "ours", "shape": shape, "seed": 0, "share": 1} for shape in ("L", "ring")]
    write_rows(tmp_path / "ours.csv", ours, "a command")
    theirs = [{"agent": "PPO", "budget": budget, "shape": "L", "seed": 0, "share": 0.5} for budget in ("steps", "cpu")]
    write_rows(tmp_path / "ppo.csv", theirs, "another")
    argument = "ours.csv, ppo.csv | rows: agent, budget | columns: shape | show: share"
    assert tables.pivot(argument).splitlines() == [
        "| agent | budget | L | ring |",
        "|---|---|---:|---:|",
        "| ours |  | 1 | 1 |",
        "| PPO | steps | 0.5 |  |",
        "| PPO | cpu | 0.5 |  |",
    ]
    assert len(tables.pivot(f"{argument} | only: budget = cpu").splitlines()) == 4
    with pytest.raises(PluginError, match="no column colour"):
        tables.pivot("ours.csv | rows: colour | show: share")


def test_the_best_cores_of_a_job_share_a_place(
    tables: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = importlib.import_module("jobs")
    scores = {"lstm": 0.5, "delta_rnn": 1.0, "gated_delta": 1.0, "a peer": 1.0, "gru": 0.7}
    rows = [{"core": core, "pairs": pairs, "seed": seed, "accuracy": score * (pairs == 8), "steps": 1 / score}
            for core, score in scores.items() for pairs in (8, 64) for seed in range(5)]  # fmt: skip
    write_rows(tmp_path / "all.csv", rows, "a command")
    job = jobs.Job("recall", "page", "all.csv", only={"pairs": "8"}, apart=("a peer",))
    fast = jobs.Job("speed", "page", "all.csv", "steps", "steps", only={"pairs": "8"}, least=True)
    monkeypatch.setattr(jobs, "JOBS", (job, fast))
    first, second = jobs.table("table").splitlines()[2:]
    assert first == (
        "| [recall](../papers/page.md) | accuracy | delta rnn; gated delta (1) | gru (0.7) | lstm (0.5) | 4 |"
    )
    assert second.endswith("| steps | delta rnn; gated delta; a peer (1) | gru (1.43) | lstm (2) | 5 |")


def test_tables_are_folded_behind_a_title(tables: ModuleType, tmp_path: Path) -> None:
    write_rows(tmp_path / "all.csv", [{"agent": "one", "seed": 0, "score": 0.5}], "a command")
    lines = tables.tables("all.csv | by: agent | fold: All of it").splitlines()
    assert lines[:3] == ['??? note "All of it"', "", "    **all**, by `a command`"]
