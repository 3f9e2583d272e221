"""The compiled loops of a net with a continuous stack, for the CPU, with gradients written out under Numba."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .compiled import as_array, fast
from .packing import last_rows, rows_before, step_arrays
from .tanh import tanh

PUSH, KEEP, POP = range(3)


class Weights(NamedTuple):
    """What the loops need to know of the net.

    Attributes:
        recall: (H, H + w), of h and the top.
        move: (3 + w, H), of the moves and of the value that is pushed.
        bias: (3 + w,), likewise.
        sharpness: of the moves.
    """

    recall: Tensor
    move: Tensor
    bias: Tensor
    sharpness: float


@fast
def _move(moves: np.ndarray, before: np.ndarray, after: np.ndarray, read: np.ndarray, sharpness: float) -> None:
    """Activates moves (B, 3 + w) in place; writes the stacks (B, d w) after them, and their tops behind h."""
    width, cells = moves.shape[1] - 3, before.shape[1]
    below, units, sharp = cells - width, read.shape[1] - width, moves.dtype.type(sharpness)
    for b in range(moves.shape[0]):
        largest = max(moves[b, PUSH], moves[b, KEEP], moves[b, POP])
        for k in range(3):
            moves[b, k] = math.exp(sharp * (moves[b, k] - largest))
        total = moves[b, PUSH] + moves[b, KEEP] + moves[b, POP]
        for k in range(3):
            moves[b, k] /= total
        for i in range(width):
            moves[b, 3 + i] = tanh(moves[b, 3 + i])
        push, keep, pop = moves[b, PUSH], moves[b, KEEP], moves[b, POP]
        for i in range(cells):
            after[b, i] = keep * before[b, i]
        for i in range(width):
            after[b, i] += push * moves[b, 3 + i]
        for i in range(below):
            after[b, width + i] += push * before[b, i]
        for i in range(below):
            after[b, i] += pop * before[b, width + i]
        for i in range(width):
            read[b, units + i] = after[b, i]


@fast
def _move_back(
    moves: np.ndarray,
    before: np.ndarray,
    d_read: np.ndarray,
    d_stack: np.ndarray,
    d_moves: np.ndarray,
    sharpness: float,
) -> None:
    """Gradient of the moves' inputs (B, 3 + w); that of the stacks, d_stack (B, d w), becomes that of those before."""
    width, cells = moves.shape[1] - 3, before.shape[1]
    below, units, sharp = cells - width, d_read.shape[1] - width, moves.dtype.type(sharpness)
    one, row = moves.dtype.type(1), np.empty_like(d_stack[0])
    for b in range(moves.shape[0]):
        push, keep, pop = moves[b, PUSH], moves[b, KEEP], moves[b, POP]
        for i in range(cells):
            row[i] = d_stack[b, i]
        for i in range(width):
            row[i] += d_read[b, units + i]
        pushed = kept = popped = moves.dtype.type(0)
        for i in range(width):
            pushed += row[i] * moves[b, 3 + i]
        for i in range(below):
            pushed += row[width + i] * before[b, i]
        for i in range(cells):
            kept += row[i] * before[b, i]
        for i in range(below):
            popped += row[i] * before[b, width + i]
        mean = push * pushed + keep * kept + pop * popped
        d_moves[b, PUSH] = sharp * push * (pushed - mean)
        d_moves[b, KEEP] = sharp * keep * (kept - mean)
        d_moves[b, POP] = sharp * pop * (popped - mean)
        for i in range(width):
            d_moves[b, 3 + i] = push * row[i] * (one - moves[b, 3 + i] * moves[b, 3 + i])
        for i in range(cells):
            d_stack[b, i] = keep * row[i]
        for i in range(below):
            d_stack[b, i] += push * row[width + i]
        for i in range(below):
            d_stack[b, width + i] += pop * row[i]


class _StackScan(torch.autograd.Function):
    """The loops above for PyTorch's tensors; arguments as in `stack_scan`.

    Two matrix products per step forward and two backward; the gradients of the weights are one product each at the end.
    """

    @staticmethod
    def forward(
        ctx: Any,
        drive: Tensor,
        recall: Tensor,
        move: Tensor,
        bias: Tensor,
        sharpness: float,
        h: Tensor,
        stack: Tensor,
        counts: list[int],
    ) -> tuple[Tensor, Tensor, Tensor]:
        size, width = h.shape[1], stack.shape[2]
        first, start, moves = torch.cat((h, stack[:, 0]), 1), stack.flatten(1), bias.expand(len(drive), -1).clone()
        read, stacks = drive.new_empty(len(drive), size + width), drive.new_empty(len(drive), start.shape[1])
        recall_t, move_t, before = recall.T, move.T, as_array(start)
        steps = zip(
            rows_before(first, read, counts),
            *(part.split_with_sizes(counts) for part in (drive, read, moves)),
            *(step_arrays(part, counts) for part in (read, moves, stacks)),
            strict=True,
        )
        for read_before, net, seen, row, seen_array, row_array, after in steps:
            seen[:, :size] = torch.addmm(net, read_before, recall_t).tanh_()
            row.addmm_(seen[:, :size], move_t)
            _move(row_array, before[: len(row)], after, seen_array, sharpness)
            before = after
        last = last_rows(counts)
        ctx.counts, ctx.sharpness = counts, sharpness
        ctx.save_for_backward(read, moves, stacks, first, start, recall, move)
        return read, read[last, :size], stacks[last].view_as(stack)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_out: Tensor, d_h: Tensor, d_stack: Tensor) -> tuple[Tensor | None, ...]:
        read, moves, stacks, first, start, recall, move = ctx.saved_tensors
        counts: list[int] = ctx.counts
        size, width = d_h.shape[1], d_stack.shape[2]
        d_read, d_first = d_out.clone(memory_format=torch.contiguous_format), F.pad(d_h, (0, width))
        d_before = d_stack.flatten(1).clone(memory_format=torch.contiguous_format)
        d_drive, d_moves, d_array = d_out.new_empty(len(read), size), torch.empty_like(moves), as_array(d_before)
        steps = zip(
            (1 - read[:, :size].square()).split_with_sizes(counts),
            *(part.split_with_sizes(counts) for part in (d_read, d_drive, d_moves)),
            *(step_arrays(part, counts) for part in (moves, d_read, d_moves)),
            [as_array(start), *step_arrays(stacks, counts)[:-1]],
            strict=True,
        )
        for slope, d_seen, d_net, d_row, row_array, d_seen_array, d_row_array, before in reversed(list(steps)):
            count = len(d_row)
            d_seen += d_first[:count]
            _move_back(row_array, before[:count], d_seen_array, d_array[:count], d_row_array, ctx.sharpness)
            torch.addmm(d_seen[:, :size], d_row, move, out=d_net).mul_(slope)
            torch.mm(d_net, recall, out=d_first[:count])
        d_h, d_top = d_first.split_with_sizes([size, width], 1)
        d_before[:, :width] += d_top
        d_recall, d_move = d_drive.T @ torch.cat(rows_before(first, read, counts)), d_moves.T @ read[:, :size]
        return d_drive, d_recall, d_move, d_moves.sum(0), None, d_h, d_before.view_as(d_stack), None


_apply: Callable[..., tuple[Tensor, Tensor, Tensor]] = _StackScan.apply


def stack_scan(
    drive: Tensor, weights: Weights, h: Tensor, stack: Tensor, counts: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """The steps of a net with a stack over packed rows.

    Args:
        drive: (R, H) W x + b of all rows, in the order of `Packing`.
        weights: of the net.
        h: (segments, H) at the segments' starts.
        stack: (segments, d, w), likewise.
        counts: number of segments that have a first, second, ... step.

    Returns:
        h and the top of all rows (R, H + w), and h and the stacks at the segments' ends (segments, ...).
    """
    return _apply(drive, *weights, h, stack, counts)
