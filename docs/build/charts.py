"""Charts over the raw results in docs/results: curves, maps, and points with their intervals."""

from __future__ import annotations

import numpy as np
from figures import INK, SOFT, embed, new_figure
from tables import FEWEST, Row, grouped, is_number, number, selected

from scripts.shared.plots import COLOURS, bootstrap_interval, interquartile_mean


def curve(argument: str) -> str:
    """Interquartile mean over seeds, and its interval, against x: ``file | x: column | show: measure | by: condition``.

    Args:
        argument: as above; see ``tables.selected`` for what all charts understand.
    """
    rows, options = selected(argument)
    (x,), (y,), by = options["x"], options["show"], options.get("by", [])
    figure, axes = new_figure(6.4, 3.6)
    for condition, group in grouped(rows, by):
        points = sorted((float(at), [float(row[y]) for row in members]) for (at,), members in grouped(group, [x]))
        positions = [at for at, _ in points]
        axes.plot(positions, [interquartile_mean(np.array(values)) for _, values in points], label=", ".join(condition))
        if min(len(values) for _, values in points) >= FEWEST:
            bounds = np.array([bootstrap_interval(np.array(values)) for _, values in points])
            axes.fill_between(positions, bounds[:, 0], bounds[:, 1], alpha=0.2)
    axes.set(xlabel=readable(x), ylabel=readable(y))
    if by:
        axes.legend(frameon=False)
    return embed(figure, f"{readable(y)} against {readable(x)}")


def heat(argument: str) -> str:
    """Means over seeds as a map: ``file | x: column | y: condition, ... | show: measure | beside: measure, ...``."""
    rows, options = selected(argument)
    (x,), (show,), beside = options["x"], options["show"], options.get("beside", [])
    ticks = list(dict.fromkeys(row[x] for row in rows))
    if all(map(is_number, ticks)):
        ticks.sort(key=float)
    groups = [(named(condition), members) for condition, members in grouped(rows, options["y"])]
    means = {name: [middle(members, show, x, at) for at in ticks] for name, members in groups}
    groups.sort(key=lambda group: -sum(means[group[0]]))
    values = np.array([means[name] for name, _ in groups])
    figure, axes = new_figure(7.2, 0.8 + 0.27 * len(groups))
    axes.imshow(values, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.6 else INK)
    for i, measure in enumerate(beside):
        axes.text(len(ticks) + i, -1, readable(measure), ha="center", va="center", fontsize=9)
        for row, (_, members) in enumerate(groups):
            text = number(float(members[0][measure]))
            axes.text(len(ticks) + i, row, text, ha="center", va="center", fontsize=9)
    axes.set(xlim=(-0.5, len(ticks) - 0.5 + len(beside)), xlabel=f"{readable(show)} against {readable(x)}")
    axes.set_xticks(range(len(ticks)), [f"{float(at):g}" if is_number(at) else at for at in ticks])
    axes.set_yticks(range(len(groups)), [name for name, _ in groups], fontsize=9)
    axes.spines[:].set_visible(False)
    return embed(figure, f"{readable(show)} against {readable(x)}, by {named(options['y'])}")


def dots(argument: str) -> str:
    """Interquartile means with intervals: ``pattern, ... | y: condition, ... | by: condition, ... | show: measure``.

    A line a value of y, a colour a value of ``by``; the axis of ``| scale: log`` is logarithmic.
    """
    rows, options = selected(argument)
    (show,), by = options["show"], options["by"]
    places = list(dict.fromkeys(named([row[name] for name in options["y"]]) for row in rows))
    colours = [condition for condition, _ in grouped(rows, by)]
    step = 0.8 / len(colours)
    figure, axes = new_figure(8.0, 0.9 + len(places) * max(0.28, 0.085 * len(colours)))
    for i, (condition, members) in enumerate(grouped(rows, by)):
        drawn = [(named(line), [float(row[show]) for row in group]) for line, group in grouped(members, options["y"])]
        heights = [places.index(line) + step * (i - 0.5 * (len(colours) - 1)) for line, _ in drawn]
        middles = [interquartile_mean(np.array(values)) for _, values in drawn]
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(middles, heights, "o", color=colour, markersize=4, label=named(condition))
        for height, (_, values) in zip(heights, drawn, strict=True):
            if len(values) >= FEWEST:
                axes.plot(bootstrap_interval(np.array(values)), [height, height], color=colour, linewidth=1.5)
    axes.set_yticks(range(len(places)), places, fontsize=9)
    axes.set(ylim=(len(places) - 0.5, -0.5), xlabel=readable(show), xscale=options.get("scale", ["linear"])[0])
    axes.set_yticks([place + 0.5 for place in range(len(places) - 1)], minor=True)
    axes.grid(axis="y", which="minor", color=SOFT, linewidth=0.3)
    axes.tick_params(axis="y", which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return embed(figure, f"{readable(show)} of {named(by)}, by {named(options['y'])}")


def middle(rows: list[Row], show: str, x: str, at: str) -> float:
    """Interquartile mean of a measure over the rows with one value of x."""
    return float(interquartile_mean(np.array([float(row[show]) for row in rows if row[x] == at])))


def named(parts: tuple[str, ...] | list[str]) -> str:
    """Conditions as one name."""
    return ", ".join(readable(part) for part in parts if part)


def readable(name: str) -> str:
    return name.replace("_", " ")
