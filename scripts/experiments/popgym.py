"""POPGym: eight of its tasks of memory by recurrent PPO, with a convolution and a clock before the core, or without."""

from __future__ import annotations

import importlib
import importlib.util
import time
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from ..shared.command import Refusal
from .shared.claims import Claim, Row, make_claim, mean_of, numbers, select
from .shared.jobs import Job, jobs_of_parts
from .shared.sizes import equal_size

TITLE = "POPGym: eight tasks of memory, by cores with a convolution and a clock before them, and without"
TASKS = {  # the module of POPGym that has the class
    "RepeatPreviousEasy": "repeat_previous",
    "RepeatPreviousMedium": "repeat_previous",
    "AutoencodeEasy": "autoencode",
    "ConcentrationEasy": "concentration",
    "CountRecallEasy": "count_recall",
    "HigherLowerEasy": "higher_lower",
    "BattleshipEasy": "battleship",
    "PositionOnlyCartPoleEasy": "position_only_cartpole",  # the stateless cart-pole
}
FRONT = {"convolution": "full", "clock": 8}
CORES = ("feedforward", "gru", "lstm", "linear_attention", "gated_delta")
BARE = ("gru", "lstm", "gated_delta")
LEARNERS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"{core}, front": (core, FRONT) for core in CORES},
    **{core: (core, {}) for core in BARE},
}
REFERENCE, SIZE, SIZES = "gated_delta", 128, range(32, 257, 4)  # every policy has about as many parameters
LANES, STEPS, SEEDS = 32, 500_000, 3
PPO: dict[str, Any] = {  # tuned on AutoencodeEasy and PositionOnlyCartPoleEasy
    "n_steps": 128, "learning_rate": 1e-3, "n_epochs": 6, "gamma": 0.99, "gae_lambda": 0.95, "ent_coef": 0.01,
}  # fmt: skip
AT_ONCE = {"gamma": 0.0, "gae_lambda": 0.0}  # an answer is paid at once, and changes nothing that comes later
ANSWERED = ("RepeatPreviousMedium", "AutoencodeEasy", "CountRecallEasy")
EPISODES = 100  # of training, whose mean return is the score
EASIEST, FIVE, SOLVED, SHORT = "RepeatPreviousEasy", 5, 0.95, 200_000
ISSUED: dict[str, Any] = {"n_steps": 64, "learning_rate": 1e-3, "gamma": 0.99, "ent_coef": 0.01}


def make(task: str) -> gym.Env[Any, Any]:
    """A task as POPGym's baselines see it: the last action belongs to the observation, which is one vector."""
    from popgym.wrappers import Flatten, PreviousAction

    module = importlib.import_module(f"popgym.envs.{TASKS[task]}")
    env: gym.Env[Any, Any] = Flatten(PreviousAction(getattr(module, task)()))
    return env


for _task in TASKS:
    gym.register(f"foveal_popgym/{_task}-v0", partial(make, _task), disable_env_checker=True)


class Returns(BaseCallback):
    """Mean return of the last episodes of training, after every rollout.

    Attributes:
        best: its highest value, POPGym's own measure (MMER).
        last: its last value.
        solved: environment steps when it first reached `SOLVED`; inf: never.
    """

    def __init__(self) -> None:
        super().__init__()
        self.best, self.last, self.solved = -np.inf, -np.inf, np.inf

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        returns = [episode["r"] for episode in self.model.ep_info_buffer or ()]
        if len(returns) == EPISODES:
            self.last = float(np.mean(returns))
            self.best = max(self.best, self.last)
            if self.last >= SOLVED:
                self.solved = min(self.solved, self.num_timesteps)


