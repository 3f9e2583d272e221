"""Train an agent and leave a run folder: model, checkpoints, log, learning curve, scanpaths, an episode as GIF.

``python -m scripts.train Foveal/TargetDetection-v0`` takes the recipe of the id; every option overrides it.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import gymnasium as gym
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.common.saving import merged
from agents.world_model.objectives import MissingSignal
from foveal_envs.reference import RandomPolicy

from .recipes import find_recipe, recipes
from .shared.about import read_about
from .shared.attendant import Attendant
from .shared.command import Refusal, program, run_command
from .shared.environments import is_native, make_lanes, parse_keywords, task_in, untwinned
from .shared.lessons import check_lessons
from .shared.listing import listing
from .shared.logs import check_formats
from .shared.policies import fitting
from .shared.runs import CONTROLLER, Run, create_folder, read_config
from .shared.seeds import create_group, fit_group, group_of
from .shared.signals import Stopped
from .shared.training import MINUTES, fit

MOST_FRAMES = 300  # of the GIF
MEASURES = ("pose", "within_10", "error", "correct", "is_success", "return")  # the first of a run is drawn


def train(
    environment: str | None = None,
    env: tuple[str, ...] = (),
    algorithm: str | None = None,
    preset: str | None = None,
    agent: tuple[str, ...] = (),
    lessons: tuple[str, ...] = (),
    steps: int | None = None,
    lanes: int | None = None,
    seed: int | None = None,
    seeds: int | None = None,
    folder: Path | None = None,
    overwrite: bool = False,
    resume: Path | None = None,
    from_run: Path | None = None,
    logger: tuple[str, ...] = ("csv",),
    minutes: float = MINUTES,
    progress_bar: bool = True,
    trust: bool = False,
) -> None:
    """Train an agent by the recipe of an id, and leave a run folder.

    With nothing but an id, the recipe says which agent, with what keywords, how many lanes and steps. An id without one
    gets an agent that fits its spaces, with its defaults. Ctrl-C or SIGTERM finishes the update, saves, and prints the
    command that goes on.

    Args:
        environment: an environment's id, or the name of a recipe; "module:id" imports the module first.
        env: keywords of the environment, KEY=VALUE.
        algorithm: an agent of this project, PPO, SAC, ... of Stable-Baselines3, or module:Class.
        preset: "default", "real_forward" or "published", of WorldModelController.
        agent: keywords of the algorithm, KEY=VALUE; lin_3e-4 falls linearly to 0.
        lessons: of a teacher first, KEY=VALUE: teacher=oracle, steps=100000, learning_rate=lin_1e-3; steps=0: none.
        steps: environment steps.
        lanes: parallel lanes.
        seed: of nets, exploration and environment (default: 0).
        seeds: train so many seeds, one after the other, and summarise them.
        folder: the run folder; default: a new one under runs/.
        overwrite: replace the run in --folder.
        resume: go on with the run in this folder; --steps may be raised.
        from_run: repeat the run in this folder in a new one.
        logger: csv, tensorboard, wandb, mlflow, apart or with commas.
        minutes: between checkpoints.
        progress_bar: show rate and time left.
        trust: import the modules that the run in --resume or --from names.
    """
    given = {"algorithm": algorithm, "preset": preset, "steps": steps, "lanes": lanes, "seed": seed}
    given = {name: value for name, value in given.items() if value is not None}
    if seeds is not None and seeds < 1:
        raise Refusal(f"--seeds must be at least 1, got {seeds}")
    if not minutes > 0:
        raise Refusal(f"--minutes must be above 0, got {minutes}")
    if resume is not None:
        forbidden = {
            "an environment": environment, "--env": env, "--agent": agent, "--lessons": lessons, "--folder": folder,
            "--from": from_run, "--overwrite": overwrite, "--seeds": seeds, **given,
        }  # fmt: skip
        for name in [name for name, value in forbidden.items() if value and name != "steps"]:
            raise Refusal(f"--resume takes everything from the folder: leave out {name}; only --steps may be raised")
        run, folder = Run.from_config(read_config(resume, trust)), resume
        count = group_of(resume)
        if steps is not None and steps > run.steps:
            run = replace(run, steps=steps)
        elif read_about(resume).get("ended") == "finished":
            print(f"{resume} has finished its {run.steps:,} steps; a larger --steps trains on")
            return
    else:
        words = {"env": env, "agent": agent, "lessons": lessons}
        parsed = {name: parse_keywords(own, f"--{name}") for name, own in words.items()}
        run = run_of(environment, parsed, given, from_run, trust)
        run.check()
        count = seeds
    formats = [word for words in logger for word in words.split(",")]
    check_formats(formats)
    settings: dict[str, Any] = {"progress_bar": progress_bar, "formats": formats, "minutes": minutes}
    settings["resume"] = resume is not None
    if resume is None:
        try_out(run)
    if count is not None:
        folder = folder if resume is not None else create_group(run, folder, count, overwrite)
        stopped = fit_group(run, folder, count, train_one, **settings)
    else:
        folder = folder if resume is not None else create_folder(run, folder, overwrite)
        stopped = train_one(run, folder, **settings)
    if stopped:
        print(f"go on with: {program('train')} --resume {words_for(run, folder)}", file=sys.stderr)
        raise SystemExit(128 + stopped)


def try_out(run: Run) -> None:
    """Say what is wrong with a run before it has a folder."""
    env = run.make_env()
    agent = run.make_agent(env, **({CONTROLLER: RandomPolicy(env.env)} if CONTROLLER in run.agent_kwargs else {}))
    if run.lessons:
        check_lessons(run, agent)
    env.close()


def train_one(run: Run, folder: Path, **settings: Any) -> int | None:
    """Train one seed and draw what came of it; the number of the signal that stopped it, None if it is finished.

    Raises:
        SystemExit: status 1 where the folder could not be written, or the training failed.
    """
    try:
        agent, attendant = fit(run, folder, **settings)
    except Stopped as stop:  # while its controller was trained
        return stop.number
    except (FloatingPointError, MissingSignal) as error:
        print(f"training failed: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    if attendant.trouble:
        print(f"{folder} could not be written: the agent of {attendant.steps:,} steps is lost", file=sys.stderr)
        raise SystemExit(1)
    print(f"run folder {folder}")
    if attendant.stop is not None:
        print(f"stopped after {attendant.steps:,} of {run.total:,} steps")
        return attendant.stop
    try:
        illustrate(run, folder, agent, attendant)
    except OSError as error:
        print(f"{folder} holds the agent, but its pictures could not be written: {error.strerror or error}",
              file=sys.stderr)  # fmt: skip
        raise SystemExit(1) from error
    print(f"watch it: {program('watch')} {words_for(run, folder)}")
    print(f"score it: {program('evaluate')} {words_for(run, folder)}")
    return None


def words_for(run: Run, folder: Path) -> str:
    """The folder of a run on a command line, with --trust where the run names a module of a user's."""
    modules = {name.rpartition(":")[0].partition(".")[0] for name in (run.env_id, run.algorithm)}
    own = shlex.quote(str(folder))
    return f"{own} --trust" if modules - {"", "foveal_envs", "agents"} else own


