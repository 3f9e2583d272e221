"""Fast weights with a gate for each weight."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from .core import State
from .fast_weights import FastWeights, Heads
from .ops.chunked import read


@final
class GatedFastWeights(FastWeights):
    """S(t) = T o H + (1 - T) o S(t-1), T = logistic(a b^T + bias), H = tanh(c d^T), o = S^T phi(q).

    q, a, b, c and d are W x(t): two outer products per step, one to gate what the other writes. Schlag &
    Schmidhuber, Gated fast weights for on-the-fly neural program generation, NIPS 2017 workshop on meta-learning. Their
    slow net is recurrent; here it is one layer, as in the other cores.

    Args:
        input_size: D, width of the input.
        gate_bias: before training, a weight keeps 95 % per step with -3, and half with 0.
        options: keywords of `FastWeights` and `Core`.
    """

    def __init__(self, input_size: int, gate_bias: float = -3.0, **options: Any) -> None:
        super().__init__(input_size, **options)
        self.gate_bias = gate_bias
        widths = (self.key_size, self.features.size, self.value_size, self.features.size, self.value_size)
        self.slow = Heads(input_size, self.heads, widths)
        self.set_initial_state(torch.zeros(self.heads, self.features.size, self.value_size))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """phi(q), a, c (..., heads, K') and b, d (..., heads, V), in the order q, a, b, c, d."""
        q, *gates = self.slow(x)
        return self.phi(q), *gates

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Writes, then reads; the state is S (B, heads, K', V)."""
        (q, a, b, c, d), (memory,) = inputs, state
        gate = torch.sigmoid(a.unsqueeze(-1) * b.unsqueeze(-2) + self.gate_bias)
        memory = torch.lerp(memory, torch.tanh(c.unsqueeze(-1) * d.unsqueeze(-2)), gate)
        return read(memory, q), (memory,)
