"""Search for better settings of a recipe with Optuna. ``python -m scripts.sweep --help``."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.common.saving import constructor_keywords, merged

from .shared.attendant import Judge
from .shared.command import Refusal, program, run_command
from .shared.environments import parse_keywords
from .shared.policies import algorithm_class
from .shared.runs import Run, create_folder, write_json
from .shared.signals import Stopped
from .shared.tables import write_rows
from .shared.training import fit
from .train import run_of

JOURNAL, SWEEP = "trials.log", "sweep.json"  # Optuna's storage, and what is searched
FIRST = 5  # trials that nothing prunes
LARGEST = 1e12


class UnknownMeasure(Refusal):
    """No trial can be judged by it."""


@dataclass(frozen=True)
class Range:
    """Values of one setting: from `low` to `high`, evenly in the value or in its logarithm, or one of `choices`."""

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()

    def drawn(self, trial: Any, name: str) -> Any:
        """A value for a trial of Optuna."""
        if self.choices:
            return trial.suggest_categorical(name, self.choices)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


def sweep(
    environment: str | None = None,
    tune: tuple[str, ...] = (),
    trials: int = 20,
    env: tuple[str, ...] = (),
    algorithm: str | None = None,
    agent: tuple[str, ...] = (),
    steps: int | None = None,
    lanes: int | None = None,
    seed: int = 0,
    measure: str = "return",
    minimize: bool = False,
    prune: bool = True,
    folder: Path | None = None,
) -> None:
    """Train an agent again and again with other settings, and say which were best.

    Every trial is a run folder; the first has the settings of the recipe where they lie in the ranges. A trial that
    lags behind half of the others at the same step is ended. Run the command several times at once with the same
    --folder to share the trials among processes, or again later to go on. All trials have the same seed: train the best
    settings with several --seeds before you believe them.

    Args:
        environment: an environment's id, or the name of a recipe.
        tune: ranges of the algorithm's keywords: learning_rate=1e-4..1e-2:log, gamma=0.9..0.99, n_steps=16|32|64,
            core_kwargs.size=32|64.
        trials: of this call.
        env: keywords of the environment, KEY=VALUE.
        algorithm: an agent of this project, or of Stable-Baselines3.
        agent: keywords of the algorithm that stay as they are, KEY=VALUE.
        steps: environment steps of a trial.
        lanes: parallel lanes.
        seed: of all trials, and of the search.
        measure: of an episode, whose mean is sought.
        minimize: whether less is better.
        prune: end trials that lag behind.
        folder: of the sweep; default: a new one under runs/.
    """
    if importlib.util.find_spec("optuna") is None:
        raise Refusal("a sweep needs Optuna: pip install 'foveal-envs[agents,sweep]'")
    if not tune or trials < 1:
        raise Refusal("give at least one range, as --tune learning_rate=1e-4..1e-2:log, and at least 1 trial")
    ranges = dict(parse_range(word) for word in tune)
    if len(ranges) < len(tune):
        raise Refusal("--tune names a setting twice")
    given = {"algorithm": algorithm, "steps": steps, "lanes": lanes, "seed": seed}
    given = {name: value for name, value in given.items() if value is not None}
    run = run_of(environment, {"env": parse_keywords(env), "agent": parse_keywords(agent, "--agent")}, given)
    run.check()
    known = constructor_keywords(algorithm_class(run.algorithm))
    if unknown := [name for name in ranges if name.partition(".")[0] not in known or name == "seed"]:
        raise Refusal(f"{run.algorithm} has no {' and no '.join(unknown)} to tune; it has {', '.join(known)}")
    folder = _begun(run, folder, ranges, measure, minimize)
    torch.set_num_threads(1)
    try:
        search(run, folder, ranges, trials, measure, minimize, prune)
    except Stopped as stop:
        print(f"go on with the same command and --folder {folder}", file=sys.stderr)
        raise SystemExit(128 + stop.number) from None


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


def search(
    run: Run, folder: Path, ranges: dict[str, Range], trials: int, measure: str, minimize: bool, prune: bool
) -> None:
    """Let Optuna choose the settings of so many trials, and write trials.csv after each."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            study_name="sweep",
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(folder / JOURNAL))),
            load_if_exists=True,
            direction="minimize" if minimize else "maximize",
            pruner=optuna.pruners.MedianPruner(FIRST, interval_steps=1) if prune else optuna.pruners.NopPruner(),
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise Refusal(f"{folder / JOURNAL} is damaged: {error}") from error
    if not study.trials and (known := _within(run, ranges)):
        study.enqueue_trial(known)

    def judged(trial: Any) -> Judge:
        def judge(point: dict[str, float], agent: BaseAlgorithm) -> None:
            trial.report(_of(point, measure), int(point["environment_steps"]))
            if trial.should_prune():
                raise optuna.TrialPruned

        return judge

    def objective(trial: Any) -> float:
        # by its number, so that no two trials draw alike, whichever process they are of
        study.sampler = optuna.samplers.TPESampler(seed=run.seed + 1_000_003 * trial.number)
        own = with_settings(run, {name: values.drawn(trial, name) for name, values in ranges.items()})
        place = create_folder(own, folder / f"trial{trial.number}", overwrite=True)
        try:
            _, attendant = fit(own, place, progress_bar=False, judge=judged(trial))
        except UnknownMeasure:
            raise
        except Refusal as refusal:  # settings that do not go together
            print(refusal, file=sys.stderr)
            raise optuna.TrialPruned from refusal
        if attendant.stop is not None:
            raise Stopped(attendant.stop)
        return _of(attendant.points[-1], measure)

    for _ in range(trials):
        study.optimize(objective, n_trials=1, catch=FloatingPointError)
        rows = [
            {"trial": trial.number, "state": trial.state.name.lower(), measure: trial.value, **trial.params}
            for trial in study.trials
        ]
        write_rows(folder / "trials.csv", rows)
        last = rows[-1]
        print(", ".join(f"{name} {value}" for name, value in last.items()), file=sys.stderr)
    if any(row["state"] == "complete" for row in rows):
        best = study.best_trial
        print(f"best {measure} {best.value:.4g}, trial {best.number}: "
              + " ".join(f"{name}={value}" for name, value in best.params.items()))  # fmt: skip
        print(f"train it: {program('train')} --from {folder / f'trial{best.number}'} --seeds 3")


