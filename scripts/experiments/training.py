"""Training of one agent on one environment under a budget of environment steps and of CPU seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from agents.vec_env import make_sb3

Score = Callable[[BaseAlgorithm], dict[str, float]]


class Budget(BaseCallback):
    """Stops at the budgets and scores the agent on the way; its own CPU time is not counted.

    Args:
        score: called with the agent; returns measures.
        steps: environment steps at which the agent is scored as "at_steps"; None: never.
        cpu_seconds: CPU seconds at which it is scored as "at_cpu"; None: never.
        every: environment steps between points of the learning curve; None: no curve.
    """

    def __init__(
        self, score: Score, steps: int | None, cpu_seconds: float | None = None, every: int | None = None
    ) -> None:
        super().__init__()
        self.score, self.steps, self.cpu_budget, self.every = score, steps, cpu_seconds, every
        self.results: dict[str, dict[str, float]] = {}
        self.curve: list[dict[str, float]] = []
        self.started = time.process_time()

    def cpu_seconds(self) -> float:
        """CPU seconds of training so far."""
        return time.process_time() - self.started

    def scored(self) -> dict[str, float]:
        """Scores of the agent as it is, with the steps and CPU seconds it took."""
        spent = self.cpu_seconds()
        scores = {"environment_steps": self.num_timesteps, "cpu_seconds": round(spent, 2), **self.score(self.model)}
        self.started = time.process_time() - spent
        return scores

    def _on_step(self) -> bool:
        if self.every is not None and self.num_timesteps >= (len(self.curve) + 1) * self.every:
            self.curve.append(self.scored())
        if self.steps is not None and self.num_timesteps >= self.steps and "at_steps" not in self.results:
            self.results["at_steps"] = self.scored()
        if self.cpu_budget is not None and self.cpu_seconds() >= self.cpu_budget and "at_cpu" not in self.results:
            self.results["at_cpu"] = self.scored()
        wanted = [name for name, bound in (("at_steps", self.steps), ("at_cpu", self.cpu_budget)) if bound is not None]
        return not all(name in self.results for name in wanted)


def train(
    build: Callable[[Any], BaseAlgorithm],
    env_id: str,
    env_keywords: dict[str, Any],
    lanes: int,
    seed: int,
    budget: Budget,
) -> BaseAlgorithm:
    """Train ``build(env)`` until the budget stops it.

    Args:
        build: makes the agent for a VecEnv.
        env_id, env_keywords: the environment.
        lanes: number of lanes.
        seed: of lane 0; lanes of different seeds never share an episode.
        budget: the callback.
    """
    env = make_sb3(env_id, lanes, seed=10_000 * (seed + 1), **env_keywords)
    agent = build(env)
    budget.started = time.process_time()
    agent.learn(10**9, callback=budget)
    env.close()
    return agent
