"""What a training holds beside its agent: the environment, its wrappers, running episodes and random states."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorWrapper
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
from torch import nn

from .agent import Agent
from .data import check_range, not_data
from .vec_env import GymnasiumVecEnv

Held = list[tuple[Any, str]]  # what something keeps from step to step, as (holder, attribute)


def take_snapshot(agent: Agent) -> tuple[dict[str, Any], bool]:
    """The snapshot as data, and whether it is complete: see `save_checkpoint`."""
    env, wrappers = agent.training_env, _wrappers(agent.env)
    snapshot = {
        "environment": environment_state(env),
        "wrappers": [[getattr(holder, name) for holder, name in held] for held in wrappers if held],
        "lanes": agent.lanes,
        "last": (agent._last_obs, agent._last_original_obs, agent._last_episode_starts),
        "first": (env.unwrapped._seeds, env.unwrapped._options),  # of the next reset
        "random": _random_state(agent),
    }
    lost = not_data({name: snapshot[name] for name in ("wrappers", "last", "first")})
    return snapshot, snapshot["environment"] is not None and None not in wrappers and not lost


def restore_snapshot(agent: Agent, snapshot: Mapping[str, Any]) -> None:
    """Restores what `take_snapshot` took.

    Raises:
        ValueError: the environment has another number of lanes or other wrappers, or a value cannot be right.
    """
    env = agent.training_env
    if snapshot["lanes"] != agent.lanes:
        raise ValueError(f"it has {snapshot['lanes']} lanes, but the environment has {agent.lanes}: use as many")
    held, kept = [held for held in _wrappers(env) if held], snapshot["wrappers"]
    if [len(names) for names in held] != [len(values) for values in kept]:
        raise ValueError("the environment has other wrappers than the one trained in")
    for names, values in zip(held, kept, strict=True):
        for (holder, name), value in zip(names, values, strict=True):
            setattr(holder, name, value)
    if snapshot["environment"] is not None:
        obs, original, starts = snapshot["last"]
        if obs is not None:
            _check_observations(agent.observation_space, obs, agent.lanes)
            if starts.shape != (agent.lanes,) or starts.dtype != np.bool_:
                raise ValueError(f"episode starts must be bool of shape ({agent.lanes},)")
        env.unwrapped.set_state(snapshot["environment"])
        env.unwrapped._seeds, env.unwrapped._options = (list(part) for part in snapshot["first"])
        agent._last_obs, agent._last_original_obs, agent._last_episode_starts = obs, original, starts
    _set_random_state(agent, snapshot["random"])


def environment_state(env: VecEnv | None) -> Any:
    """The environment's snapshot, or None if it has none or if it is not data."""
    try:
        state = env.unwrapped.get_state()  # type: ignore[union-attr]
    except AttributeError:
        return None
    return None if not_data({"environment": state}) else state


def held_by(thing: Any) -> Held | None:
    """What something keeps from step to step, as it declares in `STATE`; None: it does not say."""
    return [(thing, name) for name in thing.STATE] if hasattr(thing, "STATE") else None


def keeps_nothing(controller: Any) -> bool:
    """Whether a controller has no state but that of `predict`: nets have none, and others say so by ``STATE = ()``."""
    return isinstance(controller, nn.Module) or held_by(controller) == []


def _check_observations(space: spaces.Space[Any], obs: Any, lanes: int) -> None:
    """Raises ValueError where observations (N, ...) are not of the kind of a space."""
    if isinstance(space, spaces.Dict):
        if set(obs) != set(space.spaces):
            raise ValueError(f"the last observations must have the keys {sorted(space.spaces)}")
        for key, part in space.spaces.items():
            _check_observations(part, obs[key], lanes)
        return
    if obs.shape != (lanes, *(space.shape or ())) or obs.dtype.kind != np.dtype(space.dtype).kind:
        raise ValueError(f"the last observations must be {lanes} of {space}, not {obs.dtype} of shape {obs.shape}")
    if isinstance(space, spaces.Discrete):
        check_range("the last observations", obs, int(space.start), int(space.start + space.n) - 1)


def _wrappers(env: Any) -> list[Held | None]:
    """For each wrapper around an environment, what it keeps between steps; None: unknown."""
    found: list[Held | None] = []
    while isinstance(env, VecEnvWrapper):
        found.append(_held(env))
        env = env.venv
    inner = env.env if isinstance(env, GymnasiumVecEnv) else None
    while isinstance(inner, VectorWrapper):
        found.append(held_by(inner))
        inner = inner.env
    return found


def _held(wrapper: VecEnvWrapper) -> Held | None:
    """What a wrapper of Stable-Baselines3 itself keeps; a subclass may keep more, and must say so."""
    kind: type = type(wrapper)
    if kind in (VecTransposeImage, VecCheckNan, VecExtractDictObs):
        return []
    if kind is VecMonitor:
        return [(wrapper, name) for name in ("episode_returns", "episode_lengths", "episode_count")]
    if kind is VecNormalize:
        observed = getattr(wrapper, "obs_rms", {})
        moments = [*(observed.values() if isinstance(observed, dict) else [observed]), wrapper.ret_rms]
        return [*((moment, name) for moment in moments for name in ("mean", "var", "count")), (wrapper, "returns")]
    if kind is VecFrameStack:
        stacks = wrapper.stacked_obs
        parts = getattr(stacks, "sub_stacked_observations", None)
        return [(stack, "stacked_obs") for stack in (parts.values() if parts else [stacks])]
    return held_by(wrapper)


def _random_state(agent: Agent) -> dict[str, Any]:
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 (Stable-Baselines3 seeds it)
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if agent.device.type == "cuda" else [],
        "actions": agent.action_space.np_random.bit_generator.state,
    }


def _set_random_state(agent: Agent, state: dict[str, Any]) -> None:
    kind, keys, position, *more = state["numpy"]
    if kind != "MT19937" or not 0 <= position <= len(keys) == 624:
        raise ValueError("the state of NumPy's generator is none")
    random.setstate(state["python"])
    np.random.set_state((kind, keys, position, *more))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if agent.device.type == "cuda" and state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    agent.action_space.np_random.bit_generator.state = state["actions"]
