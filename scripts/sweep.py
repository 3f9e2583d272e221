"""Search for better settings of a recipe, with Optuna or on a Ray cluster. ``python -m scripts.sweep --help``."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from agents.cores.ops.checks import constructor_keywords

from .shared.attendant import SPENT
from .shared.cluster import joined, need_ray
from .shared.command import Refusal, program, run_command
from .shared.environments import parse_keywords
from .shared.policies import algorithm_class
from .shared.rollouts import measured
from .shared.runs import Run, create_folder, write_json
from .shared.signals import Stopped
from .shared.sweeps import COMPLETE, SWEEP, Sweep, parse_range, trial_folder
from .shared.tables import Row
from .train import run_of


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
    address: str | None = None,
) -> None:
    """Train an agent again and again with other settings, and say which were best.

    Every trial is a run folder; the first has the settings of the recipe where they lie in the ranges. A trial that
    lags behind half of the others at the same step is ended. Run the command several times at once with the same
    --folder to share the trials among processes, or again later to go on. With --address, run it once: Ray Tune spreads
    the trials over a cluster, one a processor. All trials have the same seed: train the best settings with several
    --seeds before you believe them.

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
        address: of a Ray cluster, "auto" or host:port; "local": a Ray on this machine; default: no Ray.
    """
    if address is not None:
        need_ray()
    elif importlib.util.find_spec("optuna") is None:
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
    _check_measure(run, measure)
    sought = Sweep(run, ranges, measure, minimize)
    with joined(address) if address is not None else nullcontext():
        folder = _folder_of(sought, folder, address is not None)
        try:
            rows = _search(sought, folder, trials, prune, address is not None)
        except Stopped as stop:
            print(f"go on with the same command and --folder {folder}", file=sys.stderr)
            raise SystemExit(stop.exit_code) from None
    _tell_best(sought, folder, rows)


def _search(sweep: Sweep, folder: Path, trials: int, prune: bool, on_ray: bool) -> list[Row]:
    """The rows of all trials, those of this call included."""
    if on_ray:
        from .shared.ray_trials import search_with_ray

        return search_with_ray(sweep, folder, trials, prune)
    from .shared.optuna_trials import search_with_optuna

    return search_with_optuna(sweep, folder, trials, prune)


def _tell_best(sweep: Sweep, folder: Path, rows: list[Row]) -> None:
    """Print the best settings, and how to train them."""
    complete = [row for row in rows if row["state"] == COMPLETE]
    if not complete:
        print("no trial has come to its end", file=sys.stderr)
        return
    best = (min if sweep.minimize else max)(complete, key=lambda row: row[sweep.measure])
    settings = " ".join(f"{name}={best[name]}" for name in sweep.ranges)
    print(f"best {sweep.measure} {best[sweep.measure]:.4g}, trial {best['trial']}: {settings}")
    print(f"train it: {program('train')} --from {trial_folder(folder, best['trial'])} --seeds 3")


def _check_measure(run: Run, measure: str) -> None:
    """Play one episode at random: its measures are those of a trial."""
    known = {*SPENT, *measured("random", run.env_id, 1, **run.env_kwargs)}
    if measure not in known:
        raise Refusal(f"there is no measure {measure!r}; there are {', '.join(sorted(known))}")


def _folder_of(sweep: Sweep, folder: Path | None, on_ray: bool) -> Path:
    """The folder of the sweep: a new one, or that of the same sweep, which goes on."""
    what = sweep.describe() | ({"engine": "Ray Tune"} if on_ray else {})
    if folder is not None and (folder / SWEEP).is_file():
        try:
            held = json.loads((folder / SWEEP).read_text())
        except ValueError as error:
            raise Refusal(f"{folder / SWEEP} is damaged: {error}") from error
        if isinstance(held, dict) and held.get("engine") != what.get("engine"):
            raise Refusal(f"{folder} was begun {'without' if on_ray else 'with'} --address: go on so, or name another")
        if held != what:
            raise Refusal(f"{folder} holds a sweep of other settings: name another --folder")
        return folder
    folder = create_folder(sweep.run, folder, suffix="sweep")
    write_json(folder / SWEEP, what)
    return folder


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    run_command(sweep, program("sweep"), words)


if __name__ == "__main__":
    main()
