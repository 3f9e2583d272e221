"""Fast weight programmers of 1991: a slow net changes the weights of a fast net."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from .core import Recurrence, State
from .ops.chunked import read


@final
class FastWeights1991(Recurrence):
    """y(t) = w(t-1)^T x(t), then w(t) = sigma(w(t-1) + change), the change from the slow net's outputs.

    Schmidhuber, FKI-147-91 (1991) and Neural Computation 4(1):131-139 (1992). Eq. 5: the change is FROM(t) TO(t)^T, an
    outer product of what are now called key and value. Eq. 4: one output of the slow net per fast weight. The fast net
    reads before its weights change. sigma(a) = 1 / (1 + exp(-10 (a - 1/2))) keeps the weights in (0, 1), and near 0
    or 1 while nothing changes them. Slow and fast net have one layer each.

    Args:
        input_size: D, width of the input.
        size: H, number of the fast net's outputs.
        outer: True: Eq. 5; False: Eq. 4.
        fast_inputs: the F components of x that the fast net reads; None: all.
        slow_inputs: the components of x that the slow net reads; None: all.
        steepness: of sigma, 10 above.
        bias: whether the slow net has biases.
        options: `learn_initial_state` and `form` of `Core`.
    """

    def __init__(
        self,
        input_size: int,
        size: int = 64,
        outer: bool = True,
        fast_inputs: Sequence[int] | None = None,
        slow_inputs: Sequence[int] | None = None,
        steepness: float = 10.0,
        bias: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(input_size, size, **options)
        self.fast_inputs = list(range(input_size) if fast_inputs is None else fast_inputs)
        self.slow_inputs = list(range(input_size) if slow_inputs is None else slow_inputs)
        fast = len(self.fast_inputs)
        self.outer, self.steepness = outer, steepness
        self.slow = nn.Linear(len(self.slow_inputs), fast + size if outer else fast * size, bias)
        self.set_initial_state(torch.zeros(fast, size))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """The fast net's inputs (..., F), and FROM (..., F) and TO (..., H), or the change (..., F, H)."""
        slow, fast = self.slow(x[..., self.slow_inputs]), len(self.fast_inputs)
        if self.outer:
            return x[..., self.fast_inputs], *slow.split_with_sizes((fast, self.output_size), -1)
        return x[..., self.fast_inputs], torch.unflatten(slow, -1, (fast, -1))

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Reads, then changes the weights; the state is w (B, F, H)."""
        (x, *programme), (weights,) = inputs, state
        change = programme[0].unsqueeze(-1) * programme[1].unsqueeze(-2) if self.outer else programme[0]
        return read(weights, x), (torch.sigmoid(self.steepness * (weights + change - 0.5)),)
