"""Speed of a generation: a compiled population, beside a loop over its candidates."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.callbacks import CallbackList
from tqdm import tqdm

import foveal_envs  # noqa: F401
from agents import Evolution, EvolvedPolicy, make_sb3

from .timing import keep, new_folder

Act = Callable[[EvolvedPolicy, np.ndarray, Any], tuple[np.ndarray, Any]]
NETS: dict[str, dict[str, Any]] = {  # up to 1,000 parameters
    "linear": {},
    "recurrent, 5": {"hidden": 5},
    "recurrent, 27": {"hidden": 27},
    "fast_weights, 3": {"hidden": 3},
    "lstm, 5": {"hidden": 5},
    "lstm, 13": {"hidden": 13},
}
WAYS = ("population", "loop, compiled", "loop, PyTorch")


def populations(
    env_id: str = "Foveal/Pole-v0", population: int = 128, rounds: int = 5, output: Path | None = None
) -> None:
    """CPU time of one generation in a native environment: all candidates at once, beside one after the other.

    The loop plays each candidate in an environment of its own, with the same compiled net or with its form in PyTorch.
    All ways play the same episodes with the same candidates; one thread computes, all take turns.

    Args:
        env_id: a native id.
        population: P, candidates of one episode each.
        rounds: turns of each.
        output: folder of ``populations.csv``, one row a net, way and round, with the speed as a multiple of the loop's
            with the compiled net in the same round; default: a new one under runs/benchmark/.
    """
    rows = []
    for name, keywords in tqdm(NETS.items(), unit="net", file=sys.stderr, disable=None):
        agent = Evolution(
            env=make_sb3(env_id, population, seed=0), net=name.partition(",")[0], net_kwargs=keywords,
            population=population, sigma=1.0, test_every=1000, seed=0,
        )  # fmt: skip
        agent.learn(1, log_interval=None)  # a first generation, which compiles
        alone = gym.make(env_id)
        for turn in range(rounds):
            spent = {way: _play(agent, way, alone) for way in WAYS}
            base = spent["loop, compiled"]
            parameters = agent.policy.net.size
            rows += [
                {"net": name, "parameters": parameters, "way": way, "seed": turn,
                 "nanoseconds": round(each), "speed": round(base / each, 3)}
                for way, each in spent.items()
            ]  # fmt: skip
        for way in WAYS:
            own = [row["speed"] for row in rows if row["net"] == name and row["way"] == way]
            print(f"{name:16} {parameters:5} parameters, {way:16} {np.median(own):6.2f} times the loop")  # type: ignore[type-var]
    keep((output or new_folder("populations")) / "populations.csv", rows, "python -m scripts.benchmark populations")


def _play(agent: Evolution, way: str, alone: gym.Env[Any, Any]) -> float:
    """CPU nanoseconds an environment step of one generation; the optimizer is not told."""
    before = agent.num_timesteps
    begin = time.process_time()
    if way == "population":
        callback = CallbackList([])
        callback.init_callback(agent)
        agent.collect(callback)
    else:
        agent.begin_rollout()
        act = _compiled if way == "loop, compiled" else _in_pytorch
        for weights, key in zip(agent._weights, agent._jobs.keys, strict=False):
            agent._keep(weights)
            agent.num_timesteps += _episode(agent.policy, act, alone, int(key))
    return 1e9 * (time.process_time() - begin) / (agent.num_timesteps - before)


def _episode(policy: EvolvedPolicy, act: Act, env: gym.Env[Any, Any], key: int) -> int:
    """Plays an episode and returns its length."""
    obs, _ = env.reset(options={"episode_key": key})
    state, over, steps = None, False, 0
    while not over:
        action, state = act(policy, obs, state)
        obs, _, terminated, truncated, _ = env.step(action)
        over, steps = terminated or truncated, steps + 1
    return steps


def _compiled(policy: EvolvedPolicy, obs: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
    return policy.predict(obs, state)


@torch.no_grad()
def _in_pytorch(policy: EvolvedPolicy, obs: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
    outputs, state = policy(torch.from_numpy(obs)[None].double(), state)
    return policy.actions(outputs.numpy())[0], state
