"""Tables hold whole rows or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.shared import tables

ROWS = [{"agent": "a, b", "seed": 0, "score": 1 / 3}, {"agent": "ä", "seed": 1, "score": 2.0, "more": 1_500_000}]


def test_rows_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.csv"
    tables.write_rows(path, ROWS, "the command")
    read = tables.read_rows(path)
    assert read[0] == {"agent": "a, b", "seed": "0", "score": "0.333333", "more": ""}
    assert tables.numeric(read)[1] == {"agent": "ä", "seed": 1.0, "score": 2.0, "more": 1_500_000.0}
    assert tables.read_command(path) == "the command"
    before = path.read_bytes()
    tables.write_rows(path, read, tables.read_command(path))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["table.csv"]


def test_no_rows_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    assert (tables.read_rows(path), tables.read_command(path), tables.is_torn(path)) == ([], "", False)
    tables.write_rows(path, [], "the command")
    assert (tables.read_rows(path), tables.read_command(path), tables.is_torn(path)) == ([], "the command", False)


def test_a_torn_last_row_is_left_out_wherever_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    tables.write_rows(path, ROWS, "the command")
    text, rows = path.read_bytes(), tables.read_rows(path)
    last = text.rindex(b"\n", 0, -1) + 1
    for cut in range(last, len(text)):
        path.write_bytes(text[:cut])
        assert tables.read_rows(path) == rows[:1]
        assert tables.is_torn(path) == (cut > last)
    path.write_bytes(text[:last] + b"a,2\n")
    assert (tables.read_rows(path), tables.is_torn(path)) == (rows[:1], True)
    path.write_bytes(text[: text.index(b"seed")])
    assert (tables.read_rows(path), tables.is_torn(path)) == ([], True)


def test_a_row_that_was_glued_to_another_is_refused_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("# the command\nagent,seed,score\na,0,1\na,1,0a,2,1\na,3,1\n")
    with pytest.raises(ValueError, match=r"table.csv, line 4: 5 cells, where the header has 3"):
        tables.read_rows(path)


def test_what_cannot_be_written_leaves_the_old_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    tables.write_rows(path, ROWS[:1])
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        tables.write_rows(path, ROWS)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["table.csv"]
