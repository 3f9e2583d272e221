"""Figures: learning curves with intervals, and scanpaths. They draw on figures of their own and need no display."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from agents import HorizonErrors
from foveal_envs import Task
from foveal_envs.rendering import Canvas, pixels

from .environments import task_in
from .policies import Predictor
from .rollouts import rollout
from .tables import Row

INK, SOFT, GRID = "#263238", "#78909c", "#eceff1"
COLOURS = ("#1565c0", "#f4511e", "#00a676", "#8e24aa", "#f9a825",
           "#546e7a", "#00acc1", "#6d4c41", "#d81b60", "#7cb342")  # fmt: skip
MARGIN = 0.06  # of an axis, beyond what it spans
TIME = LinearSegmentedColormap.from_list("time", ["#ffccbc", "#f4511e", "#8e1b00"])


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """Mean of the middle half along axis 0: (S, ...) to (...); rliable's aggregate, for S seeds."""
    ordered = np.sort(values, axis=0)
    cut = int(0.25 * len(ordered))
    return np.asarray(ordered[cut : len(ordered) - cut].mean(axis=0))


def mean(values: np.ndarray) -> np.ndarray:
    """Mean along axis 0: for what is 0 or 1 in each seed, the share of seeds."""
    return np.asarray(values.mean(axis=0))


def bootstrap_interval(
    values: np.ndarray,
    samples: int = 2000,
    level: float = 0.95,
    statistic: Callable[[np.ndarray], np.ndarray] = interquartile_mean,
) -> tuple[float, float]:
    """Percentile interval of a statistic of (S,) values, by drawing seeds anew; always the same draws.

    Values may be inf (a budget missed), so the quantiles are never interpolated.
    """
    draws = np.random.default_rng(0).integers(len(values), size=(len(values), samples))
    low, high = np.quantile(statistic(values[draws]), [0.5 - 0.5 * level, 0.5 + 0.5 * level], method="nearest")
    return float(low), float(high)


def learning_curve(
    rows: Iterable[Row],
    x: str,
    y: str,
    by: str | None = None,
    references: Mapping[str, float] | None = None,
    x_label: str | None = None,
    y_label: str | None = None,
    title: str = "",
    colours: Mapping[str, str] | None = None,
) -> Figure:
    """Interquartile mean over seeds with a 95 % bootstrap interval; a lone run is a line without one.

    Args:
        rows: of a CSV file, one a seed and point; rows without x or y are left out.
        x: column of the horizontal axis; seeds are compared where it is equal.
        y: column shown.
        by: column whose values become curves of their own.
        references: name and height of dashed lines, as of random and the best. With two or more, the vertical axis
            goes from the lowest to the highest, and as far beyond as the curves do.
        x_label, y_label, title: texts; default: the columns' names.
        colours: of the curves; default: in turn.
    """
    curves: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if isinstance(row.get(x), int | float) and isinstance(row.get(y), int | float):
            curves[str(row[by]) if by else y][float(row[x])].append(float(row[y]))
    figure, axes = new_figure(6.4, 4.0)
    colours = colours or colours_of(curves)
    for label, points in curves.items():
        places, colour = np.array(sorted(points)), colours[label]
        seeds = [np.array(points[place]) for place in places]
        axes.plot(places, [interquartile_mean(values) for values in seeds], color=colour, linewidth=2, label=label)
        if max(len(values) for values in seeds) > 1:
            low, high = np.array([bootstrap_interval(values) for values in seeds]).T
            axes.fill_between(places, low, high, color=colour, alpha=0.18, linewidth=0)
    _draw_references(axes, references or {})
    axes.set(xlabel=x_label or x.replace("_", " "), ylabel=y_label or y.replace("_", " "))
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    if by:
        axes.legend(frameon=False, fontsize=9)
    return figure


def model_error(errors: HorizonErrors, natural: bool, title: str = "") -> Figure:
    """A world model's error over the distance from reality, beside that of always predicting the mean.

    Args:
        errors: of `agents.horizon_errors`.
        natural: whether they are in the units of the environment, and not in those of each number's spread.
        title: above it.
    """
    figure, axes = new_figure(6.4, 4.0)
    axes.plot(errors.distances, errors.rmse, color=COLOURS[0], linewidth=2, marker="o", markersize=4, clip_on=False)
    _draw_references(axes, {"mean": float(errors.mean_rmse[0])})
    if errors.no_better_from is not None:
        axes.axvline(errors.no_better_from, color=COLOURS[1], linewidth=1.2)
        side, shift = ("right", -4) if 2 * errors.no_better_from > len(errors.distances) else ("left", 4)
        axes.annotate(
            f"no better than the mean from {errors.no_better_from} on", (errors.no_better_from, 0.9), (shift, 0),
            xycoords=("data", "axes fraction"), textcoords="offset points", ha=side, color=COLOURS[1], fontsize=9,
        )  # fmt: skip
    axes.set_ylim(bottom=0.0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="steps from reality", ylabel=f"rms error, in {'natural units' if natural else 'spreads'}")
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    return figure


