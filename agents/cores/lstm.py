"""Long short-term memory."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from .core import Form, Recurrence, State
from .ops.lstm_scan import lstm_scan


@final
class LSTM(Recurrence):
    """c(t) = f c(t-1) + i g, y(t) = h(t) = o tanh(c(t)); i, f, o logistic and g tanh of W x(t) + U h(t-1) + b.

    Hochreiter & Schmidhuber 1997 with the forget gate of Gers, Schmidhuber & Cummins, Neural Computation
    12(10):2451-2471 (2000), without peepholes: the equations, and the order of the gates, of `torch.nn.LSTM`.

    Args:
        input_size: D, width of the input.
        size: H, number of cells.
        forget_bias: initial bias of the forget gate. With 3 a cell keeps 95 % per step, as long delays require; with 0
            it loses half, and such tasks are hard to learn.
        options: `learn_initial_state` and `form` of `Core`.
    """

    forms: tuple[Form, ...] = ("compiled", "packed", "loop")

    def __init__(self, input_size: int, size: int = 64, forget_bias: float = 3.0, **options: Any) -> None:
        super().__init__(input_size, size, **options)
        self.read, self.recall = nn.Linear(input_size, 4 * size), nn.Linear(size, 4 * size, bias=False)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(size**-0.5), size**-0.5)
        nn.init.zeros_(self.read.bias)
        nn.init.constant_(self.read.bias[size : 2 * size], forget_bias)
        self.set_initial_state(torch.zeros(size), torch.zeros(size))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """W x + b (..., 4 H)."""
        return (self.read(x),)

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """One step of the cells; the state is h and c, each (B, H)."""
        if self.form == "compiled" and not torch.is_grad_enabled():
            return self.scan(inputs, state, [len(inputs[0])])
        (drive,), (h, c) = inputs, state
        i, f, g, o = (drive + self.recall(h)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)

    def compiled(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """`forward` over packed segments, with compiled gates and gradients."""
        return self.packed(x, state, episode_start)

    def scan(self, inputs: tuple[Tensor, ...], state: State, counts: list[int]) -> tuple[Tensor, State]:
        """See `Recurrence.scan`."""
        if self.form != "compiled":
            return super().scan(inputs, state, counts)
        (drive,), (h, c) = inputs, state
        out, h, c = lstm_scan(drive, self.recall.weight, h, c, counts)
        return out, (h, c)
