"""Checkpoints: a training run that is stopped and resumed ends with the same bits as one that was not.

A folder of checkpoints holds archives such as ``step-000123456``, and ``latest``, a file with the name of the newest.
A checkpoint appears by one rename, once all of it is on disk. If the process stops earlier, the others are untouched.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import warnings
from pathlib import Path
from typing import Any, TypeVar

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from ..cores.ops.checks import whole
from .agent import Agent
from .archive import (
    Archive,
    ArchiveError,
    has_all_parts,
    one_line,
    read_folder,
    sync_folder,
    write_folder,
    write_through,
)
from .data import not_data
from .snapshot import restore_snapshot, take_snapshot
from .workers import leads

AgentType = TypeVar("AgentType", bound=Agent)
NAME = re.compile(r"step-\d{9,}(\.\d+)?")
LATEST = "latest"


def save_checkpoint(agent: Agent, path: str | Path, keep: int = 3) -> bool:
    """Adds a checkpoint to the folder `path`: nets, optimizers, settings, experience, running episodes, random states.

    Call it between two rollouts: before or after `learn`, or through `SaveCheckpoint`. Of the processes of torchrun,
    only the first writes.

    Args:
        agent: any of `AGENTS`.
        path: folder of one training run, created if missing.
        keep: number of newest checkpoints to keep, at least 1.

    Returns:
        Whether training resumes exactly: True if the agent says so, the environment can be restored (it has
        `get_state` and `set_state`), and each wrapper around it is stateless, known, or names what it keeps between
        steps in an attribute `STATE`, as agents do.

    Raises:
        OSError: the checkpoint cannot be written; earlier ones are kept.
    """
    whole("keep", keep)
    if not leads(agent.workers):
        return False
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    snapshot, complete = take_snapshot(agent)
    content = {**agent.content(), **snapshot, "state": agent.get_state()}
    content["exact"] = exact = complete and agent.resumes_exactly and not not_data({"state": content["state"]})
    name = _free_name(folder, agent.num_timesteps)
    for left in (*folder.glob(".writing-*"), *folder.glob(".removing-*")):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    unfinished = folder / f".writing-{os.getpid()}"
    try:
        write_folder(unfinished, "checkpoint", content)
        unfinished.rename(folder / name)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    sync_folder(folder)
    pointer = folder / f".{LATEST}-{os.getpid()}"
    write_through(pointer, name.encode())
    pointer.replace(folder / LATEST)
    sync_folder(folder)
    kept = [checkpoint for checkpoint in checkpoints(folder) if has_all_parts(checkpoint)][:keep]
    for old in checkpoints(folder):
        if old not in kept:
            _remove(old)
    return exact


def load_checkpoint(agent_class: type[AgentType], path: str | Path, env: VecEnv, **keywords: Any) -> AgentType:
    """Loads an agent from a checkpoint. Continue with `learn(steps, reset_num_timesteps=False)`.

    No code from the files runs. Warns if the continuation is only approximate, for instance because running episodes
    start again, and if a newer checkpoint is damaged and was skipped.

    Args:
        agent_class: class of the agent that was saved.
        path: folder of checkpoints, of which the newest intact one is loaded; or one checkpoint.
        env: an environment made like the one used in training, with as many lanes.
        keywords: see `Agent.load`; settings that the files could not hold must be passed.

    Raises:
        ArchiveError: no checkpoint is intact, it is of another class or number of lanes, or a setting that it could
            not hold is missing. The message is one line.
    """
    source, archive = _newest(Path(path))
    agent = agent_class.rebuild(archive, str(source), env, keywords.pop("device", "auto"), keywords)
    try:
        lost = {place.split(".")[1] for place in archive.not_data if place.startswith("state.")}
        agent.set_state({**archive.content["state"], **{name: getattr(agent, name) for name in lost}})
        restore_snapshot(agent, archive.content)
    except Exception as error:  # a damaged file may raise anything
        raise ArchiveError(f"{source}: {one_line(error)}") from error
    if archive.content.get("exact") is not True:
        warnings.warn(f"{source} lacks part of the training state: the continuation is approximate", stacklevel=2)
    return agent


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first, intact or not."""
    found = [path for path in folder.iterdir() if NAME.fullmatch(path.name) and path.is_dir()]
    latest = folder / LATEST
    name = ""
    if latest.is_file():
        with latest.open(errors="replace") as file:
            name = file.read(100)
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name == name, path.name), reverse=True)


class SaveCheckpoint(BaseCallback):
    """Saves a checkpoint every `every` environment steps, between two rollouts.

    Args:
        path: folder.
        every: environment steps between checkpoints.
        keep: see `save_checkpoint`.
        verbose: 1 prints a line for each checkpoint.
    """

    def __init__(self, path: str | Path, every: int = 50_000, keep: int = 3, verbose: int = 0) -> None:
        super().__init__(verbose)
        self.path, self.every, self.keep = Path(path), every, keep
        self._next = 0

    def _on_training_start(self) -> None:
        self._next = self.num_timesteps + self.every

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        agent = self.model
        if not isinstance(agent, Agent):
            raise TypeError(f"SaveCheckpoint needs an agent of this package, not a {type(agent).__name__}")
        if agent.num_timesteps >= self._next:
            self._next = agent.num_timesteps + self.every
            save_checkpoint(agent, self.path, self.keep)
            if self.verbose:
                print(f"checkpoint at {agent.num_timesteps} steps: {self.path}")


def _remove(checkpoint: Path) -> None:
    """Removes a checkpoint under another name, so that a kill leaves no half of it among the others."""
    removed = checkpoint.with_name(f".removing-{checkpoint.name}")
    with contextlib.suppress(OSError):
        checkpoint.rename(removed)
        shutil.rmtree(removed, ignore_errors=True)


def _free_name(folder: Path, steps: int) -> str:
    """A name that no checkpoint in the folder has yet."""
    name, count = f"step-{steps:09d}", 1
    while (folder / name).exists():
        name, count = f"step-{steps:09d}.{count}", count + 1
    return name


def _newest(path: Path) -> tuple[Path, Archive]:
    """The newest intact checkpoint in a folder, or the checkpoint at the path itself."""
    if not path.is_dir():
        raise ArchiveError(f"{path}: there is no checkpoint: the folder does not exist")
    skipped = []
    for checkpoint in [path] if NAME.fullmatch(path.name) else checkpoints(path):
        try:
            archive = read_folder(checkpoint, "checkpoint")
        except ArchiveError as error:
            skipped.append(str(error))
            continue
        if skipped:
            warnings.warn(f"skipped {'; '.join(skipped)}; loaded {checkpoint} instead", stacklevel=3)
        return checkpoint, archive
    if skipped:
        raise ArchiveError(f"{path}: no checkpoint is intact: {'; '.join(skipped)}")
    old = (path / "state.pkl").exists()
    why = "an older version wrote it, with pickled files that are no longer read" if old else "the folder holds none"
    raise ArchiveError(f"{path}: there is no checkpoint: {why}")
