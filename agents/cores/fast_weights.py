"""Shared parts of cores with one fast weight matrix per head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from .core import Recurrence, State
from .ops.checks import whole
from .ops.features import FeatureMap
from .ops.norms import RMSNorm


@final
class Heads(nn.Module):
    """A linear layer whose output is split into streams per head: (..., D) to tensors (..., heads, width).

    Args:
        input_size: D.
        heads: number of heads.
        widths: width of each stream.
        bias: whether the layer has a bias.
    """

    def __init__(self, input_size: int, heads: int, widths: Sequence[int], bias: bool = True) -> None:
        super().__init__()
        self.heads, self.widths = heads, list(widths)
        self.linear = nn.Linear(input_size, heads * sum(self.widths), bias=bias)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The streams of x (..., D)."""
        return self.split(self.linear(x))

    def split(self, programme: Tensor) -> tuple[Tensor, ...]:
        """The streams of the layer's output (..., heads * sum of widths)."""
        return torch.unflatten(programme, -1, (self.heads, -1)).split_with_sizes(self.widths, -1)


class FastWeights(Recurrence):
    """y = W_o norm(o) + W_x x, where o is what each head reads from its fast weights S (K', V).

    A slow net of one linear layer programs them; its queries and keys pass through the feature map phi: (K) -> (K').
    The fast weights are the state. norm divides each head's o by its root mean square, so neither the number of writes
    nor the scale of a feature map matters; W_x lets the input bypass the memory.

    Args:
        input_size: D, width of the input.
        size: H, width of the output.
        heads: number of parallel memories.
        key_size: K, width of queries and keys before the feature map.
        value_size: V, width of the values.
        features: name of the feature map, see `FeatureMap`.
        options: `learn_initial_state` and `form` of `Core`.
    """

    def __init__(
        self,
        input_size: int,
        size: int = 64,
        *,
        heads: int = 4,
        key_size: int = 16,
        value_size: int = 16,
        features: str = "silu",
        **options: Any,
    ) -> None:
        super().__init__(input_size, size, **options)
        self.heads, self.key_size = whole("heads", heads), whole("key_size", key_size)
        self.value_size = whole("value_size", value_size)
        self.features = FeatureMap(features, key_size)
        self.norm = RMSNorm(value_size)
        self.out = nn.Linear(heads * value_size, size)
        self.past = nn.Linear(input_size, size, bias=False)

    def learned(self, part: int = 0) -> Tensor | None:
        """A part of the initial state (1, heads, K', V) if it is learned; None if it is zero."""
        return self.initial_state(1)[part] if self.learn_initial_state else None

    def step(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """One step; see `Core.step`. If no gradient is needed, the compiled form computes it."""
        if self.form != "compiled" or torch.is_grad_enabled():
            return super().step(x, state, episode_start)
        y, state = self(x[None], state, episode_start[None])
        return y[0], state

    def phi(self, x: Tensor) -> Tensor:
        """The feature map of keys or queries x (..., K), compiled if the core is, on the CPU."""
        mapped: Tensor = self.features(x, self._compiles(x))
        return mapped

    def emit(self, read: Tensor, x: Tensor) -> Tensor:
        """y (..., H) from o (..., heads, V) and x (..., D)."""
        y: Tensor = self.out(self.norm(read, self._compiles(read)).flatten(-2)) + self.past(x)
        return y

    def _compiles(self, x: Tensor) -> bool:
        return self.form == "compiled" and x.device.type == "cpu"
