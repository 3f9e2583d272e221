"""Jobs in worker processes. A worker that dies fails its own job alone, and none outlives its parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from ...shared.signals import withheld

Job = TypeVar("Job")
Result = TypeVar("Result")
SPAWN = multiprocessing.get_context("spawn")
KILLED = "its process was killed, as the system does where memory runs out"
GRACE = 5.0  # seconds in which a process whose pipe is closed tells its exit code


@dataclass(frozen=True)
class Failure:
    """Why a job has no result, in one line."""

    reason: str


def run_all(
    function: Callable[[Job], Result], jobs: Sequence[Job], processes: int
) -> Iterator[tuple[Job, Result | Failure]]:
    """Yields each job with its result as it is done; close the generator to abandon what still runs.

    Args:
        function: picklable, called with each job.
        jobs: picklable, in the order in which they start.
        processes: workers; 1 runs the jobs one after the other in this process.
    """
    if processes == 1:
        for job in jobs:
            yield job, attempt(function, job)
        return
    waiting = iter(jobs)
    workers = [_Worker(function) for _ in jobs[:processes]]
    try:
        busy = {worker.give(job): (worker, job) for worker, job in zip(workers, waiting, strict=False)}
        while busy:
            for pipe in connection.wait(list(busy)):
                worker, job = busy.pop(pipe)  # type: ignore[call-overload]
                yield job, worker.take()
                following = next(waiting, None)
                if following is not None:
                    busy[worker.give(following)] = worker, following
    finally:
        with withheld():
            for worker in workers:
                worker.end()


def attempt(function: Callable[[Job], Result], job: Job) -> Result | Failure:
    """The result of a job, or why it has none."""
    try:
        return function(job)
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return Failure(f"{said} ({Path(place.filename).name}, line {place.lineno})")


class _Worker:
    """A process that does one job at a time; it is started anew if it dies."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function
        self._process: BaseProcess | None = None

    def give(self, job: Any) -> connection.Connection:
        """Starts a job; returns what becomes ready when it is done or the process has died."""
        if self._process is None:
            with withheld():
                self._pipe, other = SPAWN.Pipe()
                process = SPAWN.Process(target=_work, args=(other, self.function), daemon=True)
                process.start()
                self._process = process
                other.close()
        with contextlib.suppress(OSError):  # it has died, as `take` finds
            self._pipe.send(job)
        return self._pipe

    def take(self) -> Any:
        """The result of the job, or a `Failure`."""
        assert self._process is not None
        try:
            return self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(GRACE)
            code = self._process.exitcode
            self.end()
            return Failure(f"its process ended with exit code {code}" if code != -signal.SIGKILL else KILLED)

    def end(self) -> None:
        """Kills the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()
            self._pipe.close()


def _work(pipe: connection.Connection, function: Callable[[Any], Any]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):  # the parent has ended
        while True:
            pipe.send(attempt(function, pipe.recv()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
