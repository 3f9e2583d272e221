"""Three ways to get a trajectory for C to learn from, and its gradient.

Each takes C, M, replay windows that imagination may start from, recent windows of C's own behaviour, and the number of
steps to imagine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..common.sequences import Sequence
from .model import WorldModel
from .policy import ControllerPolicy

Trajectory = Mapping[str, Tensor] | Sequence  # (T, B, ...) by the name of the field


@dataclass(frozen=True)
class Unrolled:
    """A trajectory with its gradient.

    Attributes:
        percepts: (T, B, ...) after each step; they carry the gradient.
        trajectory: observation, desired_goal, terminated and ended, each (T, B, ...).
        nets: (T, B, A) net inputs of C's outputs; empty if unknown.
    """

    percepts: Tensor
    trajectory: Trajectory
    nets: Tensor = field(default_factory=lambda: torch.zeros(0))


def unrolled_in_model(
    policy: ControllerPolicy, model: WorldModel, sequence: Sequence, recent: Sequence, steps: int
) -> Unrolled:
    """Imagined trajectories from the real observation at the second step: x(t+1) = M(x(t), C(x(t)))."""
    start = sequence[1:]
    percepts, nets = model.imagine(policy, start, steps)
    return Unrolled(percepts, model.imagined(start, percepts), nets)


def unrolled_along_reality(
    policy: ControllerPolicy, model: WorldModel, sequence: Sequence, recent: Sequence, steps: int
) -> Unrolled:
    """The real trajectory with M's Jacobian: x' = x'_real + M(x, C(x)) - M(x, C(x)).detach()."""
    percepts, nets = model.real_forward(policy, recent)
    return Unrolled(percepts, recent, nets)


def unrolled_by_others(
    policy: ControllerPolicy, model: WorldModel, sequence: Sequence, recent: Sequence, steps: int
) -> Unrolled:
    """The real trajectory x'_real alone: the caller computes the gradient through M and C by other means."""
    return Unrolled(model.target(recent).clone().requires_grad_(), recent)