def _draw_references(axes: Axes, references: Mapping[str, float]) -> None:
    """Dashed lines with their names, and an axis that spans them and what is drawn, with a margin."""
    heights = [height for height in references.values() if np.isfinite(height)]
    if len(heights) > 1:
        drawn = axes.dataLim
        low, high = min(*heights, drawn.ymin), max(*heights, drawn.ymax)
        margin = MARGIN * (high - low) or MARGIN
        axes.set_ylim(low - margin, high + margin)
    for name, height in references.items():
        axes.axhline(height, color=SOFT, linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            name, (1.0, height), (4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="center", color=SOFT, fontsize=9,
        )  # fmt: skip


@dataclass
class Scanpath:
    """One episode as a picture.

    Attributes:
        scene: (512, 512, 3) uint8, the objects alone, at the episode's start.
        path: (moves + 1, 2) positions of the gaze, pixels.
        wanted: (2,) wanted position at the end, pixels; None where the task has none.
        reach: radius of the fovea, pixels.
        success: the task's ``is_success`` at the end.
    """

    scene: np.ndarray
    path: np.ndarray
    wanted: np.ndarray | None
    reach: float
    success: bool


def record_scanpaths(
    lanes: gym.vector.VectorEnv[Any, Any, Any], policy: Predictor, seed: int = 0, deterministic: bool = True
) -> list[Scanpath]:
    """The first episode of each lane of a looking task.

    Args:
        lanes: native vector environment of N lanes, made with ``info="step"``.
        policy: acts in all lanes.
        seed: of lane 0.
        deterministic: passed to the policy.

    Raises:
        ValueError: the task has no fovea.
    """
    task = task_in(lanes)
    if task is None or task.fovea is None:
        raise ValueError(f"scanpaths need a task with a fovea, got {task!r}")
    scenes, paths = [], []
    ends: dict[int, tuple[int, np.ndarray | None, bool]] = {}
    for move in rollout(lanes, policy, seed, deterministic):
        worlds = lanes.unwrapped.get_state()["worlds"]
        paths.append(worlds["gaze"][:, :2])
        if not move.number:
            scenes = [_scene(task, worlds, row) for row in range(len(worlds))]
        success = np.asarray(move.infos.get("is_success", move.ended), bool)
        targets = task.targets(worlds)
        for row in np.flatnonzero(move.ended & move.running).tolist():
            ends[row] = (len(paths), None if targets is None else targets[row], bool(success[row]))
    whole, reach, count = np.stack(paths, 1), task.fovea.retina.reach, lanes.num_envs
    return [
        Scanpath(scenes[row], whole[row, : ends[row][0]], ends[row][1], reach, ends[row][2]) for row in range(count)
    ]


def _scene(task: Task, worlds: np.ndarray, row: int) -> np.ndarray:
    canvas = Canvas(task.render_size)
    task.paint(worlds, row, canvas)
    return pixels(canvas.finish())


def scanpaths(episodes: Sequence[Scanpath], columns: int = 4, title: str = "", crop: bool = True) -> Figure:
    """A grid of scenes with the gaze's way from pale to dark, a ring at its start and the fovea's reach at its end.

    Args:
        episodes: what to show.
        columns: of the grid.
        title: above it.
        crop: show only the square around each path and its target.
    """
    lines = -(-len(episodes) // columns)
    figure, grid = new_figure(2.3 * columns, 2.3 * lines + (0.35 if title else 0.1), lines, columns)
    for axes, episode in zip(np.ravel(grid), episodes, strict=False):
        _scanpath(axes, episode, crop)
    for axes in np.ravel(grid)[len(episodes) :]:
        axes.set_axis_off()
    if title:
        figure.suptitle(title, x=0.01, ha="left", color=INK, fontsize=11)
    return figure


def _scanpath(axes: Axes, episode: Scanpath, crop: bool) -> None:
    pale = (255.0 - 0.55 * (255.0 - episode.scene)).astype(np.uint8)  # so that the path stands out
    axes.imshow(pale, extent=(0, 512, 512, 0), interpolation="bilinear")
    path, steps = episode.path, len(episode.path) - 1
    pieces = np.stack([path[:-1], path[1:]], 1)
    way = np.hypot(*(path[1:] - path[:-1]).T).cumsum()
    axes.add_collection(LineCollection(list(pieces), array=way, cmap=TIME, linewidths=1.6))
    axes.scatter(*path[1:].T, c=way, cmap=TIME, s=9, zorder=3, linewidths=0)
    axes.scatter(*path[0], s=42, facecolors="white", edgecolors=COLOURS[1], linewidths=1.4, zorder=4)
    wanted = path[-1:0] if episode.wanted is None else episode.wanted[None]
    axes.scatter(*wanted.T, marker="+", s=70, color=COLOURS[2], linewidths=1.8, zorder=5)
    axes.add_patch(Circle(tuple(path[-1]), episode.reach, fill=False, color=COLOURS[0], linewidth=1.0))
    if crop:
        points = np.vstack([path, wanted])
        middle = 0.5 * (points.min(0) + points.max(0))
        half = min(256.0, max(110.0, float(0.5 * (points.max(0) - points.min(0)).max() + episode.reach + 8)))
        left, top = np.clip(middle - half, 0.0, 512.0 - 2 * half)
        axes.set(xlim=(left, left + 2 * half), ylim=(top + 2 * half, top))
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=COLOURS[2] if episode.success else COLOURS[1], linewidth=1.2)
    away = "".join(f", {np.hypot(*(path[-1] - place)):.1f} px" for place in wanted)
    axes.set_xlabel(f"{steps} moves{away}", fontsize=8, color=SOFT, labelpad=3)


def save(figure: Figure, path: str | Path, dpi: int = 150) -> None:
    """Write a figure, as PNG or what the name ends with; folders are made."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi)


def new_figure(width: float, height: float, lines: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    """A clean figure outside pyplot's global state, with one Axes or a grid of them."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.subplots(lines, columns)
    for axes in np.ravel(grid):
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#b0bec5")
        axes.tick_params(colors=SOFT, labelsize=9)
        axes.xaxis.label.set_color(INK)
        axes.yaxis.label.set_color(INK)
        if lines == columns == 1:
            axes.grid(color=GRID, linewidth=0.8)
            axes.set_axisbelow(True)
    return figure, grid


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, in turn."""
    return dict(zip(names, itertools.cycle(COLOURS), strict=False))
