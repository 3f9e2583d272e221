"""The HTML report of the suite: table, scanpaths, curves of fixation numbers and of learning, saccade amplitudes."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from . import measures
from .plots import COLOURS, colours_of, learning_curve, new_figure
from .score_tables import format_suite, task_name
from .suite import Line

STYLE = """body{font:15px system-ui,sans-serif;color:#263238;max-width:1080px;margin:2em auto;padding:0 1em}
pre{background:#f4f6f8;padding:1em;overflow:auto;font-size:13px}img{max-width:100%}h2{margin-top:2em}
table{border-collapse:collapse;font-size:13px}td,th{padding:.25em .8em;text-align:right}
td:first-child{text-align:left}"""
STEPS, RETURN = "time/total_timesteps", "rollout/ep_rew_mean"  # columns of a training log
NEAR = 0.03  # of the scene's longer side: what counts as the same place
BINS = 40  # of saccade amplitudes


def write_report(lines: Sequence[Line], path: Path) -> None:
    """Write one self-contained HTML file."""
    parts = [f"<pre>{html.escape(format_suite(lines))}</pre>"]
    for task in dict.fromkeys(map(task_name, lines)):
        mine = [line for line in lines if task_name(line) == task]
        looking = [line for line in mine if line.outcome.paths]
        parts.append(f"<h2>{html.escape(task)}</h2>")
        if looking:
            parts += [measures_table(looking), picture(scanpaths(looking))]
        parts.append(picture(curves(mine, looking)))
        if any(RETURN in row for line in mine for row in line.progress):
            parts.append(picture(learning(mine)))
    path.parent.mkdir(parents=True, exist_ok=True)
    body = "\n".join(parts)
    path.write_text(
        f"<!doctype html><meta charset=utf-8><title>Scores</title><style>{STYLE}</style><h1>Scores</h1>\n{body}\n"
    )


def picture(figure: Figure) -> str:
    """A figure inside the page."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}">'


def measures_table(lines: Sequence[Line]) -> str:
    """Medians of the measures over the kept scanpaths; shape and position: MultiMatch against the best reference."""
    names = [
        "fixations to target",
        "scanpath ratio",
        "search efficiency",
        "revisit rate",
        "MultiMatch shape",
        "MultiMatch position",
    ]
    rows = ["<tr><th></th>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>"]
    best = lines[1].outcome
    for line in lines:
        outcome = line.outcome
        radius = NEAR * max(outcome.size)
        columns: list[list[float]] = [[] for _ in names]
        for i, path in enumerate(outcome.paths):
            if i < len(outcome.targets):
                for column, measure in zip(
                    columns,
                    (measures.fixations_to_target, measures.scanpath_ratio, measures.search_efficiency),
                    strict=False,
                ):
                    column.append(measure(path, outcome.targets[i], radius))
            columns[3].append(measures.revisit_rate(path, radius))
            if min(len(path), len(best.paths[i])) >= 2:
                alike = measures.multimatch(path, best.paths[i], outcome.size)
                columns[4].append(alike["shape"])
                columns[5].append(alike["position"])
        cells = (f"<td>{np.median(column):.2f}</td>" if column else "<td>–</td>" for column in columns)
        rows.append(f"<tr><td>{html.escape(line.policy)}</td>{''.join(cells)}</tr>")
    return f"<table>{''.join(rows)}</table>"


def scanpaths(lines: Sequence[Line], columns: int = 4) -> Figure:
    """The first scanpaths of each policy, on the empty scene; a cross where the target was at the start."""
    figure, grid = new_figure(2.4 * columns, 2.0 * len(lines) + 0.2, len(lines), columns)
    for axes_row, line in zip(np.reshape(grid, (len(lines), columns)), lines, strict=True):
        outcome = line.outcome
        for i, axes in enumerate(axes_row):
            width, height = outcome.size
            axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[], aspect="equal")
            axes.spines[:].set(visible=True, color="#b0bec5")
            if i < len(outcome.paths):
                path = outcome.paths[i]
                axes.plot(*path.T, color=COLOURS[1], linewidth=1.0, marker="o", markersize=2.5)
                axes.plot(*path[0], marker="o", markersize=6, markerfacecolor="white", color=COLOURS[1])
            if i < len(outcome.targets):
                axes.plot(*outcome.targets[i], marker="+", markersize=10, color=COLOURS[2], markeredgewidth=2)
        axes_row[0].set_ylabel(line.policy, fontsize=10)
    return figure


def curves(lines: Sequence[Line], looking: Sequence[Line]) -> Figure:
    """Left: share of episodes that stand as successful after so many moves. Right: saccade amplitudes."""
    figure, grid = new_figure(9.6, 3.6, 1, 2 if looking else 1)
    axes, colours = np.ravel(grid), colours_of(line.policy for line in lines)
    for line in lines:
        moves = np.arange(1, 1 + len(line.outcome.success))
        axes[0].plot(moves, line.outcome.success, color=colours[line.policy], label=line.policy)
    axes[0].set(xlabel="fixations after the first" if looking else "moves", ylabel="share of successes")
    axes[0].set_ylim(-0.02, 1.02)
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside upper left", ncols=8, frameon=False, fontsize=9)
    if looking:
        _amplitudes(axes[1], looking, colours)
    return figure


def _amplitudes(axes: Axes, lines: Sequence[Line], colours: Mapping[str, str]) -> None:
    """A histogram of saccade amplitudes above the other, each as high as its fullest bin."""
    most = max(float(line.outcome.amplitudes.max()) for line in lines)
    for row, line in enumerate(reversed(lines)):
        shares, edges = np.histogram(line.outcome.amplitudes, BINS, (0.0, most))
        heights = row + 0.85 * shares / max(1, shares.max())
        axes.stairs(heights, edges / max(line.outcome.size), baseline=row, fill=True, color=colours[line.policy])
    axes.set_yticks(range(len(lines)), [line.policy for line in reversed(lines)])
    axes.set(xlabel="saccade amplitude, sides of the scene")
    axes.set_xlim(left=0.0)


def learning(lines: Sequence[Line]) -> Figure:
    """Mean return of the latest training episodes of all agents of one task, between random and the best reference."""
    rows = [{**row, "agent": line.policy} for line in lines for row in line.progress]
    heights = {line.policy: float(line.outcome.returns.mean()) for line in lines[:2]}
    colours = colours_of(line.policy for line in lines)
    return learning_curve(
        rows, STEPS, RETURN, "agent", heights, "environment steps", "return of training episodes", colours=colours
    )
