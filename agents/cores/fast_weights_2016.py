"""Fast weights that attend to the recent past."""

from __future__ import annotations

from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .core import Recurrence, State


@final
class FastWeights2016(Recurrence):
    """h_0 = f(W h + C x), then S times h_(s+1) = f(LN(W h + C x + A h_s)); A(t) = decay A(t-1) + rate h h^T, h = h_S.

    Ba, Hinton, Mnih, Leibo & Ionescu, NIPS 2016, arXiv 1610.06258; f is relu, LN layer normalisation (without it the
    net explodes), W is initialised to 0.05 times the identity. y = h.

    Args:
        input_size: D, width of the input.
        size: H, number of units.
        inner_steps: S >= 0.
        decay: share of A kept per step, in [0, 1].
        rate: of the change of A.
        options: `learn_initial_state` and `form` of `Core`.
    """

    def __init__(
        self,
        input_size: int,
        size: int = 64,
        inner_steps: int = 1,
        decay: float = 0.95,
        rate: float = 0.5,
        **options: Any,
    ) -> None:
        super().__init__(input_size, size, **options)
        self.inner_steps, self.decay, self.rate = inner_steps, decay, rate
        self.read, self.recall = nn.Linear(input_size, size), nn.Linear(size, size, bias=False)
        nn.init.eye_(self.recall.weight).data.mul_(0.05)
        self.norm = nn.LayerNorm(size)
        self.set_initial_state(torch.zeros(size), torch.zeros(size, size))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """C x + b (..., H)."""
        return (self.read(x),)

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """One step with its inner loop; the state is h (B, H) and A (B, H, H)."""
        (drive,), (h, fast) = inputs, state
        drive = drive + self.recall(h)
        h = F.relu(drive)
        for _ in range(self.inner_steps):
            h = F.relu(self.norm(drive + (fast @ h.unsqueeze(-1)).squeeze(-1)))
        return h, (h, self.decay * fast + self.rate * h.unsqueeze(-1) * h.unsqueeze(-2))
