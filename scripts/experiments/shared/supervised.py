"""Supervised training of cores on sequences: one model, one training loop, one evaluation for every experiment."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agents.cores import make_core

from .claims import Row, numbers, select
from .jobs import Job

IGNORED = -1  # target of a step that is not trained
EVALUATED = 128  # sequences an evaluation, of seeds disjoint from those of training
MASTERED = 0.9  # accuracy at which the curriculum goes on


@dataclass(frozen=True)
class Batch:
    """B sequences of T steps.

    Attributes:
        x: (T, B, D) inputs.
        target: (T, B) int64 class wanted after each step, `IGNORED` where none is trained.
        scored: (T, B) bool, the steps at which accuracy is measured; their targets are not `IGNORED`.
        start: (T, B) bool, steps at which the core is told to forget.
    """

    x: Tensor
    target: Tensor
    scored: Tensor
    start: Tensor


class SequenceTask(ABC):
    """A source of sequences of several levels of difficulty.

    Attributes:
        input_size: D.
        classes: number of classes of the targets.
        levels: in the order in which training meets them.
        level_name: what a level counts.
    """

    input_size: int
    classes: int
    levels: tuple[int, ...]
    level_name: str

    @abstractmethod
    def sample(self, rng: np.random.Generator, level: int, columns: int) -> Batch:
        """`columns` new sequences of one level."""


class SequenceModel(nn.Module):
    """logits(t) = W_2 core(W_1 x(t) + b_1) + b_2.

    Args:
        core: name in `agents.CORES`.
        task: gives D and the number of classes.
        width: between the first layer and the core.
        keywords: of the core.
    """

    def __init__(self, core: str, task: SequenceTask, width: int = 64, **keywords: Any) -> None:
        super().__init__()
        self.before = nn.Linear(task.input_size, width)
        self.core = make_core(core, width, **keywords)
        self.after = nn.Linear(self.core.output_size, task.classes)

    def forward(self, batch: Batch, window: int | None = None) -> Tensor:
        """(T, B, classes); the gradient flows through time within windows of that many steps, None is all."""
        x, state = self.before(batch.x), self.core.initial_state(batch.x.shape[1])
        outputs = []
        for part, start in zip(x.split(window or len(x)), batch.start.split(window or len(x)), strict=True):
            y, state = self.core(part, state, start)
            state = tuple(part.detach() for part in state)
            outputs.append(y)
        return self.after(torch.cat(outputs))

    def state_size(self) -> int:
        """Numbers that the core carries from step to step."""
        return sum(part.numel() for part in self.core.initial_state(1))


@dataclass
class Training:
    """Adam on the mean cross-entropy, with a rate that falls linearly to zero over a budget of CPU seconds or updates.

    A curriculum: half of the batches are of the newest level, the others of any before it; a level is added when the
    running accuracy on the newest reaches `MASTERED`.

    Args:
        cpu_seconds: budget; evaluation does not count.
        columns: sequences a batch.
        rate: learning rate at the start.
        window: steps through which the gradient flows, None is all.
        updates: largest number of updates, None is no bound; the rate falls to zero over whichever ends first.
    """

    cpu_seconds: float
    columns: int = 32
    rate: float = 3e-3
    window: int | None = None
    updates: int | None = None
    measured: dict[str, float] = field(default_factory=dict, init=False)

    def run(self, model: SequenceModel, task: SequenceTask, seed: int) -> None:
        """Trains the model; `measured` then holds what was spent and the newest level."""
        rng = np.random.default_rng((seed, 0))
        optimizer = torch.optim.Adam(model.parameters(), lr=self.rate)
        newest, running, updates, steps = 0, 0.0, 0, 0
        model(task.sample(rng, task.levels[0], self.columns)).sum().backward()  # what is compiled is compiled here
        began = time.process_time()
        while (spent := time.process_time() - began) < self.cpu_seconds and updates != self.updates:
            chosen = newest if rng.random() < 0.5 else int(rng.integers(newest + 1))
            batch = task.sample(rng, task.levels[chosen], self.columns)
            progress = max(spent / self.cpu_seconds, updates / self.updates if self.updates else 0.0)
            optimizer.param_groups[0]["lr"] = self.rate * (1 - progress)
            logits = model(batch, self.window)
            loss = F.cross_entropy(logits.flatten(0, 1), batch.target.flatten(), ignore_index=IGNORED)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            updates, steps = updates + 1, steps + batch.target.numel()
            if chosen == newest:
                running += 0.1 * (accuracy(logits, batch) - running)
                if running > MASTERED and newest + 1 < len(task.levels):
                    newest, running = newest + 1, 0.0
        spent = round(time.process_time() - began, 2)
        self.measured = {
            "reached": task.levels[newest], "updates": updates, "environment_steps": steps, "cpu_seconds": spent
        }  # fmt: skip


def accuracy(logits: Tensor, batch: Batch) -> float:
    """Share of the scored steps at which the largest logit is that of the target."""
    right = logits.argmax(-1) == batch.target
    return float(right[batch.scored].float().mean())


@torch.no_grad()
def evaluate(model: SequenceModel, task: SequenceTask, level: int, seed: int, sequences: int = EVALUATED) -> float:
    """Accuracy on new sequences of one level."""
    batch = task.sample(np.random.default_rng((seed, 1)), level, sequences)
    return accuracy(model(batch), batch)


def learn(job: Job) -> list[Row]:
    """Train and evaluate one model; a row a level.

    ``job.arguments``: ``core`` (name), ``task``, ``training`` (keywords of `Training`), and optionally ``keywords`` of
    the core, ``tests`` (name -> (task, level): evaluated instead of the task's own levels) and ``sequences``.
    """
    arguments = job.arguments
    task = arguments["task"]
    torch.manual_seed(job.seed)
    model = SequenceModel(arguments["core"], task, **arguments.get("keywords", {}))
    training = Training(**arguments["training"])
    training.run(model, task, job.seed)
    constants = {
        **training.measured,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "state": model.state_size(),
    }
    tests = arguments.get("tests") or {level: (task, level) for level in task.levels}
    return [
        {task.level_name: name, "accuracy": evaluate(model, *test, job.seed, arguments.get("sequences", EVALUATED)),
         **constants}
        for name, test in tests.items()
    ]  # fmt: skip


def jobs_of(table: str, conditions: dict[str, str], seeds: int, **arguments: Any) -> list[Job]:
    """A job of `learn` a seed."""
    return [Job(table, conditions, seed, learn, arguments) for seed in range(seeds)]


def at(rows: list[Row], task: type[SequenceTask], level: object, **conditions: str) -> list[Row]:
    """Rows of one level and of the given conditions."""
    return select(rows, **{task.level_name: str(level)}, **conditions)


def mean_accuracy(rows: list[Row]) -> float:
    """Mean over the seeds."""
    return float(numbers(rows, "accuracy").mean())
