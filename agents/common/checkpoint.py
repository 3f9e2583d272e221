"""Checkpoint folders: a training that is stopped and resumed ends in the same bits as one that was not."""

from __future__ import annotations

import pickle
import random
import warnings
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from .agent import Agent

AgentType = TypeVar("AgentType", bound=Agent)


def save_checkpoint(agent: Agent, path: str | Path) -> bool:
    """Writes model.zip (nets, optimizers, settings) and state.pkl (all the rest) into the folder `path`.

    The rest is experience, core states, running episodes, normaliser and every random state. Call it between two
    rollouts, before or after `learn` or through `SaveCheckpoint`. An older checkpoint in the folder is replaced
    only when the new one is complete.

    Args:
        agent: any of `AGENTS`.
        path: folder, made if it is not there.

    Returns:
        Whether it resumes exactly: True where the environment has `get_state` and one worker trains.
    """
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    environment = environment_state(agent.env)
    normaliser = agent.get_vec_normalize_env()
    state = {
        "agent": agent.resumable(),
        "environment": environment,
        "normaliser": (normaliser, getattr(normaliser, "returns", None)),
        "last": (agent._last_obs, agent._last_original_obs, agent._last_episode_starts),
        "random": (random.getstate(), np.random.get_state(), torch.get_rng_state()),  # noqa: NPY002
        "actions": agent.action_space.np_random.bit_generator.state,
    }
    agent.save(folder / "model.new.zip")
    (folder / "state.new.pkl").write_bytes(pickle.dumps(state))
    for name in ("model.zip", "state.pkl"):
        stem, suffix = name.split(".")
        (folder / f"{stem}.new.{suffix}").replace(folder / name)
    return environment is not None and agent.workers == 1


def load_checkpoint(agent_class: type[AgentType], path: str | Path, env: VecEnv, **keywords: Any) -> AgentType:
    """The agent of a checkpoint folder, in `env`, to be continued by `learn(steps, reset_num_timesteps=False)`.

    Warns where the environment has no `get_state`: then the running episodes start anew, and the continuation is
    approximate.

    Args:
        agent_class: class of the agent that was saved.
        path: folder; it is unpickled, so it must be one that you trust.
        env: an environment made as the one trained in.
        keywords: see `BaseAlgorithm.load`.
    """
    folder = Path(path)
    state = pickle.loads((folder / "state.pkl").read_bytes())
    agent = agent_class.load(folder / "model.zip", env=env, **keywords)
    agent.resume(state["agent"])
    normaliser = agent.get_vec_normalize_env()
    if normaliser is not None:
        saved, returns = state["normaliser"]
        vars(normaliser).update({**vars(saved), "venv": normaliser.venv, "returns": returns})
    if state["environment"] is None:
        warnings.warn("the environment has no get_state: this continuation is approximate", stacklevel=2)
    else:
        agent.env.unwrapped.set_state(state["environment"])
        agent._last_obs, agent._last_original_obs, agent._last_episode_starts = state["last"]
    agent.action_space.np_random.bit_generator.state = state["actions"]
    python, numpy, torch_state = state["random"]
    random.setstate(python)
    np.random.set_state(numpy)  # noqa: NPY002
    torch.set_rng_state(torch_state)
    return agent


def environment_state(env: VecEnv | None) -> Any:
    """The environment's snapshot, or None where it has none."""
    try:
        return env.unwrapped.get_state()  # type: ignore[union-attr]
    except AttributeError:
        return None


class SaveCheckpoint(BaseCallback):
    """Saves a checkpoint folder every so many environment steps, always between two rollouts.

    Args:
        path: folder.
        every: environment steps.
        verbose: 1 says when it saves.
    """

    def __init__(self, path: str | Path, every: int = 50_000, verbose: int = 0) -> None:
        super().__init__(verbose)
        self.path = Path(path)
        self.every = every
        self._next = 0

    def _on_training_start(self) -> None:
        self._next = self.num_timesteps + self.every

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.model.num_timesteps >= self._next:
            self._next = self.model.num_timesteps + self.every
            save_checkpoint(self.model, self.path)  # type: ignore[arg-type]
            if self.verbose:
                print(f"checkpoint at {self.model.num_timesteps} steps: {self.path}")