def learn(job: Job) -> list[Row]:
    """Train one core in one task; one row."""
    from agents import RecurrentPPO, make_sb3

    core, keywords = LEARNERS[job.conditions["core"]]
    env = make_sb3(f"foveal_popgym/{job.conditions['task']}-v0", LANES, seed=10_000 * (job.seed + 1))
    keywords = {**keywords, **_size(core, keywords, env)}
    agent = RecurrentPPO("MlpPolicy", env, core=core, core_kwargs=keywords, seed=job.seed,
                         stats_window_size=EPISODES, **job.arguments["ppo"])  # fmt: skip
    returns, began = Returns(), time.process_time()
    agent.learn(job.arguments["steps"], callback=returns, log_interval=None)
    env.close()
    return [
        {
            "return": returns.last,
            "best_return": returns.best,
            "solved_steps": returns.solved,
            "parameters": sum(part.numel() for part in agent.policy.parameters()),
            "environment_steps": agent.num_timesteps,
            "cpu_seconds": round(time.process_time() - began, 2),
        }
    ]


def _size(core: str, keywords: dict[str, Any], env: Any) -> dict[str, Any]:
    """The core's width that brings the policy nearest to the reference's number of parameters."""
    reference = REFERENCE, {"size": SIZE}
    size = equal_size(
        env.observation_space,
        env.action_space,
        reference,
        lambda size: (core, {**keywords, **_width(core, size)}),
        SIZES,
    )
    return _width(core, size)


def _width(core: str, size: int) -> dict[str, Any]:
    return {"hidden": (size, size)} if core == "feedforward" else {"size": size}


def part(task: str, seeds: int, quick: bool) -> list[Job]:
    """All cores in one task, with the same settings."""
    return _jobs("popgym", (task,), PPO, seeds, quick)


def answers(seeds: int, quick: bool) -> list[Job]:
    """Those that nobody learns with these settings, without a discount for what does not come of an answer."""
    return _jobs("answers", ANSWERED, {**PPO, **AT_ONCE}, seeds, quick)


def _jobs(table: str, tasks: tuple[str, ...], ppo: dict[str, Any], seeds: int, quick: bool) -> list[Job]:
    return [
        Job(table, {"task": task, "core": core}, seed, learn, {"ppo": ppo, "steps": STEPS})
        for seed in range(min(seeds, SEEDS))
        for task in tasks
        for core in ([] if quick else LEARNERS)
    ]


def easiest(seeds: int, quick: bool) -> list[Job]:
    """The gated delta rule with a front in the easiest task, with settings of its own; five seeds."""
    conditions = {"task": EASIEST, "core": f"{REFERENCE}, front"}
    arguments = {"ppo": ISSUED, "steps": SHORT}
    return [Job("easiest", conditions, seed, learn, arguments) for seed in range(1 if quick else min(seeds, FIVE))]


PARTS: dict[str, Any] = {"easiest": easiest, **{task: partial(part, task) for task in TASKS}, "answers": answers}


def jobs(parts: tuple[str, ...], seeds: int, quick: bool) -> list[Job]:
    """Jobs of the given parts, all if none is given; quick: one seed in the easiest task."""
    if importlib.util.find_spec("popgym") is None:
        raise Refusal("reproduce popgym needs POPGym: pip install 'foveal-envs[agents,popgym]'")
    return jobs_of_parts(PARTS, parts or (("easiest",) if quick else ()), seeds, quick)


def claims(rows: list[Row]) -> list[Claim]:
    """The easiest task within its steps; the mean return over all tasks of every core; both per task."""
    made = []
    own = select(rows, table="easiest")
    text = f"{EASIEST}, {REFERENCE} with a front: share of seeds at {SOLVED:g} within {SHORT:,} steps"
    made.append(make_claim(text, "of seeds", own, lambda r: float(np.isfinite(numbers(r, "solved_steps")).mean()), 1.0))
    table = select(rows, table="popgym")
    for core in LEARNERS:
        mine = select(table, core=core)
        done = {row["task"] for row in mine}
        if done == set(TASKS):
            made.append(make_claim(f"all tasks, {core}: mean return", "return", mine, mean_of("return")))
    for name, tasks in {"popgym": tuple(TASKS), "answers": ANSWERED}.items():
        for task in tasks:
            for core in LEARNERS:
                mine = select(rows, table=name, task=task, core=core)
                text = f"{task}, {core}{', paid at once' if name == 'answers' else ''}: mean return"
                made.append(make_claim(text, "return", mine, mean_of("return")))
    return made
