"""Training that survives: checkpoints, signals, full disks; scores on the way; goes on where it was stopped."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from agents import Agent, load_checkpoint, save_checkpoint
from agents.common.archive import ArchiveError
from agents.common.checkpoint import checkpoints

from .command import Refusal
from .environments import is_native
from .logs import make_logger
from .policies import algorithm_class, load_agent, unpickled
from .rollouts import run_episodes, scores
from .runs import CONTROLLER, Run, circumstances, create_folder, schedule, write_json
from .tables import numeric, read_rows, write_rows

POINTS = 15  # of a learning curve
CURVE_STARTS = 200
FOREIGN_STARTS = 20  # of environments that are stepped one by one, and may be large
LOGGED = 100  # rows of progress.csv
MINUTES = 3.0  # between checkpoints
KEPT = 2
PHASES = ("lessons", "learning")


class Stopped(Exception):
    """Training was stopped by a signal, after a checkpoint."""


class Attendant(BaseCallback):
    """Between rollouts: scores the agent at regular steps, logs, saves, and stops when a signal has come.

    What it does itself does not count as training, and leaves all random states as they were.

    Args:
        run: what is trained.
        folder: of the run.
        minutes: between two checkpoints.
        about: contents of about.json.

    Attributes:
        points: of the learning curve.
        stop: number of the signal that has come; None: none.
        trouble: whether the last attempt to write has failed.
    """

    def __init__(self, run: Run, folder: Path, minutes: float, about: dict[str, Any]) -> None:
        super().__init__()
        self.run, self.folder, self.minutes, self.about = run, folder, minutes, about
        self.points: list[dict[str, float]] = []
        self.phase = PHASES[-1]
        self.stop: int | None = None
        self.trouble = False
        self._warned = False
        self._spent = float(about.get("cpu_seconds", 0.0))
        self._wall = time.monotonic() - float(about.get("wall_seconds", 0.0))
        self._since = time.process_time()
        self._saved: float | None = None  # when; None: not yet in this phase
        self._logged = 0  # rows that are due of the log

    @property
    def steps(self) -> int:
        """Environment steps of the run so far, those of the lessons included."""
        before = self.run.total - self.run.steps if self.phase == PHASES[-1] else 0
        return before + self.num_timesteps

    def begin(self, phase: str, done: int) -> None:
        """Attend to the next phase, of which so many environment steps are done."""
        self.phase, self._saved, self.num_timesteps = phase, None, done
        self._logged = self._rows_due()

    def _rows_due(self) -> int:
        """Rows of the log by now: of the steps alone, so that a resumed run logs where an uninterrupted one does."""
        return self.steps * LOGGED // self.run.total

    def restore(self, agent: BaseAlgorithm) -> None:
        """Take up the curve of a run that is resumed: what was scored after the checkpoint is scored again."""
        self.num_timesteps = agent.num_timesteps
        self.points = [
            row for row in numeric(read_rows(self.folder / "curve.csv")) if row["environment_steps"] <= self.steps
        ]

    def _on_training_start(self) -> None:
        self._since = time.process_time()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        with self._apart():
            if self.steps >= len(self.points) * self.run.total / (POINTS - 1):
                self.score()
            if isinstance(self.model, Agent) and self._rows_due() > self._logged:
                self.model.dump_logs()
                self._logged = self._rows_due()
            due = self._saved is None or time.monotonic() - self._saved >= 60 * self.minutes
            if due or self.stop is not None:
                self.save()
        if self.stop is not None:
            raise Stopped

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Stops the clock of the training, and restores the random states."""
        self._spent += time.process_time() - self._since
        python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 (Stable-Baselines3 draws from it)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        self._since = time.process_time()

    def score(self) -> None:
        """Add a point to the learning curve."""
        starts = CURVE_STARTS if is_native(self.run.env_id) else FOREIGN_STARTS
        episodes = run_episodes(self.model, self.run.env_id, starts, **self.run.env_kwargs)
        measured = scores(episodes, self.run.env_id, self.run.env_kwargs.get("rotate", False))
        spent = {"environment_steps": self.steps, "cpu_seconds": round(self._spent, 2)}
        self.points.append({"seed": self.run.seed, **spent, **measured})
        self.attempt(self.write_curve)

    def write_curve(self) -> None:
        """Write curve.csv."""
        write_rows(self.folder / "curve.csv", self.points)

    def save(self) -> None:
        """Write a checkpoint and model.zip; see `attempt`."""
        if self.attempt(self._save):
            self._saved = time.monotonic()

    def _save(self) -> None:
        if not (self.folder / "config.json").is_file():  # the folder has vanished
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / "config.json", asdict(self.run))
            self.write_curve()
        for writer in self.logger.output_formats:
            writer.flush()  # type: ignore[attr-defined]
        if isinstance(self.model, Agent):
            save_checkpoint(self.model, self.folder / "checkpoints" / self.phase, KEPT)
        save_model(self.model, self.folder)
        self.write_about("running")

    def write_about(self, ended: str) -> None:
        """Write about.json: under what circumstances the run ran, how far it got and how it ended."""
        self.about |= {
            "environment_steps": self.steps,
            "cpu_seconds": round(self._spent, 2),
            "wall_seconds": round(time.monotonic() - self._wall, 1),
            "ended": ended,
        }
        if ended != "running":
            self.about["end"] = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        write_json(self.folder / "about.json", self.about)

    def attempt(self, write: Callable[[], None]) -> bool:
        """Try to write; on a full disk or in a vanished folder, warn once and let the training go on."""
        try:
            write()
        except OSError as error:
            self.trouble = True
            if not self._warned:
                self._warned = True
                print(f"cannot write to {self.folder}: {error.strerror or error}; training goes on in memory and tries "
                      "again", file=sys.stderr)  # fmt: skip
            return False
        self.trouble = False
        return True


