"""Training that survives: it stops at signals, after a checkpoint, and goes on where it was stopped."""

from __future__ import annotations

import math
import shutil
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from agents import Agent, load_checkpoint
from agents.common.checkpoint import checkpoints

from .about import circumstances, read_about
from .attendant import PHASES, Attendant, Judge
from .command import Refusal
from .lessons import teach
from .logs import make_logger
from .model_error import write_model_error
from .policies import algorithm_class, load_agent, refusing_damage, unpickled
from .runs import CONTROLLER, Run, create_folder, write_json
from .signals import STOPPING, Stopped, handling

MINUTES = 3.0  # between checkpoints


def fit(
    run: Run,
    folder: Path,
    progress_bar: bool = True,
    formats: Sequence[str] = ("csv",),
    minutes: float = MINUTES,
    resume: bool = False,
    judge: Judge | None = None,
    seconds: float = math.inf,
) -> tuple[BaseAlgorithm, Attendant]:
    """Train the agent of a run in its folder, or go on with a training that was stopped.

    SIGINT, SIGTERM and SIGHUP end the training after the update at hand, and after a checkpoint; a second one ends it
    at once. Agents of this project resume to the bits of an uninterrupted run; those of Stable-Baselines3 begin new
    episodes, with an empty replay buffer.

    Args:
        run: what is trained.
        folder: made by `create_folder`.
        progress_bar: show rate and time left.
        formats: of the log, see `make_logger`.
        minutes: between checkpoints.
        resume: go on from the newest checkpoint, if there is one.
        judge, seconds: see `Attendant`.

    Returns:
        The agent, and what attended to its training; its ``stop`` is the signal that ended it.

    Raises:
        Refusal: the run cannot be carried out.
        Stopped: a signal came while its controller was trained.
    """
    run.check()
    env = run.make_env()
    controller = _controller(run, folder, env, progress_bar, minutes, resume)
    with refusing_damage(folder, "cannot go on with "):
        phase, agent = _resumed(run, folder, env, controller) if resume else (None, None)
    begun = agent is not None
    agent = agent or run.make_agent(env, **controller)
    about = circumstances(str(agent.device))
    with refusing_damage(folder, "cannot go on with "):
        attendant = Attendant(run, folder, minutes, {**read_about(folder), **about} if begun else about, judge, seconds)
    phases = [name for name in PHASES if name == PHASES[-1] or run.lessons]
    phases = phases[phases.index(phase) :] if phase else phases
    attendant.phase = phases[0]
    if begun:
        with refusing_damage(folder, "cannot go on with "):
            attendant.restore(agent)
    if resume:
        write_json(folder / "config.json", asdict(run))  # whose steps may have been raised
    agent.set_logger(make_logger(folder, formats, run, lambda: attendant.steps, attendant.attempt))
    ended = "finished"
    try:
        with handling(attendant.note, STOPPING):
            for name in phases:
                attendant.begin(name, agent.num_timesteps if begun else 0)
                _learn(run, agent, name, attendant, begun, progress_bar)
                begun = False
    except Stopped as stop:
        ended = f"stopped by {stop}"
    except BaseException as error:
        ended = f"failed: {type(error).__name__}: {error}"
        attendant.attempt(lambda: attendant.write_about(ended))
        raise
    finally:
        agent.logger.close()
        env.close()
    with attendant.apart():
        if ended == "finished":
            if not attendant.points or attendant.steps > attendant.points[-1]["environment_steps"]:
                attendant.score()
            attendant.save()
            write_model_error(agent, folder, run.env_id)
            ended = "failed: the agent could not be written" if attendant.trouble else ended
        attendant.attempt(lambda: attendant.write_about(ended))
    return agent, attendant


def finish(run: Run, folder: Path, **settings: Any) -> tuple[BaseAlgorithm, Attendant]:
    """`fit`, where half a training is of no use.

    Raises:
        Stopped: a signal has ended the training.
    """
    agent, attendant = fit(run, folder, **settings)
    if attendant.stop is not None:
        raise Stopped(attendant.stop)
    return agent, attendant


def _learn(run: Run, agent: BaseAlgorithm, phase: str, attendant: Attendant, begun: bool, progress_bar: bool) -> None:
    """One phase of a run, or what is left of it."""
    settings: dict[str, Any] = {"callback": attendant, "reset_num_timesteps": not begun, "progress_bar": progress_bar}
    if isinstance(agent, Agent):
        settings["log_interval"] = None
        if 0 < run.steps <= getattr(agent, "model_steps", 0):
            print(f"all {run.steps:,} steps are random moves: model_steps is {agent.model_steps:,}", file=sys.stderr)  # type: ignore[attr-defined]
    else:
        _tell_of_long_rollout(run, agent)
    done = agent.num_timesteps if begun else 0
    if phase != PHASES[-1]:
        teach(run, agent, done, **settings)
        return
    settings["callback"] = [attendant, attendant.best]
    agent.learn(max(0, run.steps - done), **settings)
    if isinstance(agent, Agent) and agent.measures:
        agent.dump_logs()


def _controller(run: Run, folder: Path, env: Any, progress_bar: bool, minutes: float, resume: bool) -> dict[str, Any]:
    """The controller that the run names, as a keyword: trained first, where it is a recipe."""
    name = run.agent_kwargs.get(CONTROLLER)
    if not isinstance(name, str):
        return {}
    own = folder / CONTROLLER
    if not Path(name).is_dir():
        from ..recipes import find_recipe

        part = find_recipe(name).run(seed=run.seed)
        if not own.is_dir():
            create_folder(part, own)
            resume = False
        if read_about(own).get("ended") != "finished":
            print(f"{folder}: first its controller, {name}")
            finish(part, own, progress_bar=progress_bar, minutes=minutes, resume=resume)
    elif not own.is_dir():
        shutil.copytree(name, own)
    return {CONTROLLER: load_agent(own, env.env)}


def _tell_of_long_rollout(run: Run, agent: BaseAlgorithm) -> None:
    """Say so where one rollout of an algorithm of Stable-Baselines3 is longer than the run."""
    rollout = int(getattr(agent, "n_steps", 0) or 0) * run.lanes
    if rollout > run.steps:
        print(
            f"one rollout of {run.algorithm} is {rollout // run.lanes:,} x {run.lanes} = {rollout:,} steps, so the run "
            "takes as many; a smaller --lanes or --agent n_steps=... makes it shorter",
            file=sys.stderr,
        )


def _resumed(run: Run, folder: Path, env: Any, controller: dict[str, Any]) -> tuple[str | None, BaseAlgorithm | None]:
    """The phase and the agent of the newest checkpoint; None, None: there is none yet."""
    kind = algorithm_class(run.algorithm)
    if not issubclass(kind, Agent):
        path = folder / "model.zip"
        if not path.is_file():
            return None, None
        print(f"{run.algorithm} begins new episodes with what it has learned, and an empty replay buffer")
        own = unpickled(path, asdict(run), kind, env.env)
        return PHASES[-1], kind.load(path, env=env, device="cpu", custom_objects=own)
    for phase in reversed(PHASES):
        path = folder / "checkpoints" / phase
        if path.is_dir() and checkpoints(path):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                agent = load_checkpoint(kind, path, env, **controller)
            for warning in caught:
                print(warning.message, file=sys.stderr)
            return phase, agent
    if (folder / "model.zip").is_file():
        raise Refusal(f"{folder} has an agent but no checkpoint to go on from; --from {folder} repeats the run")
    return None, None
