"""The cores' compiled loops for the CPU: plain scalar code under Numba, with gradients written out.

They call nothing outside this file, so that Numba's cache cannot miss a change.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import torch
from numba import types
from numba.extending import overload
from torch import Tensor

CHUNK = 16  # steps between two memories that the forward pass keeps for the backward pass

# Sums may be reordered and products fused, which vector code needs; nan and inf keep their meaning.
_jit = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


def _tanh(x: Any) -> Any:
    """tanh(x) as vector code in float32, by a rational function of degree 13 / 6 with an error of 3e-7."""
    return np.tanh(x)


@overload(_tanh)
def _overload_tanh(x: Any) -> Any:
    def exact(x: Any) -> Any:
        return math.tanh(x)

    bound = np.float32(7.905311)
    up = tuple(np.float32(a) for a in (-2.760768e-16, 2.0001879e-13, -8.6046715e-11, 5.122297e-08, 1.4857224e-05))
    up += (np.float32(6.372619e-04), np.float32(4.893525e-03))
    down = tuple(np.float32(b) for b in (1.1982584e-06, 1.185347e-04, 2.2684347e-03, 4.893525e-03))

    def rational(x: Any) -> Any:
        x = bound if x > bound else (-bound if x < -bound else x)  # nan stays nan
        z = x * x
        p = ((((up[0] * z + up[1]) * z + up[2]) * z + up[3]) * z + up[4]) * z
        p = x * ((p + up[5]) * z + up[6])
        return p / (((down[0] * z + down[1]) * z + down[2]) * z + down[3])

    return rational if x == types.float32 else exact


# ------------------------------------------------------------------------------------------------------------- LSTM


# A loop of few arrays at a time: LLVM proves at run time that they do not overlap, and gives up where there are many.
# Rows are not made arrays of their own: that costs more than a small row.


@_jit
def _lstm_step(gates: np.ndarray, c_before: np.ndarray, c: np.ndarray, h: np.ndarray) -> None:
    """Activates gates (B, 4, H) in place, i, f, g, o; writes c and h (B, H)."""
    half, cells = gates.dtype.type(0.5), range(gates.shape[2])
    for b in range(gates.shape[0]):
        for gate in (0, 1, 3):
            for j in cells:
                gates[b, gate, j] = half + half * _tanh(half * gates[b, gate, j])
        for j in cells:
            gates[b, 2, j] = _tanh(gates[b, 2, j])
        for j in cells:
            c[b, j] = gates[b, 1, j] * c_before[b, j] + gates[b, 0, j] * gates[b, 2, j]
        for j in cells:
            h[b, j] = gates[b, 3, j] * _tanh(c[b, j])


@_jit
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
            d_gates[b, g, j] = _tanh(c[b, j])
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


class LSTMScan(torch.autograd.Function):
    """The steps of an LSTM over packed rows: (drive, U, h, c, counts) to (h of all rows, h, c at segments' ends).

    drive (R, 4 H) is W x + b; U (4 H, H); h, c (segments, H); counts see `Packing`. One product a step forward and one
    backward; the gradient of U is one product at the end.
    """

    @staticmethod
    def forward(
        ctx: Any, drive: Tensor, recall: Tensor, h: Tensor, c: Tensor, counts: list[int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        gates, cells, out = torch.empty_like(drive), *drive.new_empty(2, len(drive), h.shape[1])
        recall_t, h_before, c_before = recall.T, h, _array(c.contiguous())
        views = (_rows(part, counts) for part in (gates.view(len(drive), 4, -1), cells, out))
        steps = zip(drive.split(counts), gates.split(counts), out.split(counts), counts, *views, strict=True)
        for driven, gate, h_after, count, gate_view, c_view, h_view in steps:
            torch.addmm(driven, h_before[:count], recall_t, out=gate)
            _lstm_step(gate_view, c_before[:count], c_view, h_view)
            h_before, c_before = h_after, c_view
        ends = _ends(counts)
        ctx.counts, ctx.ends = counts, ends
        ctx.save_for_backward(gates, cells, out, h, c, recall)
        return out, out[ends], cells[ends]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_out: Tensor, d_h: Tensor, d_c: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        gates, cells, out, h, c, recall = ctx.saved_tensors
        counts: list[int] = ctx.counts
        d_h, d_c, d_gates = d_h.clone(), d_c.clone(), torch.empty_like(gates)
        c_parts = _rows(cells, counts)
        c_before = [_array(c.contiguous()), *c_parts[:-1]]
        views = [_rows(part.view(len(cells), 4, -1), counts) for part in (gates, d_gates)]
        steps = zip(
            d_gates.split(counts), counts, *views, c_before, c_parts, _rows(d_out.contiguous(), counts), strict=True
        )
        h_array, c_array = _array(d_h), _array(d_c)
        for d_gate, count, gate_view, d_view, before, after, d_y in reversed(list(steps)):
            _lstm_back(gate_view, before[:count], after, d_y, h_array[:count], c_array[:count], d_view)
            torch.mm(d_gate, recall, out=d_h[:count])
        previous = (part[:count] for part, count in zip((h, *out.split(counts)), counts, strict=False))
        return d_gates, d_gates.T @ torch.cat(list(previous)), d_h, d_c, None


def _rows(tensor: Tensor, counts: list[int]) -> list[np.ndarray]:
    """The rows of each step as arrays; slices of arrays cost less than slices of tensors."""
    array, begin, parts = _array(tensor), 0, []
    for count in counts:
        parts.append(array[begin : begin + count])
        begin += count
    return parts


def _ends(counts: list[int]) -> Tensor:
    """The row of each segment's last step."""
    begin, parts = sum(counts), []
    after = 0
    for count in reversed(counts):
        begin -= count
        if count > after:
            parts.append(torch.arange(begin + after, begin + count))
        after = count
    return torch.cat(parts)


# ------------------------------------------------------------------------------------------------------- delta rules


@_jit
def _delta_forward(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    beta: np.ndarray,
    gate: np.ndarray,
    starts: np.ndarray,
    memory: np.ndarray,
    initial: np.ndarray,
    corrects: bool,
    out: np.ndarray,
    kept: np.ndarray,
) -> None:
    """Reads of all steps; `memory` (B, heads, K, V) becomes the last one; `kept` gets those at chunks' starts."""
    steps, columns, heads, keys = k.shape
    values = v.shape[3]
    error = np.empty((1, values), k.dtype)
    for b in range(columns):
        for h in range(heads):
            S = memory[b, h]
            for t in range(steps):
                if t % CHUNK == 0:
                    kept[t // CHUNK, b, h] = S
                if starts[t, b]:
                    S[:] = initial[h]
                decay, strength = gate[t, b, h], beta[t, b, h]
                _miss(S, k, v, (t, b, h), decay, corrects, error, 0)
                for j in range(values):
                    out[t, b, h, j] = 0
                for i in range(keys):
                    written, query = strength * k[t, b, h, i], q[t, b, h, i]
                    for j in range(values):
                        S[i, j] = decay * S[i, j] + written * error[0, j]
                        out[t, b, h, j] += query * S[i, j]


@_jit
def _miss(
    S: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    at: tuple[int, int, int],
    gate: Any,
    corrects: bool,
    error: np.ndarray,
    n: int,
) -> None:
    """error (., V) at n = v - gate S^T k, or v: the write is S <- gate S + beta k error^T."""
    t, b, h = at
    for j in range(S.shape[1]):
        error[n, j] = v[t, b, h, j]
    if corrects:
        for i in range(S.shape[0]):
            known = gate * k[t, b, h, i]
            for j in range(S.shape[1]):
                error[n, j] -= known * S[i, j]


@_jit
def _delta_backward(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    beta: np.ndarray,
    gate: np.ndarray,
    starts: np.ndarray,
    initial: np.ndarray,
    corrects: bool,
    kept: np.ndarray,
    d_out: np.ndarray,
    d_memory: np.ndarray,
    d_q: np.ndarray,
    d_k: np.ndarray,
    d_v: np.ndarray,
    d_beta: np.ndarray,
    d_gate: np.ndarray,
    d_initial: np.ndarray,
) -> None:
    """All gradients; `d_memory` is that of the last memory and becomes that of the first."""
    steps, columns, heads, keys = k.shape
    values = v.shape[3]
    before = np.empty((CHUNK + 1, keys, values), k.dtype)  # S of a chunk's steps before they decay and write
    errors = np.empty((CHUNK, values), k.dtype)
    for b in range(columns):
        for h in range(heads):
            dS = d_memory[b, h]
            for chunk in range((steps - 1) // CHUNK, -1, -1):
                first, last = chunk * CHUNK, min(steps, (chunk + 1) * CHUNK)
                before[0] = kept[chunk, b, h]
                for t in range(first, last):
                    S, after = before[t - first], before[t - first + 1]
                    decay, strength = gate[t, b, h], beta[t, b, h]
                    if starts[t, b]:
                        S[:] = initial[h]
                    _miss(S, k, v, (t, b, h), decay, corrects, errors, t - first)
                    for i in range(keys):
                        written = strength * k[t, b, h, i]
                        for j in range(values):
                            after[i, j] = decay * S[i, j] + written * errors[t - first, j]
                for t in range(last - 1, first - 1, -1):
                    d_beta[t, b, h], d_gate[t, b, h] = _unwrite(
                        dS, before[t - first], errors[t - first], q[t, b, h], k[t, b, h], beta[t, b, h],
                        gate[t, b, h], corrects, d_out[t, b, h], d_q[t, b, h], d_k[t, b, h], d_v[t, b, h],
                    )  # fmt: skip
                    if starts[t, b]:
                        for i in range(keys):
                            for j in range(values):
                                d_initial[h, i, j] += dS[i, j]
                                dS[i, j] = 0


@_jit
def _unwrite(
    dS: np.ndarray,
    S: np.ndarray,
    error: np.ndarray,
    q: np.ndarray,
    k: np.ndarray,
    beta: Any,
    gate: Any,
    corrects: bool,
    d_o: np.ndarray,
    d_q: np.ndarray,
    d_k: np.ndarray,
    d_v: np.ndarray,
) -> Any:
    """One step back: S (K, V) is the memory before it, dS turns from the gradient after it into that before it."""
    keys, values = S.shape
    zero = dS.dtype.type(0)
    d_v[:] = zero
    for i in range(keys):
        total = zero
        for j in range(values):
            dS[i, j] += q[i] * d_o[j]
            d_v[j] += k[i] * dS[i, j]
            total += dS[i, j] * error[j]
        d_k[i] = beta * total
    d_beta, d_gate, read = zero, zero, zero
    for j in range(values):
        d_beta += d_v[j] * error[j]
        read += error[j] * d_o[j]
        d_v[j] *= beta
    for i in range(keys):
        known = gate * k[i] if corrects else zero
        erased, seen, decayed = zero, zero, zero
        for j in range(values):
            erased += S[i, j] * d_v[j]
            seen += S[i, j] * d_o[j]
            decayed += S[i, j] * dS[i, j]
            dS[i, j] = gate * dS[i, j] - known * d_v[j]
        if corrects:
            d_k[i] -= gate * erased
            decayed -= k[i] * erased
        d_gate += decayed
        d_q[i] = gate * seen + beta * k[i] * read
    return d_beta, d_gate


class _DeltaScan(torch.autograd.Function):
    """The kernels above between PyTorch's tensors; arguments as `scanned`, with all of them given."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        beta: Tensor,
        gate: Tensor,
        memory: Tensor,
        initial: Tensor,
        starts: Tensor,
        corrects: bool,
    ) -> tuple[Tensor, Tensor]:
        inputs = [part.contiguous() for part in (q, k, v, beta, gate, starts)]
        memory, initial, out = memory.clone(), initial.contiguous(), torch.empty_like(inputs[2])
        kept = memory.new_empty(-(-len(q) // CHUNK), *memory.shape)
        _delta_forward(*map(_array, (*inputs, memory, initial)), corrects, _array(out), _array(kept))
        ctx.corrects = corrects
        ctx.save_for_backward(*inputs, initial, kept)
        return out, memory

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_out: Tensor, d_memory: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, initial, kept = ctx.saved_tensors
        d_memory, d_initial = d_memory.clone(memory_format=torch.contiguous_format), torch.zeros_like(initial)
        gradients = [torch.empty_like(part) for part in inputs[:5]]
        arrays = map(_array, (kept, d_out.contiguous(), d_memory, *gradients, d_initial))
        _delta_backward(*map(_array, (*inputs, initial)), ctx.corrects, *arrays)
        return (*gradients, d_memory, d_initial, None, None)


def scanned(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    memory: Tensor,
    episode_start: Tensor,
    *,
    beta: Tensor | None = None,
    log_gate: Tensor | None = None,
    initial: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`chunked` as compiled loops, one memory after the other; the same arguments and results.

    The backward pass makes the memories of `CHUNK` steps anew from one that was kept, so that it needs neither all of
    them nor to run the decay backwards, which would multiply errors.
    """
    if query.device.type != "cpu":
        raise ValueError(f'the form "compiled" runs on the CPU, not on {query.device}: set core.form = "parallel"')
    ones = query.new_ones(query.shape[:3])
    return _DeltaScan.apply(  # type: ignore[no-any-return]
        query,
        key,
        value,
        ones if beta is None else beta.squeeze(-1),
        ones if log_gate is None else log_gate.squeeze(-1).exp(),
        memory,
        query.new_zeros(memory.shape[1:]) if initial is None else initial.expand(1, *memory.shape[1:])[0],
        episode_start,
        beta is not None,
    )


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()
