"""What cores share that attend to the last steps of an episode."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .core import State
from .fast_weights import FastWeights, Heads
from .ops.checks import whole

EMPTY = -1e9  # bias of an empty place; finite, so that buffers of states stay finite


class Window(FastWeights):
    """o(t) = sum_j softmax_j(score(q(t), k(j)) + p(t - j)) v(j) over the last n steps j <= t of the episode.

    p is a learned bias per head and distance, in place of position encodings, because episodes have no maximum length.
    The state is the window: keys, values, and a bias that marks empty places. A learned initial state is a window of n
    learned keys, values and biases. A subclass implements `score`, and may override `project` and add forms.

    Args:
        input_size: D, width of the input.
        window: n, number of steps to attend to, including the current one.
        options: keywords of `FastWeights`, without `features`, and of `Core`.
    """

    def __init__(self, input_size: int, window: int = 32, **options: Any) -> None:
        super().__init__(input_size, **options)
        self.window = whole("window", window)
        self.slow = Heads(input_size, self.heads, (self.key_size, self.key_size, self.value_size))
        self.distance = nn.Parameter(torch.zeros(self.heads, window))
        keys, values = (torch.zeros(self.heads, window, width) for width in (self.key_size, self.value_size))
        self.set_initial_state(keys, values, torch.full((window,), 0.0 if self.learn_initial_state else EMPTY))

    @abstractmethod
    def score(self, q: Tensor, keys: Tensor) -> Tensor:
        """How well the keys (B, heads, n, K) answer the queries (B, heads, T, K): (B, heads, T, n)."""

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """q, k (..., heads, K) and v (..., heads, V)."""
        parts: tuple[Tensor, ...] = self.slow(x)
        return parts

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Appends the step to the window, then attends; the state is (B, heads, n, K), (B, heads, n, V), (B, n)."""
        (q, k, v), (keys, values, bias) = inputs, state
        keys = torch.cat((keys[:, :, 1:], k.unsqueeze(2)), 2)
        values = torch.cat((values[:, :, 1:], v.unsqueeze(2)), 2)
        bias = F.pad(bias[:, 1:], (0, 1))
        score = self.score(q.unsqueeze(2), keys).squeeze(2) + self.distance.flip(1) + bias[:, None]
        return (score.softmax(-1).unsqueeze(-2) @ values).squeeze(-2), (keys, values, bias)
