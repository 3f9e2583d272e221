"""Sequences cut at their resets, so that a loop over time needs neither masks nor padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from .compiled import as_array


@final
class Packing:
    """A batch of sequences, cut at resets into segments, longest first; their steps are the rows of one array.

    The rows of step s of all segments come before those of step s + 1. Within a step the segments keep their order, so
    the first `counts[s]` segments are those that have a step s.

    Args:
        episode_start: (T, B) bool.

    Attributes:
        counts: number of segments that have a step s, for s = 0, 1, ...; they sum to T B.
    """

    def __init__(self, episode_start: Tensor) -> None:
        steps, columns = episode_start.shape
        device = episode_start.device
        begins = episode_start.T.clone()
        begins[:, 0] = True
        begin = begins.flatten().nonzero().squeeze(1)  # segments in the order of (column, time)
        length = torch.diff(begin, append=begin.new_tensor([steps * columns]))
        order = torch.argsort(length, descending=True, stable=True)
        begin, length = begin[order], length[order]
        self.columns, time = begin // steps, begin % steps
        self.fresh = (time > 0) | episode_start[0, self.columns]
        offset = torch.arange(int(length[0]), device=device)[:, None]
        exists = offset < length
        self.rows = ((time + offset) * columns + self.columns)[exists]
        self.counts: list[int] = exists.sum(1).tolist()
        self.places = torch.empty_like(self.rows)
        self.places[self.rows] = torch.arange(len(self.rows), device=device)
        last = (time + length == steps).nonzero().squeeze(1)
        self.last = torch.empty_like(last)  # for each column, the segment with its last step
        self.last[self.columns[last]] = last

    def pack(self, x: Tensor) -> Tensor:
        """(T, B, ...) as rows (T B, ...)."""
        return _reorder(x.flatten(0, 1), self.rows, self.places)

    def unpack(self, rows: Tensor) -> Tensor:
        """Rows (T B, ...) as (T, B, ...)."""
        return torch.unflatten(_reorder(rows, self.places, self.rows), 0, (-1, len(self.last)))

    def start(self, state: tuple[Tensor, ...], initial: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The states (segments, ...) at the segments' starts, from (B, ...) before the first step and (1, ...)."""
        return tuple(
            torch.where(self.fresh.view(-1, *[1] * (part.dim() - 1)), new, part[self.columns])
            for part, new in zip(state, initial, strict=True)
        )

    def end(self, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The states (B, ...) after the last step, from those at the segments' ends (segments, ...)."""
        return tuple(part[self.last] for part in state)


def step_arrays(tensor: Tensor, counts: list[int]) -> list[np.ndarray]:
    """The rows of each step as arrays; slices of arrays cost less than slices of tensors."""
    array, begin, parts = as_array(tensor), 0, []
    for count in counts:
        parts.append(array[begin : begin + count])
        begin += count
    return parts


def rows_before(first: Tensor, rows: Tensor, counts: list[int]) -> list[Tensor]:
    """For each step, the previous rows of the segments that have it; `first` (segments, ...) for the first step."""
    parts, sizes = (first, *rows.split_with_sizes(counts)[:-1]), (len(first), *counts[:-1])
    steps = zip(parts, sizes, counts, strict=True)
    return [part if size == count else part[:count] for part, size, count in steps]


def last_rows(counts: list[int]) -> Tensor:
    """The row of each segment's last step."""
    sizes, segments = np.array(counts), np.arange(counts[0])
    last = np.searchsorted(-sizes, -segments) - 1  # step, of as many as are longer than there are segments before it
    return torch.from_numpy((sizes.cumsum() - sizes)[last] + segments)


class _Reorder(torch.autograd.Function):
    """x[index]; its gradient gathers with the inverse, while PyTorch would add into zeros."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(inverse)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inverse,) = ctx.saved_tensors
        return gradient.index_select(0, inverse), None, None


_reorder: Callable[[Tensor, Tensor, Tensor], Tensor] = _Reorder.apply
