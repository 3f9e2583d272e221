"""CSV tables of results: whole rows or none, whatever ends the process that writes them.

Lines that start with ``#`` before the header hold the command that made the table. A file is replaced in one step by a
complete one, so that a reader, or the next run after a SIGKILL, finds either the old rows or all of the new ones.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def read_rows(path: str | Path) -> list[dict[str, str]]:
    """Rows of a table as text; none where there is no file. A torn last line is left out.

    Raises:
        ValueError: a line before the last has more or fewer cells than the header.
    """
    lines, _ = _lines(Path(path))
    head = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    cells = list(csv.reader(lines[head:]))
    for number, row in enumerate(cells, head + 1):
        if len(row) != len(cells[0]):
            raise ValueError(
                f"{path}, line {number}: {len(row)} cells, where the header has {len(cells[0])}; correct or remove it"
            )
    return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]


def read_command(path: str | Path) -> str:
    """The command that made a table; empty where it does not say."""
    lines, _ = _lines(Path(path))
    return " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))


def is_torn(path: str | Path) -> bool:
    """Whether the last line is cut: without its end, or with more or fewer cells than the header."""
    return _lines(Path(path))[1]


def numeric(rows: Iterable[Mapping[str, str]]) -> list[Row]:
    """The same rows with numbers as floats, and without empty cells."""
    return [{name: _number(cell) for name, cell in row.items() if cell != ""} for row in rows]


def write_rows(path: str | Path, rows: Sequence[Mapping[str, Any]], command: str = "") -> None:
    """Write a whole table, in one step; folders are made, floats keep six digits.

    Args:
        path: of the file.
        rows: a column that only some of them have is empty in the others; no rows: the command alone.
        command: that made them, one line.

    Raises:
        OSError: the file cannot be written; what was there before stays.
    """
    text = io.StringIO()
    if command:
        text.write(f"# {command}\n")
    if rows:
        writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _short(value) for name, value in row.items()} for row in rows)
    _replace(Path(path), text.getvalue())


def _lines(path: Path) -> tuple[list[str], bool]:
    """Whole lines of a table, and whether there was a torn one after them."""
    whole, _, rest = (path.read_bytes() if path.is_file() else b"").rpartition(b"\n")
    lines = whole.decode().split("\n") if whole else []
    rows = [line for line in lines if not line.startswith("#")]
    if rest or not rows:
        return lines, bool(rest)
    header, last = (next(csv.reader([line])) for line in (rows[0], rows[-1]))
    torn = len(last) != len(header)
    return lines[: len(lines) - torn], torn


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell
