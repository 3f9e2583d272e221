"""What the results of HQ-learning share: simulations with tests on the way, and what is said about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

import foveal_envs  # noqa: F401  registers the ids
from agents import HQLearning, make_sb3

from .shared.claims import Claim, Row, make_claim, numbers, select
from .shared.jobs import Job

AGENTS = {"flat Q(lambda)": 1, "3 agents": 3, "4 agents": 4, "6 agents": 6, "8 agents": 8}
LATE = 0.5  # share of the tests that count as late: those of the second half


def simulate(job: Job) -> list[Row]:
    """One simulation: learn from so many trials, one greedy test after every 500, and what the tests say.

    A test *reaches* the goal or does not, within the longest trial, which is then its number of steps. Measures are of
    the last test (``last_``), of all tests of the second half (``late_``), and whether any test did it (``ever_``).
    """
    arguments = job.arguments
    env_id, keywords, trials = arguments["env_id"], arguments["keywords"], arguments["trials"]
    maze = gym.make(env_id, **keywords).unwrapped.task
    optimum = int(maze.steps[maze.start])
    env = make_sb3(env_id, 1, seed=job.seed, **keywords)
    agent = HQLearning(env=env, seed=job.seed, trials=trials, agents=AGENTS[job.conditions["agent"]], **arguments["hq"])
    agent.learn(10**12, callback=lambda *_: bool(agent.trials_done < trials))
    _, steps, rewards = agent.tests.T
    reached, best = rewards > 0, (rewards > 0) & (steps == optimum)
    late = slice(int(LATE * len(steps)), None)
    return [
        {
            "last_reached": float(reached[-1]),
            "last_optimal": float(best[-1]),
            "last_steps": float(steps[-1]),
            "late_reached": float(reached[late].mean()),
            "late_optimal": float(best[late].mean()),
            "late_steps": float(steps[late].mean()),
            "ever_reached": float(reached.any()),
            "ever_optimal": float(best.any()),
            "fewest_steps": float(steps.min()),
            "optimum": float(optimum),
            "environment_steps": agent.num_timesteps,
        }
    ]


def hq_jobs(
    env_id: str, layouts: tuple[str, ...], seeds: int, trials: int, agents: Mapping[str, int], **hq: Any
) -> list[Job]:
    """One job a layout, number of agents and seed."""
    return [
        Job(layout, {"agent": name}, seed, simulate,
            {"env_id": env_id, "keywords": {"layout": layout}, "trials": trials, "hq": hq})
        for layout in layouts
        for name in agents
        for seed in range(seeds)
    ]  # fmt: skip


def share(
    rows: list[Row],
    sentence: str,
    table: str,
    agent: str,
    measure: str,
    at_least: float | None,
    at_most: float | None,
    quick: bool = False,
) -> Claim:
    """A claim about the mean of a measure over simulations."""
    chosen = select(rows, table=table, agent=agent)
    return make_claim(sentence, "share", chosen, lambda some: float(np.mean(numbers(some, measure))), at_least, at_most,
                      quick)  # fmt: skip
