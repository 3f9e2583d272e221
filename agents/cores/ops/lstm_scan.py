"""The LSTM's compiled loops for the CPU, with gradients written out: plain scalar code under Numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .compiled import as_array, fast
from .packing import last_rows, rows_before, step_arrays
from .tanh import tanh

# Each loop uses few arrays: LLVM proves at run time that they do not overlap, and gives up if there are many.
# Rows do not become arrays of their own: that costs more than a small row.


@fast
def _lstm_step(gates: np.ndarray, c_before: np.ndarray, c: np.ndarray, h: np.ndarray) -> None:
    """Activates gates (B, 4, H) in place, i, f, g, o; writes c and h (B, H)."""
    half, cells = gates.dtype.type(0.5), range(gates.shape[2])
    i, f, g, o = range(4)
    for b in range(gates.shape[0]):
        for gate in (i, f, o):
            for j in cells:
                gates[b, gate, j] = half + half * tanh(half * gates[b, gate, j])
        for j in cells:
            gates[b, g, j] = tanh(gates[b, g, j])
        for j in cells:
            c[b, j] = gates[b, f, j] * c_before[b, j] + gates[b, i, j] * gates[b, g, j]
        for j in cells:
            h[b, j] = gates[b, o, j] * tanh(c[b, j])


@fast
def _lstm_back(
    gates: np.ndarray,
    c_before: np.ndarray,
    c: np.ndarray,
    d_out: np.ndarray,
    d_h: np.ndarray,
    d_c: np.ndarray,
    d_gates: np.ndarray,
) -> None:
    """Gradient of the gates' inputs (B, 4, H); d_c (B, H) becomes that of the cells before."""
    one, cells = gates.dtype.type(1), range(gates.shape[2])
    i, f, g, o = range(4)
    for b in range(gates.shape[0]):
        for j in cells:
            d_gates[b, g, j] = tanh(c[b, j])
        for j in cells:
            d_gates[b, f, j] = d_out[b, j] + d_h[b, j]
        for j in cells:
            d_c[b, j] += d_gates[b, f, j] * gates[b, o, j] * (one - d_gates[b, g, j] * d_gates[b, g, j])
        for j in cells:
            d_gates[b, o, j] = d_gates[b, f, j] * d_gates[b, g, j] * gates[b, o, j] * (one - gates[b, o, j])
        for j in cells:
            d_gates[b, i, j] = d_c[b, j] * gates[b, g, j] * gates[b, i, j] * (one - gates[b, i, j])
        for j in cells:
            d_gates[b, f, j] = d_c[b, j] * c_before[b, j] * gates[b, f, j] * (one - gates[b, f, j])
        for j in cells:
            d_gates[b, g, j] = d_c[b, j] * gates[b, i, j] * (one - gates[b, g, j] * gates[b, g, j])
        for j in cells:
            d_c[b, j] *= gates[b, f, j]


class _LSTMScan(torch.autograd.Function):
    """The loops above for PyTorch's tensors; arguments as in `lstm_scan`.

    One matrix product per step forward and one backward; the gradient of U is one product at the end.
    """

    @staticmethod
    def forward(
        ctx: Any, drive: Tensor, recall: Tensor, h: Tensor, c: Tensor, counts: list[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        gates, (cells, out) = drive.clone(), drive.new_empty(2, len(drive), h.shape[1])
        recall_t, c_before = recall.T, as_array(c.contiguous())
        views = (step_arrays(part, counts) for part in (gates.view(len(drive), 4, -1), cells, out))
        steps = zip(gates.split_with_sizes(counts), rows_before(h, out, counts), counts, *views, strict=True)
        for gate, h_before, count, gate_view, c_view, h_view in steps:
            gate.addmm_(h_before, recall_t)
            _lstm_step(gate_view, c_before[:count], c_view, h_view)
            c_before = c_view
        last = last_rows(counts)
        ctx.counts = counts
        ctx.save_for_backward(gates, cells, out, h, c, recall)
        return out, out[last], cells[last]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_out: Tensor, d_h: Tensor, d_c: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        gates, cells, out, h, c, recall = ctx.saved_tensors
        counts: list[int] = ctx.counts
        d_h, d_c, d_gates = d_h.clone(), d_c.clone(), torch.empty_like(gates)
        c_parts = step_arrays(cells, counts)
        c_before = [as_array(c.contiguous()), *c_parts[:-1]]
        views = [step_arrays(part.view(len(cells), 4, -1), counts) for part in (gates, d_gates)]
        steps = zip(
            d_gates.split_with_sizes(counts),
            counts,
            *views,
            c_before,
            c_parts,
            step_arrays(d_out.contiguous(), counts),
            strict=True,
        )
        h_array, c_array, segments = as_array(d_h), as_array(d_c), len(d_h)
        for d_gate, count, gate_view, d_view, before, after, d_y in reversed(list(steps)):
            _lstm_back(gate_view, before[:count], after, d_y, h_array[:count], c_array[:count], d_view)
            torch.mm(d_gate, recall, out=d_h if count == segments else d_h[:count])
        return d_gates, d_gates.T @ torch.cat(rows_before(h, out, counts)), d_h, d_c, None


_apply: Callable[..., tuple[Tensor, Tensor, Tensor]] = _LSTMScan.apply


def lstm_scan(drive: Tensor, recall: Tensor, h: Tensor, c: Tensor, counts: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """The steps of an LSTM over packed rows.

    Args:
        drive: (R, 4 H) W x + b of all rows, in the order of `Packing`.
        recall: U (4 H, H).
        h, c: (segments, H) at the segments' starts.
        counts: number of segments that have a first, second, ... step.

    Returns:
        h of all rows (R, H), and h and c at the segments' ends (segments, H).
    """
    return _apply(drive, recall, h, c, counts)
