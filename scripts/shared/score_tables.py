"""The scores of the suite as a text, as JSON, as a CSV file with a row a seed, and as a LaTeX table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .plots import bootstrap_interval, interquartile_mean
from .suite import Line
from .tables import Row, write_rows

SAMPLES = 2000
HEAD = ("task", "policy", "unit", "value", "score", "95 % interval")
SPECIAL = str.maketrans({
    **{sign: f"\\{sign}" for sign in "%_&#${}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}",
})  # fmt: skip


def task_name(line: Line) -> str:
    """The id without its namespace, and the keywords."""
    return " ".join([line.env_id.rpartition("/")[2], *(f"{key}={value}" for key, value in line.env_kwargs.items())])


def summary(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """A row a line, then one for each policy over all its tasks: interquartile means and 95 % intervals.

    Returns:
        Rows of task, policy, unit, seeds, value, score, low, high. What is not defined is None: the interval of one
        seed alone, the value over all tasks, a score where random is as good as the best.
    """
    rows: list[dict[str, Any]] = []
    for line in lines:
        low, high = bootstrap_interval(line.scores) if len(line.scores) > 1 else (None, None)
        value, score = float(interquartile_mean(line.values)), float(interquartile_mean(line.scores))
        numbers = (len(line.scores), value, score, low, high)
        rows.append(_row(task_name(line), line.policy, line.unit, *numbers))
    for policy in dict.fromkeys(line.policy for line in lines):
        scores = [line.scores for line in lines if line.policy == policy]
        numbers = (min(map(len, scores)), None, *aggregate(scores))
        rows.append(_row(f"all {len(scores)}", policy, "IQM of scores", *numbers))
    return rows


def _row(task: str, policy: str, unit: str, seeds: int, *numbers: float | None) -> dict[str, Any]:
    defined = (None if number is None or np.isnan(number) else number for number in numbers)
    named = zip(("value", "score", "low", "high"), defined, strict=True)
    return {"task": task, "policy": policy, "unit": unit, "seeds": seeds, **dict(named)}


def aggregate(scores: Sequence[np.ndarray]) -> tuple[float, float | None, float | None]:
    """Interquartile mean over tasks and seeds, and its 95 % interval by a bootstrap stratified by task (rliable).

    There is no interval where a task has one seed alone.
    """
    mean = float(interquartile_mean(np.concatenate(list(scores))))
    if min(map(len, scores)) < 2:
        return mean, None, None
    rng = np.random.default_rng(0)
    drawn = [values[rng.integers(len(values), size=(len(values), SAMPLES))] for values in scores]
    low, high = np.quantile(interquartile_mean(np.concatenate(drawn)), [0.025, 0.975])
    return mean, float(low), float(high)


def format_suite(lines: Sequence[Line]) -> str:
    """The table: per task and policy the value in the natural unit and the score, each with its interval."""
    rows = [HEAD, *_cells(lines)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(row.rstrip() for row in padded)


def latex(lines: Sequence[Line], command: str) -> str:
    """The same table for LaTeX with the package booktabs; a rule stands between the tasks."""
    body, before = [], ""
    for row in _cells(lines):
        if row[0] != before:
            body.append(r"\midrule")
        before = row[0]
        body.append(" & ".join(cell.translate(SPECIAL) for cell in row) + r" \\")
    head = " & ".join(cell.translate(SPECIAL) for cell in HEAD) + r" \\"
    return "\n".join([
        f"% {command}", r"% \usepackage{booktabs}", r"\begin{tabular}{lllrrl}", r"\toprule", head, *body,
        r"\bottomrule", r"\end{tabular}", "",
    ])  # fmt: skip


def write_csv(lines: Sequence[Line], path: Path, episodes: int, command: str) -> None:
    """A row a seed, with all of the configuration that is needed to repeat it; mappings as JSON."""
    rows: list[Row] = []
    for line in lines:
        settings = {name: line.config.get(name, "") for name in line.config if name not in ("env_id", "env_kwargs")}
        for number, seed in enumerate(line.seeds):
            rows.append({
                "env_id": line.env_id, "env_kwargs": json.dumps(line.env_kwargs), "policy": line.policy, "seed": seed,
                **{name: json.dumps(value) if isinstance(value, dict) else value for name, value in settings.items()},
                **({"train_env_kwargs": json.dumps(line.config["env_kwargs"])} if line.config else {}),
                "folder": line.folders[number] if line.folders else "",
                "episodes": episodes, "first_start": line.starts[number], "unit": line.unit,
                "value": float(line.values[number]), "score": float(line.scores[number]),
            })  # fmt: skip
    write_rows(path, rows, command)


def _cells(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    """The texts of the table; cells without a number are empty."""
    return [
        (row["task"], row["policy"], row["unit"], _number(row["value"]), _number(row["score"]),
         "" if row["low"] is None else f"[{_number(row['low'])}, {_number(row['high'])}]")
        for row in summary(lines)
    ]  # fmt: skip


def _number(value: float | None) -> str:
    return "" if value is None else f"{round(value, 3) + 0.0:.3f}"  # never -0.000