def run_of(
    environment: str | None,
    words: dict[str, dict[str, Any]],
    given: dict[str, Any],
    from_run: Path | None = None,
    trust: bool = False,
) -> Run:
    """The run that a command line describes.

    Args:
        environment: an id or the name of a recipe; None: TargetDetection, unless ``from_run`` is given.
        words: keywords under "env", "agent" and "lessons"; what is missing is empty.
        given: other attributes of the run. Another algorithm than the recipe's takes none of its settings.
        from_run: a run folder to begin with instead.
        trust: see `read_config`.

    Raises:
        Refusal: there is no such environment or folder, or the parts do not go together.
    """
    words = {"env": {}, "agent": {}, "lessons": {}, **words}
    if from_run is not None:
        if environment is not None:
            raise Refusal("--from repeats the run of a folder: leave out the environment")
        run = Run.from_config(read_config(from_run, trust))
    else:
        environment = environment or "Foveal/TargetDetection-v0"
        if Path(environment).is_dir():
            raise Refusal(f"{environment} is a folder: go on with --resume {environment}, or repeat it with --from")
        run = recipe_or_default(environment, words["env"], given.get("algorithm"))
    if "algorithm" in given and given["algorithm"] != run.algorithm:  # the recipe's settings are for another
        run = replace(run, agent_kwargs={}, lessons={}, preset="default", steps=run.total, train_kwargs={})
    run = replace(
        run,
        env_kwargs={**run.env_kwargs, **words["env"]},
        agent_kwargs=merged(run.agent_kwargs, words["agent"]),
        lessons=merged(run.lessons, words["lessons"]),
        **given,
    )
    if run.lessons.get("steps", 0) == 0:
        run = replace(run, lessons={})
    if run.preset != "default" and run.algorithm != "WorldModelController":
        raise Refusal(f"--preset belongs to WorldModelController, not to {run.algorithm}")
    return run


