"""Sweeps: ranges of settings, one trial of them, and the table of all; what chooses the settings is another room's."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from agents.common.saving import merged

from .command import Refusal
from .environments import parse_keywords
from .logs import STEPS
from .runs import Run, create_folder, write_json
from .tables import Row, write_rows
from .training import finish

SWEEP = "sweep.json"  # what is searched
FIRST = 5  # trials that nothing prunes
UNTRAINED = 1  # step before which nothing is pruned: what agents score at step 0, they have not learned
COMPLETE, PRUNED, FAILED = "complete", "pruned", "fail"  # states of a trial, as Optuna calls them
LARGEST = 1e12


class Pruned(Exception):
    """A trial is ended early: it lags behind, or its settings do not go together."""


@dataclass(frozen=True)
class Range:
    """Values of one setting: from `low` to `high`, evenly in the value or in its logarithm, or one of `choices`."""

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __contains__(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class Sweep:
    """What is searched: the settings in `ranges` with which training by `run` gives the best `measure`."""

    run: Run
    ranges: dict[str, Range]
    measure: str
    minimize: bool = False

    @property
    def own_settings(self) -> dict[str, Any]:
        """The run's own settings, as far as they lie in the ranges."""
        known = {}
        for name, values in self.ranges.items():
            place, _, inner = name.partition(".")
            own = self.run.agent_kwargs.get(place)
            own = own.get(inner) if inner and isinstance(own, dict) else own
            if own in values:
                known[name] = own
        return known

    def describe(self) -> dict[str, Any]:
        """Itself, as JSON has it."""
        ranges = {name: asdict(values) for name, values in self.ranges.items()}
        what = {"run": asdict(self.run), "ranges": ranges, "measure": self.measure, "minimize": self.minimize}
        described: dict[str, Any] = json.loads(json.dumps(what))
        return described


def parse_range(word: str) -> tuple[str, Range]:
    """The name of a setting and its range.

    Raises:
        Refusal: it is not written as a range.
    """
    name, _, said = word.partition("=")
    said, _, scale = said.partition(":")
    try:
        if "|" in said and not scale:
            return name, Range(choices=tuple(parse_keywords((f"x={part}",))["x"] for part in said.split("|")))
        low, high = (json.loads(part) for part in said.split(".."))
        if name and scale in ("", "log") and -LARGEST < low < high < LARGEST and (low > 0 or not scale):
            return name, Range(low, high, bool(scale))
    except (ValueError, TypeError):
        pass
    raise Refusal(f"--tune takes ranges such as learning_rate=1e-4..1e-2:log or n_steps=16|32|64, not {word!r}")


def with_settings(run: Run, values: dict[str, Any]) -> Run:
    """The run with other keywords of its agent; a name with a point reaches into a keyword that is a mapping."""
    own = run.agent_kwargs
    for name, value in values.items():
        place, _, inner = name.partition(".")
        own = merged(own, {place: {inner: value} if inner else value})
    return replace(run, agent_kwargs=own)


def train_trial(sweep: Sweep, place: Path, values: dict[str, Any], lags: Callable[[float, int], bool]) -> float:
    """Train with these settings, and return the measure at the end.

    Args:
        sweep: what is searched.
        place: the run folder; a run that is there is replaced.
        values: of the settings, by name.
        lags: called with the measure and the environment steps at every point of the learning curve; whether the trial
            shall end there.

    Raises:
        Pruned: it lags, or the settings do not go together.
        FloatingPointError: a reward, an observation, a loss or the measure is not a number.
        Stopped: a signal has come.
    """

    def judge(point: dict[str, float], agent: BaseAlgorithm) -> None:
        if lags(point[sweep.measure], int(point[STEPS])):
            raise Pruned("it lags behind half of the others")

    own = with_settings(sweep.run, values)
    create_folder(own, place, overwrite=True)
    try:
        _, attendant = finish(own, place, progress_bar=False, judge=judge)
    except Refusal as refusal:
        write_json(place / "about.json", {"ended": f"failed: {refusal}"})
        raise Pruned(str(refusal)) from refusal
    value = attendant.points[-1][sweep.measure]
    if math.isnan(value):
        raise FloatingPointError(f"the measure {sweep.measure} is not a number")
    return value


def trial_folder(folder: Path, number: int) -> Path:
    """The run folder of a trial, in that of the sweep."""
    return folder / f"trial{number}"


def row_of(sweep: Sweep, number: int, state: str, value: float | None, settings: dict[str, Any]) -> Row:
    """A row of trials.csv."""
    return {"trial": number, "state": state, sweep.measure: value, **settings}


def write_trials(folder: Path, rows: Sequence[Row], last: Row) -> None:
    """Write trials.csv, and tell of the trial that has ended last."""
    write_rows(folder / "trials.csv", rows)
    print(", ".join(f"{name} {value}" for name, value in last.items()), file=sys.stderr)
