"""The simple recurrent net."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from .core import Recurrence, State


@final
class Elman(Recurrence):
    """h(t) = tanh(W x(t) + U h(t-1) + b); y = h (Elman, Cognitive Science 14:179-211, 1990).

    Args:
        input_size: D, width of the input.
        size: H, number of units.
        options: `learn_initial_state` and `form` of `Core`.
    """

    def __init__(self, input_size: int, size: int = 64, **options: Any) -> None:
        super().__init__(input_size, size, **options)
        self.read, self.recall = nn.Linear(input_size, size), nn.Linear(size, size, bias=False)
        self.set_initial_state(torch.zeros(size))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """W x + b (..., H)."""
        return (self.read(x),)

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """One step; the state is h (B, H)."""
        (drive,), (h,) = inputs, state
        h = torch.tanh(drive + self.recall(h))
        return h, (h,)
