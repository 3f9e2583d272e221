"""Several seeds of one run: a folder with one run folder a seed, and a table of their scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .about import read_about
from .command import Refusal
from .plots import bootstrap_interval, interquartile_mean
from .rollouts import measured
from .runs import Run, create_folder, write_json
from .tables import write_rows

GROUP = "seeds.json"
EPISODES = 1000


def create_group(run: Run, folder: Path | None, count: int, overwrite: bool = False) -> Path:
    """Make the folder of ``count`` seeds of a run; see `create_folder`."""
    folder = create_folder(run, folder, overwrite, suffix="seeds")
    write_json(folder / GROUP, {"seeds": count})
    return folder


def group_of(folder: Path) -> int | None:
    """How many seeds the folder is to hold; None: it is a single run.

    Raises:
        Refusal: the file that says so is damaged.
    """
    path = folder / GROUP
    if not path.is_file():
        return None
    try:
        return int(json.loads(path.read_text())["seeds"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refusal(f"{path} is damaged: {error}") from error


def fit_group(
    run: Run, folder: Path, count: int, train_one: Callable[..., int | None], resume: bool, **settings: Any
) -> int | None:
    """Train every seed that is not finished yet, then write scores.csv and print a summary.

    Args:
        run: of the first seed.
        folder: made by `create_group`.
        count: number of seeds.
        train_one: trains the run in a folder; returns the signal that stopped it, or None.
        resume: go on with what is there.
        **settings: of ``train_one``.

    Returns:
        The signal that stopped it, None if all are trained.
    """
    rows = []
    for seed in range(run.seed, run.seed + count):
        own, place = replace(run, seed=seed), folder / f"seed{seed}"
        begun = place.is_dir()
        if not begun:
            create_folder(own, place)
        if not _finished(place, run.total):
            stopped = train_one(own, place, resume=resume and begun, **settings)
            if stopped is not None:
                return stopped
        rows.append({"seed": seed, **measured(str(place), run.env_id, EPISODES, **run.env_kwargs)})
        write_rows(folder / "scores.csv", rows)
    print(summary(rows))
    return None


def _finished(folder: Path, steps: int) -> bool:
    """Whether a seed has been trained for so many steps."""
    about = read_about(folder)
    done = about.get("environment_steps")
    return about.get("ended") == "finished" and isinstance(done, int) and done >= steps


def summary(rows: list[dict[str, float]]) -> str:
    """Interquartile mean of every measure over seeds, with its 95 % interval from two seeds on."""
    lines = [f"{len(rows)} seed{'s' if len(rows) > 1 else ''}, {EPISODES:,} episodes each"]
    for name in [name for name in rows[0] if name != "seed"]:
        values = np.array([row[name] for row in rows])
        line = f"{name:>20}  {float(interquartile_mean(values)):.4g}"
        if len(values) > 1:
            line += "  [{:.4g}, {:.4g}]".format(*bootstrap_interval(values))
        lines.append(line)
    return "\n".join(lines)
