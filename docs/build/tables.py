"""Tables over the raw results in docs/results: one row a seed, interquartile means, bootstrap intervals.

A results file is CSV. Lines that start with ``#`` before the header hold the command that wrote it. One column is
``seed``; the others are conditions (``by``) or measures (``show``). A measure that a seed did not reach within its
budget is written ``inf``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mkdocs.exceptions import PluginError

from scripts.shared.plots import bootstrap_interval, interquartile_mean, mean
from scripts.shared.tables import is_torn, read_command, read_rows

RESULTS = Path(__file__).parents[1] / "results"
Row = dict[str, str]
FEWEST = 5  # seeds with an interval
STATISTICS = {"": interquartile_mean, "mean": mean}


def tables(argument: str) -> str:
    """One table a file: ``pattern | by: condition, ... | show: measure, ...``; conditions default to the texts.

    ``| statistic: mean`` gives means instead of interquartile means: shares of seeds, where a seed has 0 or 1.
    ``| fold: title`` puts them behind a title that opens with a click.
    """
    pattern, options = parse(argument)
    text = "\n\n".join(
        table(path, options.get("by"), options.get("show"), options.get("statistic", [""])[0])
        for path in matching(pattern)
    )
    if "fold" not in options:
        return text
    return f'??? note "{", ".join(options["fold"])}"\n\n' + textwrap.indent(text, "    ")


def table(path: Path, by: list[str] | None, show: list[str] | None, statistic: str = "") -> str:
    """Markdown table of one results file, with its command."""
    command, rows = read(path)
    by = by or [name for name in rows[0] if name != "seed" and not all(is_number(row[name]) for row in rows)]
    show = show or [name for name in rows[0] if name not in ("seed", *by)]
    require(path, rows, [*by, *show])
    lines = [
        f"**{path.stem.replace('_', ' ')}**" + (f", by `{command}`" if command else ""),
        "",
        "| " + " | ".join([*(name.replace("_", " ") for name in [*by, *show]), "seeds"]) + " |",
        "|" + "---|" * len(by) + "---:|" * (len(show) + 1),
    ]
    for condition, group in grouped(rows, by):
        cells = [summary([float(row[name]) for row in group], STATISTICS[statistic]) for name in show]
        lines.append("| " + " | ".join([*condition, *cells, str(len(group))]) + " |")
    return "\n".join(lines)


def pivot(argument: str) -> str:
    """A short table over several files: ``pattern, ... | rows: condition, ... | columns: condition | show: measure``.

    Without ``columns`` the measures are the columns. ``| interval: none`` shows the means alone.
    """
    rows, options = selected(argument)
    by, show, (across,) = options["rows"], options["show"], options.get("columns", [""])
    heads = list(dict.fromkeys(row[across] for row in rows)) if across else show
    lines = [
        "| " + " | ".join(name.replace("_", " ") for name in [*by, *heads]) + " |",
        "|" + "---|" * len(by) + "---:|" * len(heads),
    ]
    statistic = STATISTICS[options.get("statistic", [""])[0]]
    for condition, group in grouped(rows, by):
        cells = []
        for head in heads:
            measure = show[0] if across else head
            values = [float(row[measure]) for row in group if not across or row[across] == head]
            if values and "interval" in options:
                values = [float(statistic(np.array(values)))]
            cells.append(summary(values, statistic) if values else "")
        lines.append("| " + " | ".join([*(text.replace("_", " ") for text in condition), *cells]) + " |")
    return "\n".join(lines)


def summary(values: list[float], statistic: Callable[[np.ndarray], np.ndarray]) -> str:
    """``value [low, high]``; of fewer than `FEWEST` seeds the mean and all values, ``mean (a, b, c)``; the value alone
    where all seeds agree."""
    if len(set(values)) == 1:
        return number(values[0])
    if len(values) < FEWEST:
        return f"{number(float(np.mean(values)))} ({', '.join(map(number, values))})"
    low, high = bootstrap_interval(np.array(values), statistic=statistic)
    return f"{number(float(statistic(np.array(values))))} [{number(low)}, {number(high)}]"


def number(value: float) -> str:
    if np.isinf(value):
        return "> budget"
    if np.isnan(value):
        return "–"  # not defined, as the length of dry paths where there are none
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def matching(pattern: str) -> list[Path]:
    """The files of results, learning curves apart, that a page names by a pattern."""
    paths = sorted(path for path in RESULTS.glob(pattern) if path.stem != "curve" or "*" not in pattern)
    if not paths:
        raise PluginError(f"docs/results/{pattern} matches no file: record the result, or take it off the page")
    return paths


def selected(argument: str) -> tuple[list[Row], dict[str, list[str]]]:
    """Rows of all files of ``pattern, ... | only: column = value, ...``, and the options.

    A row has the name of its file as ``file``, and "" in the columns that its file lacks.
    """
    patterns, options = parse(argument)
    paths = [path for pattern in patterns.split(",") for path in matching(pattern.strip())]
    rows = [{"file": path.stem, **row} for path in paths for row in read(path)[1]]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    only = [tuple(part.strip() for part in condition.split("=")) for condition in options.get("only", [])]
    named = [name for key in ("rows", "columns", "x", "y", "by", "beside") for name in options.get(key, [])]
    for path in paths:
        require(path, [row for row in rows if row["file"] == path.stem], options["show"])
    require(paths[0].parent, [dict.fromkeys(columns, "")], [*named, *(column for column, _ in only)])
    kept = [row for row in rows if all(row.get(column, value) == value for column, value in only)]
    return [{**dict.fromkeys(columns, ""), **row} for row in kept], options


def read(path: Path) -> tuple[str, list[Row]]:
    """The command in the leading comment, and the rows."""
    if is_torn(path):
        raise PluginError(f"{path.name} ends in half a row: remove it or write it again")
    rows = read_rows(path)
    if not rows:
        raise PluginError(f"{path.name} holds no rows: write it again or remove it")
    return read_command(path), rows


def grouped(rows: list[Row], by: list[str]) -> list[tuple[tuple[str, ...], list[Row]]]:
    """Rows that share their values of ``by``, in the order of the file."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    return list(groups.items())


def parse(argument: str) -> tuple[str, dict[str, list[str]]]:
    """``"file | by: a, b"`` -> ``("file", {"by": ["a", "b"]})``."""
    name, *parts = (part.strip() for part in argument.split("|"))
    options = (part.partition(":") for part in parts)
    return name, {key.strip(): [value.strip() for value in values.split(",")] for key, _, values in options}


def require(path: Path, rows: list[Row], columns: list[str]) -> None:
    missing = [name for name in columns if name not in rows[0]]
    if missing:
        raise PluginError(f"{path.name} has no column {', '.join(missing)}; it has {', '.join(rows[0])}")


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
