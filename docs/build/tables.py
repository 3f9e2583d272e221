"""Tables and curves over the raw results in docs/results: one row a seed, interquartile means, bootstrap intervals.

A results file is CSV. Lines that start with ``#`` before the header hold the command that wrote it. One column is
``seed``; the others are conditions (``by``) or measures (``show``). A measure that a seed did not reach within its
budget is written ``inf``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from figures import embed, new_figure
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
    """
    pattern, options = parse(argument)
    paths = sorted(path for path in RESULTS.glob(pattern) if path.stem != "curve")
    if not paths:
        raise PluginError(f"docs/results/{pattern} matches no file: record the result, or take it off the page")
    return "\n\n".join(
        table(path, options.get("by"), options.get("show"), options.get("statistic", [""])[0]) for path in paths
    )


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


def curve(argument: str) -> str:
    """Interquartile mean over seeds, and its interval, against x: ``file | x: column | y: column | by: condition``."""
    name, options = parse(argument)
    path = recorded(name)
    (x,), (y,), by = options["x"], options["y"], options.get("by", [])
    _, rows = read(path)
    require(path, rows, [x, y, *by])
    figure, axes = new_figure(6.4, 3.6)
    for condition, group in grouped(rows, by):
        points = sorted((float(at), [float(row[y]) for row in members]) for (at,), members in grouped(group, [x]))
        positions = [at for at, _ in points]
        axes.plot(positions, [interquartile_mean(np.array(values)) for _, values in points], label=", ".join(condition))
        if min(len(values) for _, values in points) >= FEWEST:
            bounds = np.array([bootstrap_interval(np.array(values)) for _, values in points])
            axes.fill_between(positions, bounds[:, 0], bounds[:, 1], alpha=0.2)
    axes.set(xlabel=x.replace("_", " "), ylabel=y.replace("_", " "))
    if by:
        axes.legend(frameon=False)
    return embed(figure, f"{y} against {x}")


def heat(argument: str) -> str:
    """Mean over seeds as a map: ``file | x: column | y: condition | show: measure | beside: measure, ...``."""
    name, options = parse(argument)
    path = recorded(name)
    (x,), (y,), (show,), beside = options["x"], options["y"], options["show"], options.get("beside", [])
    _, rows = read(path)
    require(path, rows, [x, y, show, *beside])
    groups = [(condition, members) for (condition,), members in grouped(rows, [y])]
    ticks = sorted({float(row[x]) for row in rows})
    means = {
        condition: [interquartile_mean(np.array([float(row[show]) for row in members if float(row[x]) == at]))
                    for at in ticks]
        for condition, members in groups
    }  # fmt: skip
    groups.sort(key=lambda group: -sum(means[group[0]]))
    values = np.array([means[condition] for condition, _ in groups])
    figure, axes = new_figure(7.2, 0.8 + 0.27 * len(groups))
    axes.imshow(values, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.6 else "#263238")
    for i, measure in enumerate(beside):
        axes.text(len(ticks) + i, -1, measure.replace("_", " "), ha="center", va="center", fontsize=9)
        for row, (_, members) in enumerate(groups):
            text = number(float(members[0][measure]))
            axes.text(len(ticks) + i, row, text, ha="center", va="center", fontsize=9)
    axes.set(xlim=(-0.5, len(ticks) - 0.5 + len(beside)), xlabel=f"{show} against {x}".replace("_", " "))
    axes.set_xticks(range(len(ticks)), [f"{at:g}" for at in ticks])
    axes.set_yticks(range(len(groups)), [condition.replace("_", " ") for condition, _ in groups], fontsize=9)
    axes.spines[:].set_visible(False)
    return embed(figure, f"{show} against {x}, by {y}")


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


def recorded(name: str) -> Path:
    """The path of a file of results that a page names."""
    path = RESULTS / name
    if not path.is_file():
        raise PluginError(f"docs/results/{name} is not there: record the result, or take it off the page")
    return path


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
