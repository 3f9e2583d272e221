"""The trials of a sweep, spread over a Ray cluster by Ray Tune."""

from __future__ import annotations

import importlib.util
import io
import itertools
import json
import os
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .about import read_about
from .command import Refusal
from .logs import STEPS
from .runs import create_folder, write_json
from .signals import Stopped, handling
from .sweeps import (
    COMPLETE,
    FAILED,
    FIRST,
    PRUNED,
    SWEEP,
    UNTRAINED,
    Pruned,
    Range,
    Sweep,
    row_of,
    train_trial,
    trial_folder,
    with_settings,
    write_trials,
)
from .tables import Row

RECORD = "trials.json"  # trials that have ended, with their exact settings
VALUE, STATE = "value", "state"  # of what a trial reports
QUIET = {  # what Tune shall not do: write logs of its own, handle Ctrl-C
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}


def search_with_ray(sweep: Sweep, folder: Path, trials: int, prune: bool) -> list[Row]:
    """Let Ray Tune run so many trials on the cluster that has been joined, and write trials.csv when one has ended.

    Tune keeps no state between calls: what is known of earlier trials is in the folder. One that was interrupted is
    lost, and the next takes its folder.

    Args:
        sweep: what is searched.
        folder: of the sweep.
        trials: of this call.
        prune: end trials that lag behind half of the others.

    Returns:
        The rows of all trials that have ended.

    Raises:
        Refusal: what an earlier call has left is damaged.
        Stopped: a signal has come.
    """
    rows, folder = _ended(folder), folder.resolve()
    os.environ.update(QUIET)
    import ray
    from ray import tune

    stop: list[int] = []  # signals that have come: raising in their handler would break Ray's own calls

    def note(number: int, frame: Any) -> None:
        if stop:
            os._exit(128 + number)
        stop.append(number)

    mode = "min" if sweep.minimize else "max"
    space = {name: _domain(values) for name, values in sweep.ranges.items()}
    numbers = ray.remote(num_cpus=0)(Numbers).remote([row["trial"] for row in rows])
    train = tune.with_parameters(_train, sweep=sweep, folder=folder, numbers=numbers)
    with handling(note), tempfile.TemporaryDirectory() as scratch, redirect_stdout(io.StringIO()):
        tune.Tuner(
            tune.with_resources(train, {"cpu": 1}),
            param_space=space,
            tune_config=tune.TuneConfig(
                metric=VALUE,
                mode=mode,
                num_samples=trials,
                search_alg=_searcher(sweep, space, rows, mode),
                scheduler=_scheduler(prune),
            ),
            run_config=tune.RunConfig(
                storage_path=scratch, verbose=0, callbacks=[_table(sweep, folder, rows, numbers, stop)]
            ),
        ).fit()
    return rows


class Numbers:
    """Numbers of trials, the lowest that none has yet; one actor holds them for the whole cluster.

    Args:
        taken: of trials that have ended.
    """

    def __init__(self, taken: list[int]) -> None:
        self._free = (number for number in itertools.count() if number not in taken)
        self._numbers: dict[str, int] = {}

    def of(self, trial_id: str) -> int:
        """The number of a trial of Tune's."""
        if trial_id not in self._numbers:
            self._numbers[trial_id] = next(self._free)
        return self._numbers[trial_id]


def _train(config: dict[str, Any], sweep: Sweep, folder: Path, numbers: Any) -> dict[str, Any] | None:
    """One trial, on whichever node it is; where that does not see the sweep's folder, in one that is then removed."""
    import ray
    from ray import tune

    torch.set_num_threads(1)
    number = ray.get(numbers.of.remote(tune.get_context().get_trial_id()))
    steps_done = 0

    def lags(value: float, steps: int) -> bool:
        nonlocal steps_done
        steps_done = steps
        try:
            tune.report({VALUE: value, STEPS: steps, STATE: PRUNED})
        except SystemExit:  # how Tune ends a trial
            return True
        return False

    with tempfile.TemporaryDirectory() as scratch:
        here = folder if (folder / SWEEP).is_file() else Path(scratch)
        try:
            value = train_trial(sweep, trial_folder(here, number), config, lags)
        except Pruned:
            return None
    return {VALUE: value, STEPS: steps_done, STATE: COMPLETE}


