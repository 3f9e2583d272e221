"""When a learner solves its task: tests now and then, whose time does not count."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

Test = Callable[[Any, bool], tuple[bool, dict[str, float]]]
"""Whether a learner solves its task, and further measures; told whether its budget is spent."""


class Solving(BaseCallback):
    """Tests a learner now and then, and ends its training when it has solved the task.

    Args:
        test: the test.
        every: environment steps between tests.
        budget: environment steps after which the last test is due.
        first: environment steps before the first test.
        stops: False: it goes on to the end of its budget when the task is solved.

    Attributes:
        row: steps and CPU seconds of the training, the measures of the last test, and the steps and CPU seconds at
            which the task was solved, inf where it was not.
    """

    def __init__(self, test: Test, every: int, budget: int, first: int = 0, stops: bool = True) -> None:
        super().__init__()
        self.row: dict[str, float] = {"solved_steps": np.inf, "solved_cpu_seconds": np.inf}
        self._test, self._every, self._budget, self._stops = test, every, budget, stops
        self._next = first + every
        self._spent, self._since = 0.0, time.process_time()

    def _on_step(self) -> bool:
        return self.goes_on(self.model)

    def goes_on(self, learner: Any) -> bool:
        """Whether the training is to be continued."""
        steps = learner.num_timesteps
        ends = steps >= self._budget
        if steps < self._next and not ends:
            return True
        self._next += self._every
        self._spent += time.process_time() - self._since
        solved, measures = self._test(learner, ends)
        self.row |= {"environment_steps": steps, "cpu_seconds": round(self._spent, 2), **measures}
        if solved and self.row["solved_steps"] == np.inf:
            self.row |= {"solved_steps": steps, "solved_cpu_seconds": round(self._spent, 2)}
        self._since = time.process_time()
        return not ends and not (solved and self._stops)
