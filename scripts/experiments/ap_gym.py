"""Active Perception Gym: circles and squares to name from glimpses, by one recipe for all tasks."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from ..baselines.rl_zoo import Normalised
from ..shared.rollouts import EVALUATION_SEED, rollout
from .shared.claims import Claim, Row, make_claim, mean_of, numbers, select
from .shared.jobs import Job, jobs_of_parts

TITLE = "circles and squares from glimpses, in the tasks of ap_gym that need no download"
TASKS = {  # the seeds of Recogniser, at most
    "CircleSquare-v0": 5,
    "CircleSquareInverted-v0": 3,
    "DoubleCircleSquare-v0": 3,
}
AGENTS = ("Recogniser", "RecurrentPPO")
RECIPE: dict[str, Any] = {  # what differs from the defaults
    "n_steps": 16, "n_minibatches": 16, "n_epochs": 10, "learning_rate": 2e-3, "gamma": 0.95, "vf_coef": 0.1,
    "policy_kwargs": {"encoder": (128, 128), "activation": "relu"},
}  # fmt: skip
LANES = 256
STEPS = 250_000
ROUNDS = 4  # of evaluation, each an episode in every lane
GOAL = 0.95


def learn(job: Job) -> list[Row]:
    """Train by the recipe, inputs and rewards normalised, then name what is seen in fresh episodes."""
    import torch
    from stable_baselines3.common.vec_env import VecNormalize

    import agents

    task, name = job.conditions["task"], job.conditions["agent"]
    env = lanes(task)
    vec_env = VecNormalize(agents.GymnasiumVecEnv(env), gamma=RECIPE["gamma"])
    vec_env.seed(10_000 * (job.seed + 1))
    torch.manual_seed(job.seed)
    own = {"classes": env.classes} if name == "Recogniser" else {}
    since = time.process_time()
    agent = getattr(agents, name)("MlpPolicy", vec_env, seed=job.seed, **own, **RECIPE)
    agent.learn(job.arguments["steps"], log_interval=None)
    spent = round(time.process_time() - since, 2)
    env.close()
    last, every = _right(lanes(task), Normalised(agent), job.seed, job.arguments["rounds"])
    return [{"right": last, "right_at_all_steps": every, "environment_steps": agent.num_timesteps,
             "cpu_seconds": spent}]  # fmt: skip


def lanes(task: str) -> Any:
    """`LANES` lanes of a task, as agents take them."""
    import gymnasium as gym

    from agents.adapters.ap_gym import ClassificationVectorEnv

    return ClassificationVectorEnv(gym.make_vec(f"ap_gym:{task}", LANES))


def _right(env: Any, agent: Any, seed: int, rounds: int) -> tuple[float, float]:
    """Shares of right predictions at the last steps, and at all steps, of `rounds` episodes in every lane."""
    right = np.array(
        [
            [
                move.infos.get("final_info", move.infos)["is_success"]
                for move in rollout(env, agent, None if number else EVALUATION_SEED + seed)
                if move.number
            ]
            for number in range(rounds)
        ]
    )  # (rounds, moves, N)
    env.close()
    return float(right[:, -1].mean()), float(right.mean())


def part(task: str, seeds: int, quick: bool) -> list[Job]:
    """Both agents in one task; three seeds, of Recogniser in CircleSquare five."""
    arguments = {"steps": 16_000, "rounds": 1} if quick else {"steps": STEPS, "rounds": ROUNDS}
    most = {"Recogniser": TASKS[task], "RecurrentPPO": 3}
    return [
        Job("classification", {"task": task, "agent": name}, seed, learn, arguments)
        for name in AGENTS[: 1 if quick else None]
        for seed in range(min(seeds, most[name]))
    ]


PARTS = {name: partial(part, task) for name, task in zip(("single", "inverted", "double"), TASKS, strict=True)}
jobs = partial(jobs_of_parts, PARTS)


def claims(rows: list[Row]) -> list[Claim]:
    """Of five seeds in CircleSquare, four reach the goal; the means of all tasks and agents."""
    first = select(rows, task="CircleSquare-v0", agent="Recogniser")
    text = f"CircleSquare, Recogniser: seeds with at least {GOAL} right at the last step"
    made = [make_claim(text, "of seeds", first, lambda r: float((numbers(r, "right") >= GOAL).mean()), 0.8)]
    for task in TASKS:
        for name in AGENTS:
            own = select(rows, task=task, agent=name)
            for measure, when in (("right", "at the last step"), ("right_at_all_steps", "at all steps")):
                made.append(make_claim(f"{task.removesuffix('-v0')}, {name}: right {when}", "share", own,
                                       mean_of(measure)))  # fmt: skip
    return made