def save_model(agent: BaseAlgorithm, folder: Path) -> None:
    """Write model.zip whole or not at all."""
    agent.save(folder / ".next.zip")
    (folder / ".next.zip").replace(folder / "model.zip")


def fit(
    run: Run,
    folder: Path,
    progress_bar: bool = True,
    formats: Sequence[str] = ("csv",),
    minutes: float = MINUTES,
    resume: bool = False,
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

    Returns:
        The agent, and what attended to its training; its ``stop`` is the signal that ended it.

    Raises:
        Refusal: the run cannot be carried out.
    """
    run.check()
    env = run.make_env()
    controller = _controller(run, folder, progress_bar, minutes, resume)
    phase, agent = _resumed(run, folder, env, controller) if resume else (None, None)
    begun = agent is not None
    if resume:
        write_json(folder / "config.json", asdict(run))  # whose steps may have been raised
    agent = agent or run.make_agent(env, **controller)
    about = circumstances(str(agent.device))
    attendant = Attendant(run, folder, minutes, {**_read_about(folder), **about} if begun else about)
    phases = [name for name in PHASES if name == PHASES[-1] or run.lessons]
    phases = phases[phases.index(phase) :] if phase else phases
    attendant.phase = phases[0]
    if begun:
        attendant.restore(agent)
    agent.set_logger(make_logger(folder, formats, run, lambda: attendant.steps, attendant.attempt))
    ended = "finished"
    try:
        with _signals(attendant):
            for name in phases:
                attendant.begin(name, agent.num_timesteps if begun else 0)
                _learn(run, agent, name, attendant, begun, progress_bar)
                begun = False
    except Stopped:
        ended = f"stopped by {signal.Signals(attendant.stop or 0).name}"
    except BaseException as error:
        ended = f"failed: {type(error).__name__}: {error}"
        attendant.attempt(lambda: attendant.write_about(ended))
        raise
    finally:
        agent.logger.close()
        env.close()
    with attendant._apart():
        if ended == "finished":
            if not attendant.points or attendant.steps > attendant.points[-1]["environment_steps"]:
                attendant.score()
            attendant.save()
        attendant.attempt(lambda: attendant.write_about(ended))
    return agent, attendant


def _learn(run: Run, agent: BaseAlgorithm, phase: str, attendant: Attendant, begun: bool, progress_bar: bool) -> None:
    """One phase of a run, or what is left of it."""
    settings: dict[str, Any] = {"callback": attendant, "reset_num_timesteps": not begun, "progress_bar": progress_bar}
    if isinstance(agent, Agent):
        settings["log_interval"] = None
    else:
        _tell_of_long_rollout(run, agent)
    done = agent.num_timesteps if begun else 0
    if phase == PHASES[-1]:
        agent.learn(max(0, run.steps - done), **settings)
        if isinstance(agent, Agent) and agent.measures:
            agent.dump_logs()
        return
    lessons = dict(run.lessons)
    own = {name: getattr(agent, name) for name in lessons.get("agent_kwargs", {})}
    for name, value in lessons.pop("agent_kwargs", {}).items():
        setattr(agent, name, value)
    steps = lessons.pop("steps")
    teacher = make_teacher(lessons.pop("teacher"), agent.get_env(), lessons.pop("teacher_kwargs", {}))
    lessons = {name: schedule(value) for name, value in lessons.items()}
    agent.imitate(teacher, max(0, steps - done), **lessons, **settings)  # type: ignore[attr-defined]
    for name, value in own.items():
        setattr(agent, name, run.agent_kwargs.get(name, value))


def check_lessons(run: Run, agent: BaseAlgorithm) -> None:
    """Refuse lessons that cannot be given.

    Args:
        run: has lessons.
        agent: untrained, in its environment.

    Raises:
        Refusal: says what is wrong with them.
    """
    known = ("steps", "teacher", "teacher_kwargs", "learning_rate", "fade", "agent_kwargs")
    for name in run.lessons:
        if name not in known:
            raise Refusal(f"--lessons takes {', '.join(known)}; got {name!r}")
    if not hasattr(agent, "imitate"):
        raise Refusal(f"{run.algorithm} takes no lessons; RecurrentPPO and Recogniser do")
    steps = run.lessons["steps"]
    if not isinstance(steps, int) or steps < 1 or "teacher" not in run.lessons:
        raise Refusal(f"lessons need steps, a whole number of at least 1, and a teacher; got {run.lessons}")
    for name in run.lessons.get("agent_kwargs", {}):
        if not hasattr(agent, name):
            raise Refusal(f"{run.algorithm} has no keyword {name!r}")
    make_teacher(str(run.lessons["teacher"]), agent.get_env(), run.lessons.get("teacher_kwargs", {}))


def make_teacher(name: str, vec_env: Any, keywords: dict[str, Any]) -> Any:
    """A teacher by name, for the lanes of a VecEnv: a reference with its keywords, or the agent of a run folder."""
    from foveal_envs.reference import REFERENCES

    if name not in REFERENCES:
        return load_agent(name, vec_env.env)
    try:
        return REFERENCES[name](vec_env.env, **keywords)
    except (TypeError, ValueError) as error:
        raise Refusal(f"no teacher {name!r} here: {error}") from error


def _controller(run: Run, folder: Path, progress_bar: bool, minutes: float, resume: bool) -> dict[str, Any]:
    """The controller that the run names, as a keyword: trained first, where it is a recipe."""
    name = run.agent_kwargs.get(CONTROLLER)
    if not isinstance(name, str):
        return {}
    own = folder / CONTROLLER
    env = run.make_env()
    if not Path(name).is_dir():
        from ..recipes import find_recipe

        recipe = find_recipe(name)
        part = recipe.run(seed=run.seed)
        if not own.is_dir():
            create_folder(part, own)
            resume = False
        if _read_about(own).get("ended") != "finished":
            print(f"{folder}: first its controller, {name}")
            _, attendant = fit(part, own, progress_bar, minutes=minutes, resume=resume)
            if attendant.stop is not None:
                raise Stopped
    elif not own.is_dir():
        shutil.copytree(name, own)
    controller = load_agent(own, env.env)
    env.close()
    return {CONTROLLER: controller}


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
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    agent = load_checkpoint(kind, path, env, **controller)
            except ArchiveError as error:
                raise Refusal(str(error)) from error
            for warning in caught:
                print(warning.message, file=sys.stderr)
            return phase, agent
    return None, None


def _read_about(folder: Path) -> dict[str, Any]:
    """about.json, where it is whole."""
    try:
        about = json.loads((folder / "about.json").read_text())
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


@contextmanager
def _signals(attendant: Attendant) -> Iterator[None]:
    """While inside, the first SIGINT, SIGTERM or SIGHUP stops the training in good order, the second at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

    def note(number: int, frame: Any) -> None:
        attendant.stop = number
        for other in numbers:
            signal.signal(other, signal.SIG_DFL)
        print("\nstops after this update and saves; the same again stops at once", file=sys.stderr)

    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