def recipe_or_default(env_id: str, env_kwargs: dict[str, Any], algorithm: str | None = None) -> Run:
    """The recipe of an id; where there is none, an algorithm with its defaults, if none is given one that fits."""
    try:
        run = find_recipe(env_id).run()
    except Refusal:
        if algorithm is not None:
            return _without_recipe(env_id, algorithm)
        lanes = make_lanes(env_id, env_kwargs, 1)
        fits = fitting(lanes)
        pushes = isinstance(lanes.single_action_space, gym.spaces.Box)
        lanes.close()
        usual = ("WorldModelController", "RecurrentPPO")[:: 1 if pushes else -1]
        name = next((own for own in usual if own in fits), None)
        if name is None:
            raise Refusal(f"no agent fits the spaces of {env_id}") from None
        print(f"{env_id} has no recipe: {name} with its defaults; {', '.join(fits)} fit its spaces")
        return _without_recipe(env_id, name)
    return run if env_id in recipes() else replace(run, env_id=untwinned(env_id))


def _without_recipe(env_id: str, algorithm: str) -> Run:
    """A run with the algorithm's defaults. Where steps are slow, a world model learns most from those of one lane."""
    if is_native(env_id):
        return Run(env_id, {}, algorithm, lanes=64)
    if algorithm == "WorldModelController":
        return Run(env_id, {}, algorithm, lanes=1, steps=10_000)
    return Run(env_id, {}, algorithm, lanes=16)


def illustrate(run: Run, folder: Path, agent: BaseAlgorithm, attendant: Attendant) -> None:
    """Draw learning_curve.png, scanpaths.png (where the task has a fovea) and episode.gif into the run folder.

    The GIF shows the beginning of an episode, `MOST_FRAMES` at most.
    """
    from .shared.plots import learning_curve, record_scanpaths, scanpaths
    from .shared.suite import reference_heights
    from .watch import attended_pictures, write
    from .watch import run as play_episodes

    measure = next(name for name in MEASURES if name in attendant.points[0])
    heights = reference_heights(run.env_id, run.env_kwargs, measure)
    figure = learning_curve(attendant.points, "environment_steps", measure, references=heights, title=run.env_id)
    figure.savefig(folder / "learning_curve.png")
    lanes = make_lanes(run.env_id, run.env_kwargs, 8, info="step")
    task = task_in(lanes)
    if task is not None and task.fovea is not None:
        scanpaths(record_scanpaths(lanes, agent, seed=7), title=run.env_id).savefig(folder / "scanpaths.png")
    draws = "rgb_array" in (lanes.metadata.get("render_modes") or ())
    lanes.close()
    if draws:
        lane = make_lanes(run.env_id, run.env_kwargs, 1, render_mode="rgb_array")
        picture = attended_pictures(lane, agent)
        frames = islice(play_episodes(lane, agent, 1, seed=3, picture=picture), MOST_FRAMES)
        write(list(frames), 8, folder / "episode.gif", None, None)
        lane.close()


def main(words: Sequence[str] | None = None) -> None:
    """The command."""
    words = sys.argv[1:] if words is None else words
    run_command(train, program("train"), words, epilog=lambda: listing(words))


if __name__ == "__main__":
    main()
