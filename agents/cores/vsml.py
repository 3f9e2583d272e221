"""Variable shared meta learning: every weight is a small LSTM, all with the same parameters."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from .core import Recurrence, State


@final
class VSML(Recurrence):
    """One layer in which the weight from input i to output j is an LSTM with state s_ij, the same LSTM for all i and j.

    s_ij(t) = LSTM(s_ij(t-1), [x_i, a_i, b_j]); messages forward b_j = mean_i F s_ij and backward a_i = mean_j G s_ij of
    the step before; y_j is the first component of b_j(t). Kirsch & Schmidhuber, Meta learning backpropagation and
    improving it, NeurIPS 2021, arXiv 2012.14905. The number of parameters does not depend on D and H: what a net
    learns is in its states. States equal for all j would stay equal, so the initial state is random, drawn once.

    Args:
        input_size: D, width of the input.
        size: H, width of the output.
        cell_size: N, number of cells of each LSTM.
        message_size: width of the messages.
        options: `learn_initial_state` and `form` of `Core`.
    """

    def __init__(
        self, input_size: int, size: int = 16, cell_size: int = 16, message_size: int = 8, **options: Any
    ) -> None:
        super().__init__(input_size, size, **options)
        self.read = nn.Linear(1, 4 * cell_size)
        self.recall = nn.Linear(cell_size, 4 * cell_size, bias=False)
        self.ahead = nn.Linear(message_size, 4 * cell_size, bias=False)
        self.back = nn.Linear(message_size, 4 * cell_size, bias=False)
        self.messages = nn.Linear(cell_size, 2 * message_size)
        self.set_initial_state(torch.randn(input_size, size, cell_size), torch.zeros(input_size, size, cell_size))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """What each input sends to its LSTMs, (..., D, 1, 4 N)."""
        return (self.read(x.unsqueeze(-1)).unsqueeze(-2),)

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """One step of all LSTMs; the state is h and c, each (B, D, H, N)."""
        (drive,), (h, c) = inputs, state
        b, a = self.messages(h).chunk(2, -1)
        ahead, back = self.ahead(b.mean(1, keepdim=True)), self.back(a.mean(2, keepdim=True))
        i, f, g, o = (drive + self.recall(h) + ahead + back).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return self.messages(h)[..., 0].mean(1), (h, c)