def _domain(values: Range) -> Any:
    """A range in Tune's words."""
    from ray import tune

    if values.choices:
        return tune.choice(list(values.choices))
    if values.whole:  # Tune leaves out the upper end
        return (tune.lograndint if values.log else tune.randint)(values.low, values.high + 1)
    return (tune.loguniform if values.log else tune.uniform)(values.low, values.high)


def _searcher(sweep: Sweep, space: dict[str, Any], rows: list[Row], mode: str) -> Any:
    """Optuna if it is installed, which learns from earlier trials, else random draws; the run's own settings first."""
    seed = sweep.run.seed + 1_000_003 * len(rows)
    rng = np.random.default_rng(seed)
    points = []
    if not rows and (own := sweep.own_settings):
        points = [{name: own.get(name, domain.sample(random_state=rng)) for name, domain in space.items()}]
    if importlib.util.find_spec("optuna") is None:
        from ray.tune.search import BasicVariantGenerator

        return BasicVariantGenerator(points_to_evaluate=points, random_state=seed % 2**32)
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    known = [row for row in rows if row["state"] == COMPLETE]
    values = [row[sweep.measure] for row in known]
    points = points or [{name: row[name] for name in space} for row in known]
    return OptunaSearch(seed=seed % 2**32, points_to_evaluate=points, evaluated_rewards=values)


def _scheduler(prune: bool) -> Any:
    """Ends a trial whose best value is below the median of the others' means so far."""
    from ray.tune.schedulers import FIFOScheduler, MedianStoppingRule

    class Median(MedianStoppingRule):
        def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
            if STEPS in result:  # else its settings did not go together, and it has reported nothing
                super().on_trial_complete(tune_controller, trial, result)

    if not prune:
        return FIFOScheduler()
    never = float("inf")  # pauses a trial, which would begin anew
    return Median(STEPS, grace_period=UNTRAINED, min_samples_required=FIRST, min_time_slice=never)


def _table(sweep: Sweep, folder: Path, rows: list[Row], numbers: Any, stop: list[int]) -> Any:
    """A callback of Tune that adds every trial that ends to the rows, writes them, and stops at a signal."""
    import ray
    from ray.tune import Callback

    class Table(Callback):
        def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
            if stop:
                raise Stopped(stop[0])

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.end(trial, trial.last_result.get(STATE, PRUNED))

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.end(trial, FAILED)
            print(str(trial.get_error()).strip().splitlines()[-1], file=sys.stderr)

        def end(self, trial: Any, state: str) -> None:
            number = ray.get(numbers.of.remote(trial.trial_id))
            value = trial.last_result.get(VALUE) if state == COMPLETE else None
            rows.append(row_of(sweep, number, state, value, trial.config))
            rows.sort(key=lambda row: row["trial"])
            place = trial_folder(folder, number)
            if not place.is_dir():  # it was trained where this folder is not seen
                create_folder(with_settings(sweep.run, trial.config), place)
            write_json(folder / RECORD, {"trials": rows})
            write_trials(folder, rows, next(row for row in rows if row["trial"] == number))
            if state == PRUNED and VALUE not in trial.last_result and (ended := read_about(place).get("ended")):
                print(f"trial {number} {ended}", file=sys.stderr)

    return Table()


def _ended(folder: Path) -> list[Row]:
    """The rows of trials that earlier calls have finished."""
    path = folder / RECORD
    if not path.is_file():
        return []
    try:
        return list(json.loads(path.read_text())["trials"])
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal(f"{path} is damaged: {error}") from error
