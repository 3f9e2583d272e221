"""Additive attention over the last steps of an episode."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from .window import Window


@final
class AdditiveAttention(Window):
    """score(q, k) = a . tanh(q + k), with q = W x(t) and k = U x(j); all else as in `Window`.

    Bahdanau, Cho & Bengio, arXiv 1409.0473 (2014): a net with one hidden layer of K units per head compares query and
    key. a begins at random, with variance 1 / K.

    Args:
        input_size: D, width of the input.
        window: n, number of steps to attend to, including the current one.
        options: keywords of `FastWeights`, without `features`, and of `Core`.
    """

    def __init__(self, input_size: int, window: int = 32, **options: Any) -> None:
        super().__init__(input_size, window, **options)
        self.weight = nn.Parameter(torch.randn(self.heads, self.key_size) * self.key_size**-0.5)

    def score(self, q: Tensor, keys: Tensor) -> Tensor:
        """See `Window.score`."""
        compared = torch.tanh(q.unsqueeze(3) + keys.unsqueeze(2))
        return (compared @ self.weight[:, None, :, None]).squeeze(-1)
