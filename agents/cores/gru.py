"""The gated recurrent unit."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from .core import Recurrence, State


@final
class GRU(Recurrence):
    """h(t) = (1 - z) n + z h(t-1), n = tanh(W_n x + b_n + r (U_n h(t-1) + c_n)), r, z = logistic(W x + U h(t-1) + b).

    Cho et al., arXiv 1406.1078 (2014), in the form of `torch.nn.GRU`, where the reset gate r acts after the product
    with U_n; y = h.

    Args:
        input_size: D, width of the input.
        size: H, number of units.
        options: `learn_initial_state` and `form` of `Core`.
    """

    def __init__(self, input_size: int, size: int = 64, **options: Any) -> None:
        super().__init__(input_size, size, **options)
        self.read, self.recall = nn.Linear(input_size, 3 * size), nn.Linear(size, 3 * size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(size**-0.5), size**-0.5)
        self.set_initial_state(torch.zeros(size))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """W x + b (..., 3 H)."""
        return (self.read(x),)

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """One step; the state is h (B, H)."""
        (drive,), (h,) = inputs, state
        size = self.output_size
        recalled = self.recall(h)
        r, z = torch.sigmoid(drive[..., : 2 * size] + recalled[..., : 2 * size]).chunk(2, -1)
        n = torch.tanh(drive[..., 2 * size :] + r * recalled[..., 2 * size :])
        h = torch.lerp(n, h, z)
        return h, (h,)
