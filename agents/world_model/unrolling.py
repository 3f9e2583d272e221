"""Three ways to get a trajectory for C to learn from, and its gradient.

Each takes C, M, windows of experience, the number of steps to imagine, and the states of C's and M's cores before the
trajectory, if they are not those that were recorded. Imagination may start in any window of the replay; the others need
recent ones, of C's own behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..common.sequences import Sequence
from .model import Dream, States, WorldModel
from .policy import ControllerPolicy

Trajectory = Mapping[str, Tensor] | Sequence  # (T, B, ...) by the name of the field


@dataclass(frozen=True)
class Unrolled:
    """A trajectory with its gradient.

    Attributes:
        outputs: (T, B, ...) of M's heads after each step; they carry the gradient.
        trajectory: observation, desired_goal, terminated and ended, each (T, B, ...).
        memory: (T, B, S) M's state before each step.
        next_memory: (T, B, S) M's state after each step; it carries the gradient.
        dream: what C and M did; None if others did it.
    """

    outputs: Tensor
    trajectory: Trajectory
    memory: Tensor
    next_memory: Tensor
    dream: Dream | None = None


def unrolled_in_model(
    policy: ControllerPolicy,
    model: WorldModel,
    window: Sequence,
    steps: int,
    states: States | None = None,
    gradient: str = "imagined",
) -> Unrolled:
    """Imagined trajectories from the real observation at the second step: x(t+1) = M(x(t), C(x(t)))."""
    start = window[1:]
    dream = model.imagine(policy, start, steps, states, gradient)
    before = model.memories_before(start[:1], dream, states)
    trajectory = model.imagined(start, dream.outputs)
    return Unrolled(dream.outputs, trajectory, before, dream.memories, dream)


def unrolled_along_reality(
    policy: ControllerPolicy, model: WorldModel, window: Sequence, steps: int, states: States | None = None
) -> Unrolled:
    """The real trajectory with M's Jacobian: x' = x'_real + M(x, C(x)) - M(x, C(x)).detach()."""
    dream = model.real_forward(policy, window, states)
    return Unrolled(dream.outputs, window, model.memories_before(window, dream, states), dream.memories, dream)


def unrolled_by_others(
    policy: ControllerPolicy, model: WorldModel, window: Sequence, steps: int, states: States | None = None
) -> Unrolled:
    """The real trajectory x'_real alone: the caller computes the gradient through M and C by other means."""
    outputs = model.target(window).clone().requires_grad_()
    return Unrolled(outputs, window, outputs[..., :0].detach(), outputs[..., :0].detach())


@torch.no_grad()
def warmed(policy: ControllerPolicy, model: WorldModel, past: Sequence) -> States:
    """States of C's and M's cores after they have read real steps from fresh states on."""
    columns = past.data.shape[1]
    own = policy.core.initial_state(columns)
    own = policy.warm(past["observation"], past["desired_goal"], own, past.flag("episode_start"))
    return own, model.warm(past, model.initial_state(columns))
