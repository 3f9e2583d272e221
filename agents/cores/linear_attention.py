"""Fast weights that sum outer products: linear attention."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from .core import Form, State
from .fast_weights import FastWeights, Heads
from .ops.chunked import chunked, read, write
from .ops.delta_scan import scanned


@final
class LinearAttention(FastWeights):
    """S(t) = S(t-1) + phi(k) v^T, o = S^T phi(q), with q, k, v = W x(t).

    Katharopoulos et al., arXiv 2006.16236 (2020), with features="favor" Choromanski et al., arXiv 2009.14794 (2021);
    Schmidhuber's fast weights of 1991 with modern names (Schlag, Irie & Schmidhuber 2021). Where the source divides by
    the sum of all keys, which never shrinks, this core normalises the output, see `FastWeights`.

    Args:
        input_size: D, width of the input.
        features: name of the feature map, see `FeatureMap`.
        options: keywords of `FastWeights` and `Core`.
    """

    forms: tuple[Form, ...] = ("compiled", "parallel", "packed", "loop")

    def __init__(self, input_size: int, features: str = "elu", **options: Any) -> None:
        super().__init__(input_size, features=features, **options)
        self.slow = Heads(input_size, self.heads, (self.key_size, self.key_size, self.value_size))
        self.set_initial_state(torch.zeros(self.heads, self.features.size, self.value_size))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """phi(q), phi(k) (..., heads, K') and v (..., heads, V)."""
        q, k, v = self.slow(x)
        return self.phi(q), self.phi(k), v

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Writes, then reads; the state is S (B, heads, K', V)."""
        (q, k, v), (memory,) = inputs, state
        memory = write(memory, k, v)
        return read(memory, q), (memory,)

    def parallel(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """`forward` by masked products in chunks."""
        q, k, v = self.project(x)
        out, memory = chunked(q, k, v, state[0], episode_start, initial=self.learned())
        return self.emit(out, x), (memory,)

    def compiled(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """`forward` by compiled loops over the steps of each memory."""
        q, k, v = self.project(x)
        out, memory = scanned(q, k, v, state[0], episode_start, initial=self.learned())
        return self.emit(out, x), (memory,)
