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
    ("tables", "nothing/*.csv"),
    ("curve", "nothing/curve.csv | x: steps | y: share"),
    ("heat", "nothing/all.csv | x: pairs | y: core | show: accuracy"),
])  # fmt: skip
def test_results_that_are_not_recorded_fail_the_build(tables: ModuleType, directive: str, argument: str) -> None:
    with pytest.raises(PluginError, match="record the result, or take it off the page"):
        getattr(tables, directive)(argument)


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
