"""What attends to a training: it scores, logs, saves, survives a full disk, and stops when a signal has come."""

from __future__ import annotations

import math
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from agents import Agent, KeepBest, save_checkpoint

from .environments import find_spec, is_native
from .logs import STEPS
from .rollouts import measured
from .runs import BEST, Run, write_json
from .signals import Stopped, announce_stop
from .tables import numeric, read_rows, write_rows

POINTS = 15  # of a learning curve
CURVE_STARTS = 200
FOREIGN_STARTS = 3, 20  # of environments that are stepped one by one, and may be slow
LONGEST = 1000  # steps of an episode, where a foreign environment states no limit
LOGGED = 100  # rows of progress.csv
KEPT = 2  # checkpoints of a phase
JUDGED = 5  # training episodes, or one a lane where there are more
PHASES = ("lessons", "learning")
SPENT = STEPS, "cpu_seconds"  # until a point of the learning curve, beside its measures
Judge = Callable[[dict[str, float], BaseAlgorithm], None]


class Attendant(BaseCallback):
    """Between rollouts: scores the agent at regular steps, logs, saves, and stops when a signal has come.

    What it does itself does not count as training, and leaves all random states as they were.

    Args:
        run: what is trained.
        folder: of the run.
        minutes: between two checkpoints.
        about: contents of about.json.
        judge: called with every point of the learning curve and the agent; what it raises ends the training.
        seconds: CPU seconds of training after which there is one more point, between two rollouts.

    Attributes:
        points: of the learning curve.
        best: keeps the policy that did best in training, a callback beside this one.
        stop: number of the signal that has come; None: none.
        trouble: whether an attempt to write has failed since the last checkpoint.
    """

    def __init__(
        self,
        run: Run,
        folder: Path,
        minutes: float,
        about: dict[str, Any],
        judge: Judge | None = None,
        seconds: float = math.inf,
    ) -> None:
        super().__init__()
        self.run, self.folder, self.minutes, self.about, self.judge = run, folder, minutes, about, judge
        self.seconds = seconds
        self.points: list[dict[str, float]] = []
        self.best = KeepBest(max(JUDGED, run.lanes))
        self.phase = PHASES[-1]
        self.stop: int | None = None
        self.trouble = False
        self._warned = False
        self._spent = float(about.get("cpu_seconds", 0.0))
        self._wall = time.monotonic() - float(about.get("wall_seconds", 0.0))
        self._since = time.process_time()
        self._saved: float | None = None  # when; None: not yet in this phase
        self._logged = 0  # rows that are due of the log
        self._scored = 0.0  # CPU seconds at the last point

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
        if "best" in self.about:
            self.best.set_state(self.about["best"])

    def note(self, number: int, frame: Any = None) -> None:
        """Handles a signal: the next rollout does not begin, and another signal ends the process at once."""
        self.stop = number
        announce_stop()

    def _on_training_start(self) -> None:
        self._since = time.process_time()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        with self.apart():
            spent = self._spent >= self.seconds > self._scored
            if spent or self.steps >= len(self.points) * self.run.total / (POINTS - 1):
                self.score()
            if isinstance(self.model, Agent) and self._rows_due() > self._logged:
                self.model.dump_logs()
                self._logged = self._rows_due()
            due = self._saved is None or time.monotonic() - self._saved >= 60 * self.minutes
            if due or self.stop is not None:
                self.save()
        if self.stop is not None:
            raise Stopped(self.stop)

    @contextmanager
    def apart(self) -> Iterator[None]:
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
        own = measured(self.model, self.run.env_id, self._starts(), **self.run.env_kwargs)
        self._scored = self._spent
        spent = dict(zip(SPENT, (self.steps, round(self._spent, 2)), strict=True))
        self.points.append({"seed": self.run.seed, **spent, **own})
        self.attempt(self.write_curve)
        if self.judge is not None:
            self.judge(self.points[-1], self.model)

    def _starts(self) -> int:
        """Episodes a point; those of foreign environments take about as many steps, together, as the training."""
        if is_native(self.run.env_id):
            return CURVE_STARTS
        episode = find_spec(self.run.env_id).max_episode_steps or LONGEST
        fewest, most = FOREIGN_STARTS
        return min(most, max(fewest, self.run.total // (POINTS * episode)))

    def write_curve(self) -> None:
        """Write curve.csv."""
        write_rows(self.folder / "curve.csv", self.points)

    def save(self) -> None:
        """Write a checkpoint and model.zip; see `attempt`."""
        if self.attempt(self._save):
            self._saved, self.trouble = time.monotonic(), False

    def _save(self) -> None:
        if not (self.folder / "config.json").is_file():  # the folder has vanished
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / "config.json", asdict(self.run))
            self.write_curve()
        for writer in self.logger.output_formats:
            writer.flush()  # type: ignore[attr-defined]
        if isinstance(self.model, Agent):
            save_checkpoint(self.model, self.folder / "checkpoints" / self.phase, KEPT)
        self.model.save(self.folder / ".next.zip")
        (self.folder / ".next.zip").replace(self.folder / "model.zip")
        if self.phase == PHASES[-1]:
            if self.best.steps > self.about.get("best", {}).get("steps", 0):
                self.best.save(self.folder / ".next.zip")
                (self.folder / ".next.zip").replace(self.folder / BEST)
            self.about["best"] = self.best.get_state()
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
        return True
