"""A `reproduce` that is ended at random moments and run again: ``python -m tests.scripts.kills KILLS PROCESSES SEED``.

A process of its own, as it forks: the children share its imports. Each child reproduces a toy and is ended by SIGKILL,
SIGTERM or SIGINT; its files must then hold whole rows of whole jobs, no worker may be left, and one more run must come
to the rows of a run that nothing ended. Prints what happened, and exits with 1 where something else did.
"""

from __future__ import annotations

import collections
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch  # noqa: F401  so that the children need not load it

from scripts.reproduce import reproduce
from scripts.shared.tables import is_torn, read_rows

from . import toy

SEEDS = 12
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
ENDS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}


def start(folder: Path, processes: int) -> int:
    """Reproduces in a child, the leader of a process group of its own; returns its process id."""
    child = os.fork()
    if child:
        return child
    os.setpgid(0, 0)
    with open(folder.with_suffix(".log"), "a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    code = 0
    try:
        reproduce("toy", seeds=SEEDS, processes=processes, output=folder)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:  # before it began
        code = 130
    sys.stdout.flush()
    os._exit(code)


def ended(child: int) -> int:
    """Waits for a child and its workers; returns its exit code, negative for a signal.

    Raises:
        TimeoutError: a worker outlives it.
    """
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for _ in range(1200):  # a worker ends when its imports are done, which may take long on a busy machine
        try:
            os.killpg(child, 0)
        except ProcessLookupError:
            return code
        time.sleep(0.05)
    raise TimeoutError("a worker outlives its parent")


def contents(folder: Path) -> list[tuple[str, ...]]:
    """All rows but their CPU seconds, in order; each file must hold whole rows of whole jobs."""
    found = []
    for path in sorted(folder.glob("*.csv")):
        rows = read_rows(path)
        jobs = collections.Counter((row["agent"], row["seed"]) for row in rows)
        if is_torn(path) or set(jobs.values()) > {3}:
            raise ValueError(f"{path.name} holds parts of jobs")
        found += [(path.stem, *(value for name, value in row.items() if name != "cpu_seconds")) for row in rows]
    return sorted(found)


def begun(folder: Path) -> None:
    """Waits until the first rows are there."""
    while not list(folder.glob("*.csv")):
        time.sleep(0.001)


def try_one(folder: Path, number: int, moment: float, processes: int, expected: list[tuple[str, ...]]) -> str:
    """Ends a run so many seconds after its first rows, or -moment after its start, and runs it again; says what came
    of it."""
    child = start(folder, processes)
    if moment >= 0:
        begun(folder)
    time.sleep(abs(moment))
    os.kill(child, number)
    code = ended(child)
    if code not in (0, ENDS[number], -number):
        return f"exit code {code} after {signal.Signals(number).name}"
    before = len(contents(folder))
    again = ended(start(folder, 1))
    if again or contents(folder) != expected:
        return f"exit code {again}, other rows"
    return "ended before" if code == 0 else "same rows, from none" if not before else "same rows"


def main(kills: int, processes: int, seed: int) -> int:
    draw = random.Random(seed)
    if processes > 1:
        toy.SECONDS *= 40  # so that the jobs take about as long as starting the workers
    with tempfile.TemporaryDirectory() as home, toy.known():
        os.chdir(home)
        times = [time.perf_counter()]
        child = start(Path("whole"), processes)
        begun(Path("whole"))
        times.append(time.perf_counter())
        ended(child)
        times.append(time.perf_counter())
        expected = contents(Path("whole"))
        outcomes: collections.Counter[str] = collections.Counter()
        for kill in range(kills):
            number = SIGNALS[kill % len(SIGNALS)]
            earliest = times[0] - times[1] if kill % 4 == 0 else 0.0  # most while rows are being written
            moment = draw.uniform(earliest, times[2] - times[1])
            outcomes[try_one(Path(f"{kill}"), number, moment, processes, expected)] += 1
    print(f"{processes} processes, {len(expected)} rows: {dict(outcomes)}")
    return 0 if set(outcomes) <= {"same rows", "same rows, from none", "ended before"} else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:4])))
