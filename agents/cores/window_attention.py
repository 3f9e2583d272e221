"""Softmax attention over the last steps of an episode."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from .core import Form, State
from .window import Window


@final
class WindowAttention(Window):
    """score(q, k) = q . k / sqrt(K); all else as in `Window` (Vaswani et al., arXiv 1706.03762, 2017).

    Args:
        input_size: D, width of the input.
        window: n, number of steps to attend to, including the current one.
        options: keywords of `FastWeights`, without `features`, and of `Core`.
    """

    forms: tuple[Form, ...] = ("parallel", "packed", "loop")

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """q / sqrt(K), k (..., heads, K) and v (..., heads, V)."""
        q, k, v = super().project(x)
        return q * self.key_size**-0.5, k, v

    def score(self, q: Tensor, keys: Tensor) -> Tensor:
        """See `Window.score`; q is divided by sqrt(K) before."""
        return q @ keys.mT

    def parallel(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """`forward` by masked products; an episode begins after the initial state, the first one after `state`."""
        q, k, v = (part.permute(1, 2, 0, 3) for part in self.project(x))
        fresh = self.initial_state(x.shape[1])
        steps, slots = torch.arange(len(x), device=x.device), torch.arange(self.window, device=x.device)
        segment = episode_start.cumsum(0).T
        since = steps - (steps[:, None] * episode_start).cummax(0).values.T
        first = (segment == 0)[:, None, :, None]
        before = torch.where(first, self._score(q, state), self._score(q, fresh))
        before = before + self._bias(since[:, None, :, None] + self.window - slots)
        after = self.score(q, k) + self._bias((steps[:, None] - steps)[None, None])
        after = after.masked_fill(segment[:, None, :, None] != segment[:, None, None], -torch.inf)
        old, new = torch.cat((before, after), -1).softmax(-1).split_with_sizes((self.window, len(x)), -1)
        out = (first * old) @ state[1] + (~first * old) @ fresh[1] + new @ v
        window = self._moved(state, fresh, k, v, since[:, -1:] + 1, first[:, 0, -1])
        return self.emit(out.permute(2, 0, 1, 3), x), window

    def _score(self, q: Tensor, state: State) -> Tensor:
        """The scores (B, heads, T, n) of queries (B, heads, T, K) for the places of a window."""
        keys, _, bias = state
        return self.score(q, keys) + bias[:, None, None]

    def _bias(self, lag: Tensor) -> Tensor:
        """p (B, heads, T, *) of lags (B, 1, T, *); minus infinity in the future and before the window."""
        bias = self.distance[:, lag[:, 0].clamp(0, self.window - 1)].movedim(0, 1)
        return bias.masked_fill((lag < 0) | (lag >= self.window), -torch.inf)

    def _moved(self, state: State, fresh: State, k: Tensor, v: Tensor, count: Tensor, first: Tensor) -> State:
        """The window after the last step: `count` (B, 1) of its steps are from this sequence, the others are older."""
        slots, steps = torch.arange(self.window, device=k.device), k.shape[2]
        lag = self.window - 1 - slots
        place = torch.where(lag < count, self.window + steps - 1 - lag, slots + count)
        parts = []
        for old, start, new in zip(state[:2], fresh[:2], (k, v), strict=True):
            row = torch.cat((torch.where(first[..., None, None], old, start), new), 2)
            parts.append(row.gather(2, place[:, None, :, None].expand(-1, self.heads, -1, row.shape[-1])))
        bias = F.pad(torch.where(first, state[2], fresh[2]), (0, steps)).gather(1, place)
        return (*parts, bias)
