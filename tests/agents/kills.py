"""Trainings that are killed and resumed: ``python -m tests.agents.kills NAME KILLS AIMED SEED``.

A process of its own, as it forks: the children share its imports and compiled code. Each child trains and is killed,
at a random moment or at a random one of the disk operations of a save; then another child resumes from what is left,
and must end with the bits of the training that nothing interrupted. Prints what happened, and exits with 1 where
something else did.
"""

from __future__ import annotations

import collections
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from agents import SaveCheckpoint, load_checkpoint
from agents.common import archive, checkpoint
from agents.common.archive import ArchiveError

from .makers import env_of, make
from .test_contract import bits, given

STEPS, EVERY = 480, 60


def digest(agent: Any) -> str:
    return hashlib.sha256(b"".join(bits(agent))).hexdigest()


def train(name: str, folder: Path) -> str:
    """The training that nothing interrupts, with its checkpoints."""
    return digest(make(name).learn(STEPS, callback=SaveCheckpoint(folder, every=EVERY), log_interval=None))


def resume(name: str, folder: Path) -> str:
    """Its end from the newest checkpoint, or "none" where there is none and one line says so."""
    agent_class = type(make(name))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # nothing may have to be skipped
            agent = load_checkpoint(agent_class, folder, env_of(name, seed=77), **given(name))
    except ArchiveError as error:
        whole = any((path / archive.MANIFEST).exists() for path in folder.glob("step-*"))
        return f"wrong: {error}" if whole or "\n" in str(error) or str(folder) not in str(error) else "none"
    callback = SaveCheckpoint(folder, every=EVERY)
    return digest(agent.learn(STEPS - agent.num_timesteps, callback, None, reset_num_timesteps=False))


def strike_at(count: int) -> None:
    """Makes this process kill itself at the so-manieth disk operation of its saves, or half-way through a write."""
    left = iter(range(count, 0, -1))

    def strike() -> None:
        if next(left, 0) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        def struck(*args: Any, **keywords: Any) -> Any:
            strike()
            result = function(*args, **keywords)
            strike()
            return result

        return struck

    def write(path: Path, content: bytes) -> None:
        strike()
        path.write_bytes(content[: len(content) // 2])
        strike()
        real_write(path, content)
        strike()

    real_write = archive.write_through
    archive.write_through = checkpoint.write_through = write
    archive.sync_folder = checkpoint.sync_folder = around(archive.sync_folder)
    Path.rename = around(Path.rename)  # type: ignore[method-assign]
    Path.replace = around(Path.replace)  # type: ignore[method-assign]
    shutil.rmtree = around(shutil.rmtree)  # type: ignore[assignment]


def forked(function: Callable[[], str]) -> tuple[int, Callable[[], str]]:
    """Runs a function in a child: its process id, and what waits for it and gives its answer, "" if it was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            answer = function()
        except BaseException as error:
            answer = f"wrong: {type(error).__name__}: {error}"
        os.write(writer, answer.encode())
        os._exit(0)
    os.close(writer)

    def wait() -> str:
        with os.fdopen(reader) as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        return answer

    return child, wait


def main(name: str, kills: int, aimed: int, seed: int) -> int:
    torch.set_num_threads(1)
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as home:
        train(name, Path(home) / "warm")  # compiles
        started = time.perf_counter()
        expected = forked(lambda: train(name, Path(home) / "whole"))[1]()
        duration = time.perf_counter() - started
        outcomes: collections.Counter[str] = collections.Counter()
        for kill in range(kills):
            folder = Path(home) / f"{kill}"

            def struck(folder: Path = folder, at: int = draw.randint(1, 150)) -> str:
                strike_at(at)
                return train(name, folder)

            if kill < aimed:
                forked(struck)[1]()
            else:
                child, wait = forked(lambda folder=folder: train(name, folder))  # type: ignore[misc]
                time.sleep(draw.uniform(0, duration))
                os.kill(child, signal.SIGKILL)
                wait()
            folder.mkdir(exist_ok=True)
            ended = forked(lambda folder=folder: resume(name, folder))[1]()  # type: ignore[misc]
            known = {expected: "same bits", "none": "no checkpoint yet"}
            outcomes[known.get(ended, ended if ended.startswith("wrong") else "other bits")] += 1
            shutil.rmtree(folder)
    print(f"{name}: {dict(outcomes)}")
    return 0 if set(outcomes) <= {"same bits", "no checkpoint yet"} and outcomes["same bits"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:5])))
