"""Training of one agent under budgets of environment steps and CPU seconds, scored on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from ...shared.runs import Run

Score = Callable[[BaseAlgorithm, int], dict[str, float]]
STARTS, CURVE_STARTS = 1000, 200


class Budget(BaseCallback):
    """Ends training when every budget is spent, and scores the agent at each; scoring does not count as training.

    Args:
        score: called with the agent and a number of starts, returns measures.
        steps: budget of environment steps, or None.
        cpu_seconds: budget of CPU seconds, or None.
        every: environment steps between points of the learning curve, or None.

    Attributes:
        results: "at_steps" and "at_cpu" -> scores with environment_steps and cpu_seconds.
        curve: points of the learning curve.
    """

    def __init__(
        self, score: Score, steps: int | None = None, cpu_seconds: float | None = None, every: int | None = None
    ) -> None:
        super().__init__()
        self.score, self.every = score, every
        self.budgets = {name: bound for name, bound in (("at_steps", steps), ("at_cpu", cpu_seconds)) if bound}
        self.results: dict[str, dict[str, float]] = {}
        self.curve: list[dict[str, float]] = []
        self._spent, self._since = 0.0, time.process_time()

    def _on_training_start(self) -> None:
        self._since = time.process_time()

    def _on_step(self) -> bool:
        now = {"at_steps": self.num_timesteps, "at_cpu": self._spent + time.process_time() - self._since}
        due = [name for name, bound in self.budgets.items() if name not in self.results and now[name] >= bound]
        if due:
            self.results |= dict.fromkeys(due, self._scored(STARTS))
        if self.every is not None and self.num_timesteps >= (len(self.curve) + 1) * self.every:
            self.curve.append(self._scored(CURVE_STARTS))
        return len(self.results) < len(self.budgets)

    def _scored(self, starts: int) -> dict[str, float]:
        self._spent += time.process_time() - self._since
        measures = self.score(self.model, starts)
        self._since = time.process_time()
        return {"environment_steps": self.num_timesteps, "cpu_seconds": round(self._spent, 2), **measures}


def train(run: Run, budget: Budget) -> BaseAlgorithm:
    """Train the run's agent until its budgets are spent; without a CPU budget, ``run.steps`` is the horizon."""
    env = run.make_env()
    agent = run.make_agent(env)
    agent.learn(10**9 if "at_cpu" in budget.budgets else run.steps, callback=budget)
    env.close()
    return agent


def first_reaching(curve: list[dict[str, Any]], measure: str, level: float) -> float:
    """Environment steps of the first point at or above ``level``; inf if there is none."""
    return next((point["environment_steps"] for point in curve if point[measure] >= level), float("inf"))
