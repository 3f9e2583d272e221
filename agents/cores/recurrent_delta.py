"""Fast weights programmed by the delta rule, with recurrence in the fast or in the slow net."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from .core import State
from .fast_weights import FastWeights, Heads
from .ops.chunked import read, write_delta


@final
class DeltaRNN(FastWeights):
    """A recurrent fast net: o(t) = W(t)^T phi(q) + R(t)^T softmax(o(t-1)), W and R each with a delta rule of its own.

    Irie, Schlag, Csordas & Schmidhuber, arXiv 2106.06295 (2021), "Delta RNN".

    Args:
        input_size: D, width of the input.
        features: name of the feature map of q and of the keys of W; those of R pass through softmax.
        options: keywords of `FastWeights` and `Core`.
    """

    def __init__(self, input_size: int, features: str = "softmax", **options: Any) -> None:
        super().__init__(input_size, features=features, **options)
        key, value, heads = self.key_size, self.value_size, self.heads
        self.slow = Heads(input_size, heads, (key, key, value, 1, value, value, 1))
        forward = torch.zeros(heads, self.features.size, value)
        self.set_initial_state(forward, torch.zeros(heads, value, value), torch.zeros(heads, value))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """phi(q), then key, value and beta of W and of R, each (..., heads, *)."""
        q, k, v, beta, key, value, rate = self.slow(x)
        forward = self.phi(k), v, torch.sigmoid(beta)
        return self.phi(q), *forward, key.softmax(-1), value, torch.sigmoid(rate)

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Writes both memories, then reads; the state is W (B, heads, K', V), R (B, heads, V, V), o (B, heads, V)."""
        (q, k, v, beta, key, value, rate), (forward, recurrent, out) = inputs, state
        forward, recurrent = write_delta(forward, k, v, beta), write_delta(recurrent, key, value, rate)
        out = read(forward, q) + read(recurrent, out.softmax(-1))
        return out, (forward, recurrent, out)


@final
class DeltaLSTM(FastWeights):
    """A fast LSTM: i, u, g from W(t)^T phi(q) + R(t)^T softmax(o(t-1)); c = i u + (1 - i) c, o = g c.

    The gates i and g are logistic. Each of the three has its own W and R, and each of these its own delta rule. Irie,
    Schlag, Csordas & Schmidhuber, arXiv 2106.06295 (2021), "Delta LSTM".

    Args:
        input_size: D, width of the input.
        features: name of the feature map of queries and of the keys of W; those of R pass through softmax.
        options: keywords of `FastWeights` and `Core`.
    """

    def __init__(self, input_size: int, features: str = "softmax", **options: Any) -> None:
        super().__init__(input_size, features=features, **options)
        key, value, nets = self.key_size, self.value_size, 3 * self.heads
        self.slow = Heads(input_size, nets, (key, key, value, 1, value, value, 1))
        forward, recurrent = torch.zeros(nets, self.features.size, value), torch.zeros(nets, value, value)
        self.set_initial_state(forward, recurrent, torch.zeros(self.heads, value), torch.zeros(self.heads, value))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """phi(q), then key, value and beta of W and of R, each (..., 3 heads, *)."""
        q, k, v, beta, key, value, rate = self.slow(x)
        forward = self.phi(k), v, torch.sigmoid(beta)
        return self.phi(q), *forward, key.softmax(-1), value, torch.sigmoid(rate)

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Writes, then runs the fast net; the state is W, R (B, 3 heads, *, V), c and o (B, heads, V)."""
        (q, k, v, beta, key, value, rate), (forward, recurrent, cell, out) = inputs, state
        forward, recurrent = write_delta(forward, k, v, beta), write_delta(recurrent, key, value, rate)
        z = read(forward, q) + read(recurrent, out.softmax(-1).repeat(1, 3, 1))
        i, u, g = z.chunk(3, 1)
        cell = torch.lerp(cell, u, torch.sigmoid(i))
        out = torch.sigmoid(g) * cell
        return out, (forward, recurrent, cell, out)


@final
class RecurrentDelta(FastWeights):
    """A recurrent slow net: q, k, v, beta = W x(t) + R tanh(o(t-1)), then S by the delta rule and o = S^T phi(q).

    Irie, Schlag, Csordas & Schmidhuber, arXiv 2106.06295 (2021), "Recurrent Delta Net". In the authors' code a head's
    R reads that head's o alone; here every head reads all of them, unless `mixes_heads` is False.

    Args:
        input_size: D, width of the input.
        features: name of the feature map.
        mixes_heads: whether R reads the o of all heads.
        options: keywords of `FastWeights` and `Core`.
    """

    def __init__(self, input_size: int, features: str = "softmax", mixes_heads: bool = True, **options: Any) -> None:
        super().__init__(input_size, features=features, **options)
        self.slow = Heads(input_size, self.heads, (self.key_size, self.key_size, self.value_size, 1))
        self.mixes_heads = mixes_heads
        streams = self.slow.linear.out_features
        if mixes_heads:
            self.recall = nn.Linear(self.heads * self.value_size, streams, bias=False)
        else:
            own = self.heads, self.value_size, streams // self.heads
            self.own_recall = nn.Parameter(torch.randn(own) * self.value_size**-0.5)
        memory = torch.zeros(self.heads, self.features.size, self.value_size)
        self.set_initial_state(memory, torch.zeros(self.heads, self.value_size))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """W x (..., heads (2 K + V + 1))."""
        return (self.slow.linear(x),)

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Writes, then reads; the state is S (B, heads, K', V) and o (B, heads, V)."""
        (drive,), (memory, out) = inputs, state
        q, k, v, beta = self.slow.split(drive + self._recalled(torch.tanh(out)))
        memory = write_delta(memory, self.phi(k), v, torch.sigmoid(beta))
        out = read(memory, self.phi(q))
        return out, (memory, out)

    def _recalled(self, out: Tensor) -> Tensor:
        """R tanh(o), (B, heads (2 K + V + 1)), from tanh(o) (B, heads, V)."""
        if self.mixes_heads:
            recalled: Tensor = self.recall(out.flatten(-2))
            return recalled
        return torch.einsum("bhv,hvs->bhs", out, self.own_recall).flatten(-2)
