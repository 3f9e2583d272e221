"""The trials of a sweep, chosen by Optuna: in this process, and in every other that has the same folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .command import Refusal
from .sweeps import FIRST, UNTRAINED, Pruned, Range, Sweep, row_of, train_trial, trial_folder, write_trials
from .tables import Row

JOURNAL = "trials.log"  # Optuna's storage


def drawn(values: Range, trial: Any, name: str) -> Any:
    """A value from a range, for a trial of Optuna."""
    if values.choices:
        return trial.suggest_categorical(name, values.choices)
    suggest = trial.suggest_int if values.whole else trial.suggest_float
    return suggest(name, values.low, values.high, log=values.log)


def search_with_optuna(sweep: Sweep, folder: Path, trials: int, prune: bool) -> list[Row]:
    """Let Optuna choose the settings of so many trials, and write trials.csv after each.

    Returns:
        The rows of all trials in the folder.

    Raises:
        Refusal: what other processes have left is damaged.
        Stopped: a signal has come.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(FIRST, UNTRAINED) if prune else optuna.pruners.NopPruner()
    try:
        study = optuna.create_study(
            study_name="sweep",
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(folder / JOURNAL))),
            load_if_exists=True,
            direction="minimize" if sweep.minimize else "maximize",
            pruner=pruner,
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise Refusal(f"{folder / JOURNAL} is damaged: {error}") from error
    if not study.trials and (known := sweep.own_settings):
        study.enqueue_trial(known)

    def objective(trial: Any) -> float:
        def lags(value: float, steps: int) -> bool:
            trial.report(value, steps)
            return bool(trial.should_prune())

        # by its number, so that no two trials draw alike, whichever process they are of
        study.sampler = optuna.samplers.TPESampler(seed=(sweep.run.seed + 1_000_003 * trial.number) % 2**32)
        values = {name: drawn(values, trial, name) for name, values in sweep.ranges.items()}
        try:
            return train_trial(sweep, trial_folder(folder, trial.number), values, lags)
        except Pruned as pruned:
            print(f"trial {trial.number} ends early: {pruned}", file=sys.stderr)
            raise optuna.TrialPruned from pruned

    rows: list[Row] = []
    for _ in range(trials):
        study.optimize(objective, n_trials=1, catch=FloatingPointError)
        rows = [
            row_of(sweep, trial.number, trial.state.name.lower(), trial.value, trial.params) for trial in study.trials
        ]
        write_trials(folder, rows, rows[-1])
    return rows
