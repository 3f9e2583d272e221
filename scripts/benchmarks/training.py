"""``python -m scripts.benchmark training``: recurrent PPO beside other libraries', at equal settings."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from tqdm import tqdm

from agents import GymnasiumVecEnv, RecurrentPPO, WorldModelController

from ..baselines.loop_ppo import LoopPPO
from .timing import Claim, keep, new_folder, ratio, report, seconds

STEPS, EPOCHS, MINIBATCHES, HIDDEN = 64, 4, 4, 128
SHARED = {"n_steps": STEPS, "n_epochs": EPOCHS, "learning_rate": 3e-4, "gamma": 0.99, "gae_lambda": 0.95}
FAST_WEIGHTS = {"size": HIDDEN, "heads": 4, "key_size": 16, "value_size": 32}  # 2,048 numbers of state
BARS = {  # lanes -> who -> how many times as long as our LSTM it takes
    64: {"sb3-contrib": 5.2, "sb3-contrib, one LSTM": 2.7, "loop over steps": 3.2},
    256: {"sb3-contrib": 4.3, "sb3-contrib, one LSTM": 1.9, "loop over steps": 1.7},
}
FAST_BARS = {64: 0.85, 256: 0.8}  # of our LSTM's speed, by the delta rule
GATED_BAR = 0.7


def training(
    lanes: tuple[int, ...] = (64, 256), rounds: int = 7, json_output: bool = False, output: Path | None = None
) -> None:
    """CPU time of an environment step in training: rollout, 4 epochs of 4 minibatches, an LSTM of 128 cells, T = 64.

    One thread. All learners take turns, one rollout and its updates each, in the same environment through the same
    adapter. Each resets its core exactly where episodes start.

    Args:
        lanes: numbers of parallel environments.
        rounds: turns of each.
        json_output: print JSON instead of tables.
        output: folder for timings.csv and claims.csv; default: a new one under runs/benchmark/.
    """
    nanoseconds: dict[str, np.ndarray] = {}
    claims: list[Claim] = []
    for count in lanes:
        turns = {name: _turn(make(count), count) for name, make in learners().items()}
        spent = {name: np.empty(rounds) for name in turns}
        for turn in tqdm(range(-1, rounds), desc=f"N = {count}", unit="round", file=sys.stderr, disable=None):
            for name, learn in turns.items():
                spent[name][turn] = 1e9 * seconds(learn, 1) / (count * STEPS)  # the first is overwritten by the last
        claims += compare(spent, count)
        nanoseconds |= {f"{name}, N = {count}": row for name, row in spent.items()}
    report(nanoseconds, claims, json_output, output or new_folder("training"))


def workers(
    lanes: int = 256, rounds: int = 3, rollouts: int = 4, json_output: bool = False, output: Path | None = None
) -> None:
    """Wall time of an environment step in training with one worker and with two, which need two idle processors.

    RecurrentPPO, and WorldModelController with its default keywords.

    Args:
        lanes: parallel environments of each worker.
        rounds: turns of each.
        rollouts: timed in a turn, after one that is not.
        json_output: print JSON instead of tables.
        output: folder for timings.csv and claims.csv; default: a new one under runs/benchmark/.
    """
    spent: dict[str, list[float]] = {f"{name}, {count}": [] for name in parallel() for count in ("one", "two")}
    for _ in tqdm(range(rounds), unit="round", file=sys.stderr, disable=None):
        for name, make in parallel().items():
            for count, said in enumerate(("one", "two"), 1):
                clock, agent = _Clock(), make(lanes, count)
                steps = count * lanes * agent.rollout_length()
                agent.learn(steps * (rollouts + 2), callback=clock, log_interval=None)
                spent[f"{name}, {said}"] += [1e9 * (end - begin) / steps for begin, end in pairwise(clock.times[1:])]
    nanoseconds = {name: np.array(times) for name, times in spent.items()}
    said = f"one worker / two workers, N = {lanes} each"
    bars = [
        ratio(nanoseconds, f"{name}: {said}", f"{name}, one", f"{name}, two", ">=", 1.7) for name in parallel()
    ]  # fmt: skip
    report(nanoseconds, bars, json_output, output or new_folder("workers"), clock="Wall")


def parallel() -> dict[str, Callable[[int, int], Any]]:
    """Agents that share their work, made for a number of lanes and one of workers."""

    def recurrent(lanes: int, count: int) -> RecurrentPPO:
        settings = {"core": "lstm", "core_kwargs": {"size": HIDDEN}, "n_minibatches": MINIBATCHES, **SHARED}
        return RecurrentPPO("MlpPolicy", _lanes(lanes), workers=count, **settings)

    def through_model(lanes: int, count: int) -> WorldModelController:
        return WorldModelController("MlpPolicy", _lanes(lanes), workers=count, model_steps=0)

    return {"RecurrentPPO": recurrent, "WorldModelController": through_model}


class _Clock(BaseCallback):
    """Wall time at the start of each rollout."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.times.append(time.perf_counter())


