"""Two stacked delta memories, both parallel over time."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from .core import Form, State
from .fast_weights import FastWeights, Heads
from .ops.chunked import chunked, read, write_delta


@final
class DeltaDelta(FastWeights):
    """The output o of delta memory 1 is the q, k, v and beta that programme delta memory 2.

    S1 += beta phi(k) (v - S1^T phi(k))^T; [q', k', v', beta'] = S1^T phi(q); S2 likewise from those; o = S2^T phi(q').
    Irie, Schlag, Csordas & Schmidhuber, arXiv 2106.06295 (2021), "Delta-Delta net".

    Args:
        input_size: D, width of the input.
        features: name of the feature map.
        options: keywords of `FastWeights` and `Core`.
    """

    forms: tuple[Form, ...] = ("parallel", "packed", "loop")

    def __init__(self, input_size: int, features: str = "softmax", **options: Any) -> None:
        super().__init__(input_size, features=features, **options)
        self.inner = (self.key_size, self.key_size, self.value_size, 1)
        self.slow = Heads(input_size, self.heads, (self.key_size, self.key_size, sum(self.inner), 1))
        addresses = self.features.size
        self.set_initial_state(
            torch.zeros(self.heads, addresses, sum(self.inner)), torch.zeros(self.heads, addresses, self.value_size)
        )

    def _mapped(self, q: Tensor, k: Tensor, v: Tensor, beta: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.phi(q), self.phi(k), v, torch.sigmoid(beta)

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """phi(q), phi(k) (..., heads, K'), v (..., heads, 2 K + V + 1) and beta (..., heads, 1) of memory 1."""
        return self._mapped(*self.slow(x))

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Writes and reads one memory, then the other; the state is S1 and S2."""
        (q, k, v, beta), (first, second) = inputs, state
        first = write_delta(first, k, v, beta)
        q, k, v, beta = self._mapped(*read(first, q).split_with_sizes(self.inner, -1))
        second = write_delta(second, k, v, beta)
        return read(second, q), (first, second)

    def parallel(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """`forward` by the WY form in chunks, once for each memory."""
        q, k, v, beta = self.project(x)
        programme, first = chunked(q, k, v, state[0], episode_start, beta=beta, initial=self.learned(0))
        q, k, v, beta = self._mapped(*programme.split_with_sizes(self.inner, -1))
        out, second = chunked(q, k, v, state[1], episode_start, beta=beta, initial=self.learned(1))
        return self.emit(out, x), (first, second)


@final
class DeltaMLP(FastWeights):
    """A fast net of two layers, o = S2^T phi(S1^T phi(q)), each programmed by the delta rule with its own k, v, beta.

    Irie, Schlag, Csordas & Schmidhuber, arXiv 2106.06295 (2021), "Delta MLP".

    Args:
        input_size: D, width of the input.
        features: name of the feature map, the nonlinearity of the fast net.
        options: keywords of `FastWeights` and `Core`.
    """

    forms: tuple[Form, ...] = ("parallel", "packed", "loop")

    def __init__(self, input_size: int, features: str = "softmax", **options: Any) -> None:
        super().__init__(input_size, features=features, **options)
        key, value, addresses = self.key_size, self.value_size, self.features.size
        self.slow = Heads(input_size, self.heads, (key, key, key, 1, key, value, 1))
        self.set_initial_state(torch.zeros(self.heads, addresses, key), torch.zeros(self.heads, addresses, value))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """phi(q), then phi(k), v and beta of both layers, each (..., heads, *)."""
        q, k1, v1, beta1, k2, v2, beta2 = self.slow(x)
        first = self.phi(k1), v1, torch.sigmoid(beta1)
        return self.phi(q), *first, self.phi(k2), v2, torch.sigmoid(beta2)

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Writes both layers, then runs the fast net; the state is S1 (B, heads, K', K) and S2 (B, heads, K', V)."""
        (q, k1, v1, beta1, k2, v2, beta2), (first, second) = inputs, state
        first, second = write_delta(first, k1, v1, beta1), write_delta(second, k2, v2, beta2)
        return read(second, self.phi(read(first, q))), (first, second)

    def parallel(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """`forward` by the WY form in chunks, once for each layer."""
        q, k1, v1, beta1, k2, v2, beta2 = self.project(x)
        hidden, first = chunked(q, k1, v1, state[0], episode_start, beta=beta1, initial=self.learned(0))
        out, second = chunked(self.phi(hidden), k2, v2, state[1], episode_start, beta=beta2, initial=self.learned(1))
        return self.emit(out, x), (first, second)
