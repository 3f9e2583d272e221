"""Checkpoints: a training run that is stopped and resumed ends with the same bits as one that was not.

A folder of checkpoints holds archives such as ``step-000123456``, and ``latest``, a file with the name of the newest.
A checkpoint appears by one rename, once all of it is on disk. If the process stops earlier, the others are untouched.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import warnings
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from gymnasium.vector import VectorWrapper
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import (
    VecCheckNan,
    VecEnv,
    VecEnvWrapper,
    VecExtractDictObs,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
)

from .agent import Agent
from .archive import Archive, ArchiveError, one_line, read_folder, sync_folder, write_folder, write_through
from .data import not_data
from .vec_env import GymnasiumVecEnv

AgentType = TypeVar("AgentType", bound=Agent)
NAME = re.compile(r"step-\d{9,}(\.\d+)?")
LATEST = "latest"


def save_checkpoint(agent: Agent, path: str | Path, keep: int = 3) -> bool:
    """Adds a checkpoint to the folder `path`: nets, optimizers, settings, experience, running episodes, random states.

    Call it between two rollouts: before or after `learn`, or through `SaveCheckpoint`.

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
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        **agent.content(),
        "state": agent.get_state(),
        "environment": environment_state(agent.env),
        "wrappers": [[getattr(holder, name) for holder, name in held] for held in _wrappers(agent.env) if held],
        "lanes": agent.lanes,
        "last": (agent._last_obs, agent._last_original_obs, agent._last_episode_starts),
        "random": _random_state(agent),
    }
    lost = not_data({name: content[name] for name in ("state", "wrappers", "last")})
    whole = content["environment"] is not None and None not in _wrappers(agent.env) and not lost
    content["exact"] = exact = agent.resumes_exactly and whole
    name = _free_name(folder, agent.num_timesteps)
    unfinished = folder / f".writing-{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    write_folder(unfinished, "checkpoint", content)
    unfinished.rename(folder / name)
    sync_folder(folder)
    pointer = folder / f".{LATEST}-{os.getpid()}"
    write_through(pointer, name.encode())
    pointer.replace(folder / LATEST)
    sync_folder(folder)
    for old in checkpoints(folder)[keep:]:
        shutil.rmtree(old, ignore_errors=True)
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
        _restore(agent, archive)
    except Exception as error:  # a damaged file may raise anything
        raise ArchiveError(f"{source}: {one_line(error)}") from error
    if not archive.content["exact"]:
        warnings.warn(f"{source} lacks part of the training state: the continuation is approximate", stacklevel=2)
    return agent


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first, intact or not."""
    found = [path for path in folder.iterdir() if NAME.fullmatch(path.name) and path.is_dir()]
    latest = folder / LATEST
    name = latest.read_text(errors="replace") if latest.is_file() else ""
    return sorted(found, key=lambda path: (path.name == name, path.stat().st_mtime_ns, path.name), reverse=True)


def environment_state(env: VecEnv | None) -> Any:
    """The environment's snapshot, or None if it has none or it is not data."""
    try:
        state = env.unwrapped.get_state()  # type: ignore[union-attr]
    except AttributeError:
        return None
    return None if not_data({"environment": state}) else state


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


def _restore(agent: Agent, archive: Archive) -> None:
    """Restores what a checkpoint holds beyond what the agent was built from."""
    content, env = archive.content, agent.training_env
    if content["lanes"] != agent.lanes:
        raise ValueError(f"it has {content['lanes']} lanes, but the environment has {agent.lanes}: use as many")
    lost = {place.split(".")[1] for place in archive.not_data if place.startswith("state.")}
    agent.set_state({**{name: getattr(agent, name) for name in lost}, **content["state"]} if lost else content["state"])
    held = [held for held in _wrappers(env) if held]
    for wrapper, values in zip(held, content["wrappers"], strict=True):
        for (holder, name), value in zip(wrapper, values, strict=True):
            setattr(holder, name, value)
    if content["environment"] is not None:
        env.unwrapped.set_state(content["environment"])
        env.unwrapped._reset_seeds()  # seeds set in the agent's constructor are for a first reset
        agent._last_obs, agent._last_original_obs, agent._last_episode_starts = content["last"]
    _set_random_state(agent, content["random"])


def _wrappers(env: Any) -> list[list[tuple[Any, str]] | None]:
    """For each wrapper around an environment, what it keeps between steps, as (holder, attribute); None: unknown."""
    found: list[list[tuple[Any, str]] | None] = []
    while isinstance(env, VecEnvWrapper):
        found.append(_held(env))
        env = env.venv
    inner = env.env if isinstance(env, GymnasiumVecEnv) else None
    while isinstance(inner, VectorWrapper):
        found.append(_held(inner))
        inner = inner.env
    return found


def _held(wrapper: Any) -> list[tuple[Any, str]] | None:
    if hasattr(wrapper, "STATE"):
        return [(wrapper, name) for name in wrapper.STATE]
    if isinstance(wrapper, VecNormalize):
        observed = getattr(wrapper, "obs_rms", {})
        moments = [*(observed.values() if isinstance(observed, dict) else [observed]), wrapper.ret_rms]
        return [*((moment, name) for moment in moments for name in ("mean", "var", "count")), (wrapper, "returns")]
    if isinstance(wrapper, VecFrameStack):
        stacks = wrapper.stacked_obs
        parts = getattr(stacks, "sub_stacked_observations", None)
        return [(stack, "stacked_obs") for stack in (parts.values() if parts else [stacks])]
    if isinstance(wrapper, VecMonitor):
        return [(wrapper, name) for name in ("episode_returns", "episode_lengths", "episode_count")]
    return [] if isinstance(wrapper, VecTransposeImage | VecCheckNan | VecExtractDictObs) else None


def _random_state(agent: Agent) -> dict[str, Any]:
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 (Stable-Baselines3 seeds it)
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if agent.device.type == "cuda" else [],
        "actions": agent.action_space.np_random.bit_generator.state,
    }


def _set_random_state(agent: Agent, state: dict[str, Any]) -> None:
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if agent.device.type == "cuda" and state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    agent.action_space.np_random.bit_generator.state = state["actions"]