def memory(lanes: int = 256, steps: int = 128, json_output: bool = False, output: Path | None = None) -> None:
    """Peak of a process's memory that training adds to what it held when the learner was made: two rollouts and their
    updates, each learner in a process of its own.

    Args:
        lanes: parallel environments.
        steps: T, of a rollout.
        json_output: print JSON instead of tables.
        output: folder for memory.csv; default: a new one under runs/benchmark/.
    """
    context = multiprocessing.get_context("spawn")
    rows = []
    for name in tqdm(learners(), unit="learner", file=sys.stderr, disable=None):
        with context.Pool(1) as pool:
            rows.append({"learner": name, "seed": 0, "mebibytes": pool.apply(peak, (name, lanes, steps))})
    command = f"python -m scripts.benchmark memory --lanes {lanes} --steps {steps}"
    keep((output or new_folder("memory")) / "memory.csv", rows, command)
    print(json.dumps(rows) if json_output else "\n".join(f"{r['learner']:24} {r['mebibytes']:8} MiB" for r in rows))


def peak(name: str, lanes: int, steps: int) -> int:
    """MiB by which the peak of this process's memory grows as a learner goes through two rollouts."""
    learner = learners(steps)[name](lanes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    learner.learn(2 * lanes * steps, log_interval=None)
    return round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)


def learners(steps: int = STEPS) -> dict[str, Callable[[int], Any]]:
    """What is timed, made for a number of lanes, with rollouts of so many steps."""
    shared = {**SHARED, "n_steps": steps}

    def ours(core: str, **keywords: Any) -> Callable[[int], Any]:
        return lambda count: RecurrentPPO(
            "MlpPolicy",
            _lanes(count),
            n_minibatches=MINIBATCHES,
            core=core,
            core_kwargs=keywords,
            policy_kwargs={"net_arch": ()},
            **shared,
        )

    made = {
        "LSTM": ours("lstm", size=HIDDEN),
        "delta": ours("delta", **FAST_WEIGHTS),
        "gated delta": ours("gated_delta", **FAST_WEIGHTS),
        "loop over steps": lambda count: LoopPPO(
            _lanes(count), steps, EPOCHS, MINIBATCHES, HIDDEN, SHARED["learning_rate"]
        ),
    }
    if importlib.util.find_spec("sb3_contrib") is None:
        print("sb3-contrib is not installed: left out; pip install foveal-envs[peers]", file=sys.stderr)
        return made
    from sb3_contrib import RecurrentPPO as Contrib

    def contrib(**keywords: Any) -> Callable[[int], Any]:
        policy = {"lstm_hidden_size": HIDDEN, "net_arch": [], **keywords}
        return lambda count: Contrib(
            "MlpLstmPolicy",
            _lanes(count),
            batch_size=steps * count // MINIBATCHES,
            policy_kwargs=policy,
            device="cpu",
            **shared,
        )

    made["sb3-contrib"] = contrib()
    made["sb3-contrib, one LSTM"] = contrib(shared_lstm=True, enable_critic_lstm=False)
    return made


def _lanes(count: int) -> GymnasiumVecEnv:
    """CartPole in its native form: episodes of all lengths, out of step with each other, at next to no cost."""
    env = gym.make_vec("CartPole-v1", count, vectorization_mode="vector_entry_point")
    lanes = GymnasiumVecEnv(env, accept_reset_steps=True)
    lanes.seed(0)
    return lanes


def _turn(learner: Any, count: int) -> Callable[[int], None]:
    def learn(_: int) -> None:
        learner.learn(count * STEPS, log_interval=None, reset_num_timesteps=False)

    return learn


def compare(nanoseconds: dict[str, np.ndarray], count: int) -> list[Claim]:
    """The ratios that have a bar."""
    claims = [
        ratio(nanoseconds, f"{name} / LSTM, N = {count}", name, "LSTM", ">=", bar)
        for name, bar in BARS.get(count, {}).items()
        if name in nanoseconds
    ]
    if count in FAST_BARS:
        claims.append(ratio(nanoseconds, f"LSTM / delta, N = {count}", "LSTM", "delta", ">=", FAST_BARS[count]))
        claims.append(ratio(nanoseconds, f"LSTM / gated delta, N = {count}", "LSTM", "gated delta", ">=", GATED_BAR))
    return claims