def _of(point: dict[str, float], measure: str) -> float:
    if measure not in point:
        raise UnknownMeasure(f"there is no measure {measure!r}; there are {', '.join(sorted(point))}")
    return point[measure]


def _within(run: Run, ranges: dict[str, Range]) -> dict[str, Any]:
    """The run's own settings, as far as they lie in the ranges."""
    known = {}
    for name, values in ranges.items():
        place, _, inner = name.partition(".")
        own = run.agent_kwargs.get(place)
        own = own.get(inner) if inner and isinstance(own, dict) else own
        inside = (
            own in values.choices
            if values.choices
            else isinstance(own, int | float) and values.low <= own <= values.high
        )
        if inside:
            known[name] = own
    return known


def _begun(run: Run, folder: Path | None, ranges: dict[str, Range], measure: str, minimize: bool) -> Path:
    """The folder of the sweep: a new one, or that of the same sweep, which goes on."""
    what = {
        "run": asdict(run),
        "ranges": {name: asdict(values) for name, values in ranges.items()},
        "measure": measure,
        "minimize": minimize,
    }
    what = json.loads(json.dumps(what))
    if folder is not None and (folder / SWEEP).is_file():
        try:
            held = json.loads((folder / SWEEP).read_text())
        except ValueError as error:
            raise Refusal(f"{folder / SWEEP} is damaged: {error}") from error
        if held != what:
            raise Refusal(f"{folder} holds a sweep of other settings: name another --folder")
        return folder
    folder = create_folder(run, folder, suffix="sweep")
    write_json(folder / SWEEP, what)
    return folder


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    run_command(sweep, program("sweep"), words)


if __name__ == "__main__":
    main()
