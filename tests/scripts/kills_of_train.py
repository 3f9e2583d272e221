"""Runs of ``train`` that are killed and resumed: ``python -m tests.scripts.kills_of_train KILLS SEED``.

A process of its own, as it forks: the children share its imports and compiled code. Each child trains and gets a
SIGKILL, SIGTERM or SIGINT at a random moment; another one goes on with ``--resume``, and must end with the parameters,
the log and the curve of the run that nothing interrupted. Exits with 1 where one does not.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from scripts.shared.command import run_command
from scripts.shared.policies import algorithm_class
from scripts.shared.runs import read_config
from scripts.shared.tables import numeric, read_rows
from scripts.train import train
from tests.agents.test_contract import numbers

RUNS = {
    "world model": ["Foveal/TargetDetection-v0", "--env", "moves=5", "--agent", "updates=2", "batch_size=16",
                    "--steps", "6000", "--lanes", "8"],
    "lessons": ["Foveal/GridSearch-v0", "--env", "n=5", "moves=20", "--agent", "n_minibatches=2", "n_epochs=1",
                "--lessons", "steps=4000", "--steps", "4000", "--lanes", "16"],
}  # fmt: skip
CLOCKS = ("time/fps", "time/time", "time/iter", "cpu")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
OPTIONS = ["--no-progress-bar", "--minutes", "0.002"]


def command(words: list[str]) -> int:
    """Run ``train`` in this process; its exit status."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        try:
            run_command(train, "train", [*words, *OPTIONS])
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else 0
    return 0


def outcome(folder: Path) -> dict[str, str]:
    """What must be equal: parameters, the curve and the log without their clocks."""
    agent = algorithm_class(read_config(folder)["algorithm"]).load(folder / "model.zip")
    parameters = b"".join(part.tobytes() for part in numbers(agent.get_parameters()))
    found = {"parameters": hashlib.sha256(parameters).hexdigest()}
    for name in ("curve.csv", "progress.csv"):
        rows = numeric(read_rows(folder / name))
        found[name] = repr([{key: row[key] for key in sorted(row) if not key.startswith(CLOCKS)} for row in rows])
    return found


def forked(work: Callable[[], int]) -> int:
    """Start a child that works; its process id."""
    child = os.fork()
    if child == 0:
        os._exit(work())
    return child


def strike(words: list[str], folder: Path, kind: int, delay: float, whole: dict[str, str]) -> str:
    """One run, one signal, one resumption."""
    child = forked(lambda: command([*words, "--folder", str(folder)]))
    time.sleep(delay)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, kind)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    expected = {-kind} if kind == signal.SIGKILL else {128 + kind, -kind, 0}
    if status not in expected | {0}:
        return f"wrong status {status} after {signal.Signals(kind).name}"
    if not folder.exists():
        return "before it began"
    resumed = os.waitstatus_to_exitcode(os.waitpid(forked(lambda: command(["--resume", str(folder)])), 0)[1])
    if resumed != 0:
        return f"wrong status {resumed} of the resumption"
    found = outcome(folder)
    return "equal" if found == whole else f"wrong {', '.join(name for name in whole if found[name] != whole[name])}"


def main(kills: int, seed: int) -> None:
    """Kill so many runs of each kind."""
    torch.set_num_threads(1)
    draw, seen = random.Random(seed), collections.Counter[str]()
    with tempfile.TemporaryDirectory() as place:
        for name, words in RUNS.items():
            whole, began = Path(place) / f"{name} whole", time.monotonic()
            command([*words, "--folder", str(whole)])  # also compiles
            began = time.monotonic()
            again = Path(place) / f"{name} again"
            os.waitpid(forked(lambda again=again, words=words: command([*words, "--folder", str(again)])), 0)
            seconds, digest = time.monotonic() - began, outcome(whole)
            seen["equal" if outcome(again) == digest else "wrong: two whole runs differ"] += 1
            for count in range(kills):
                folder = Path(place) / f"{name} {count}"
                seen[strike(words, folder, draw.choice(SIGNALS), draw.uniform(0, seconds), digest)] += 1
    print(dict(seen))
    if any(key.startswith("wrong") for key in seen):
        raise SystemExit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
