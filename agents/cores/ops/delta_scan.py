"""The delta rules' compiled loops for the CPU, with gradients written out.

All arrays are flat: a row is one head of one column, its fast weights S are K x V numbers, and V is a multiple of
`LANES`. Columns are processed in blocks whose memories stay in the cache through all steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .compiled import as_flat, fast
from .vectors import LANES, full, load, spread, store, total

CHUNK = 16  # steps between memories that the forward pass stores for the backward pass
BLOCK = 8192  # fast weights in a block of columns, or in one column if that has more
Arrays = tuple[np.ndarray, ...]  # q, k (T, B, heads, K), v (T, B, heads, V), beta, gate (T, B, heads), starts (T, B)


@fast
def _block(heads: int, size: int) -> int:
    """Rows of a block: all heads of its columns, of `size` fast weights each."""
    return max(1, BLOCK // (heads * size)) * heads


@fast
def _delta_forward(
    inputs: Arrays,
    memory: np.ndarray,
    initial: np.ndarray,
    corrects: bool,
    out: np.ndarray,
    kept: np.ndarray,
    shape: tuple[int, ...],
) -> None:
    """Writes the reads of all steps to `out`; `memory` (B, heads, K, V) becomes the last one.

    `kept`, unless it is empty, receives the memories at the starts of chunks.
    """
    q, k, v, beta, gate, starts = inputs
    steps, columns, heads, keys, values = shape
    rows, size = columns * heads, keys * values
    block, error = _block(heads, size), np.empty(values, k.dtype)
    for begin in range(0, rows, block):
        end = min(rows, begin + block)
        for t in range(steps):
            if len(kept) and t % CHUNK == 0:
                _copy(memory, begin * size, kept, (t // CHUNK * rows + begin) * size, (end - begin) * size)
            for row in range(begin, end):
                at = t * rows + row
                if starts[t * columns + row // heads]:
                    _copy(initial, row % heads * size, memory, row * size, size)
                _advance(
                    memory, row * size, memory, row * size, q, k, v, at, beta[at], gate[at], corrects, error, 0, out,
                    at * values, keys, values,
                )  # fmt: skip


@fast
def _copy(source: np.ndarray, start: int, target: np.ndarray, at: int, size: int) -> None:
    """target[at : at + size] = source[start : start + size]."""
    for j in range(0, size, LANES):
        store(target, at + j, load(source, start + j))


@fast
def _advance(
    before: np.ndarray,
    s: int,
    after: np.ndarray,
    a: int,
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    at: int,
    beta: Any,
    gate: Any,
    corrects: bool,
    errors: np.ndarray,
    e: int,
    out: np.ndarray,
    o: int,
    keys: int,
    values: int,
) -> None:
    """One step of one row: S at `before[s]` becomes gate S + beta k error^T at `after[a]`, which q reads to `out[o]`.

    error = v - gate S^T k, or v, is left at `errors[e]`.
    """
    zero = v.dtype.type(0)
    for j in range(0, values, LANES):
        error, read = load(v, at * values + j), full(zero)
        if corrects:
            known = full(zero)
            for i in range(keys):
                known = known + spread(k, at * keys + i) * load(before, s + i * values + j)
            error = error - gate * known
        store(errors, e + j, error)
        error = beta * error
        for i in range(keys):
            part = gate * load(before, s + i * values + j) + spread(k, at * keys + i) * error
            store(after, a + i * values + j, part)
            read = read + spread(q, at * keys + i) * part
        store(out, o + j, read)


@fast
def _delta_backward(
    inputs: Arrays,
    initial: np.ndarray,
    corrects: bool,
    kept: np.ndarray,
    d_out: np.ndarray,
    d_memory: np.ndarray,
    gradients: Arrays,
    d_initial: np.ndarray,
    shape: tuple[int, ...],
) -> None:
    """Writes all gradients; `d_memory` is the last memory's gradient and becomes the first one's."""
    q, k, v, beta, gate, starts = inputs
    d_q, d_k, d_v, d_beta, d_gate = gradients
    steps, columns, heads, keys, values = shape
    rows, size = columns * heads, keys * values
    block = min(rows, _block(heads, size))
    before = np.empty((CHUNK + 1) * block * size, k.dtype)  # S of a chunk's steps before they decay and write
    errors, read = np.empty(CHUNK * block * values, k.dtype), np.empty(values, k.dtype)
    for begin in range(0, rows, block):
        end = min(rows, begin + block)
        for chunk in range((steps - 1) // CHUNK, -1, -1):
            first, last = chunk * CHUNK, min(steps, (chunk + 1) * CHUNK)
            _copy(kept, (chunk * rows + begin) * size, before, 0, (end - begin) * size)
            for t in range(first, last):
                for row in range(begin, end):
                    at, n = t * rows + row, (t - first) * block + row - begin
                    if starts[t * columns + row // heads]:
                        _copy(initial, row % heads * size, before, n * size, size)
                    _advance(
                        before, n * size, before, (n + block) * size, q, k, v, at, beta[at], gate[at], corrects, errors,
                        n * values, read, 0, keys, values,
                    )  # fmt: skip
            for t in range(last - 1, first - 1, -1):
                for row in range(begin, end):
                    at, n = t * rows + row, (t - first) * block + row - begin
                    d_beta[at], d_gate[at] = _retreat(
                        d_memory, row * size, before, n * size, errors, n * values, q, k, at, beta[at], gate[at],
                        corrects, d_out, d_q, d_k, d_v, keys, values,
                    )  # fmt: skip
                    if starts[t * columns + row // heads]:
                        _move(d_memory, row * size, d_initial, row % heads * size, size)


@fast
def _move(source: np.ndarray, start: int, target: np.ndarray, at: int, size: int) -> None:
    """Adds source[start : start + size] to target[at : at + size], then sets the source to zero."""
    zero = source.dtype.type(0)
    for j in range(0, size, LANES):
        store(target, at + j, load(target, at + j) + load(source, start + j))
        store(source, start + j, full(zero))


@fast
def _retreat(
    dS: np.ndarray,
    d: int,
    S: np.ndarray,
    s: int,
    errors: np.ndarray,
    e: int,
    q: np.ndarray,
    k: np.ndarray,
    at: int,
    beta: Any,
    gate: Any,
    corrects: bool,
    d_out: np.ndarray,
    d_q: np.ndarray,
    d_k: np.ndarray,
    d_v: np.ndarray,
    keys: int,
    values: int,
) -> Any:
    """One step of one row backwards; returns the gradients of beta and gate.

    S[s] is the memory before the step; dS[d] changes from the gradient after the step to the one before it.
    """
    zero = dS.dtype.type(0)
    ka, va, erasing = at * keys, at * values, gate if corrects else zero
    d_beta, d_gate, shared = full(zero), full(zero), full(zero)
    for j in range(0, values, LANES):
        d_o, error, d_value, known = load(d_out, va + j), load(errors, e + j), full(zero), full(zero)
        for i in range(keys):
            part = load(dS, d + i * values + j) + spread(q, ka + i) * d_o
            store(dS, d + i * values + j, part)
            d_value = d_value + spread(k, ka + i) * part
            known = known + spread(k, ka + i) * load(S, s + i * values + j)
        d_beta = d_beta + d_value * error
        shared = shared + error * d_o
        d_value = beta * d_value
        if corrects:
            d_gate = d_gate - known * d_value
        store(d_v, va + j, d_value)
    read = beta * total(shared)
    for i in range(keys):
        erased, d_key, d_query = erasing * spread(k, ka + i), full(zero), full(zero)
        for j in range(0, values, LANES):
            row, part, d_value = load(S, s + i * values + j), load(dS, d + i * values + j), load(d_v, va + j)
            d_key = d_key + beta * (part * load(errors, e + j)) - erasing * (row * d_value)
            d_query = d_query + row * load(d_out, va + j)
            d_gate = d_gate + row * part
            store(dS, d + i * values + j, gate * part - erased * d_value)
        d_k[ka + i] = total(d_key)
        d_q[ka + i] = gate * total(d_query) + k[ka + i] * read
    return total(d_beta), total(d_gate)


class _DeltaScan(torch.autograd.Function):
    """The loops above for PyTorch's tensors; arguments as in `scanned`, none left out."""

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
        memory, initial = memory.clone(memory_format=torch.contiguous_format), initial.contiguous()
        out = torch.empty_like(inputs[2])
        kept = memory.new_empty(-(-len(q) // CHUNK) if any(ctx.needs_input_grad) else 0, *memory.shape)
        ctx.corrects, ctx.shape = corrects, (*k.shape, v.shape[3])
        arrays = tuple(map(as_flat, inputs))
        _delta_forward(
            arrays, as_flat(memory), as_flat(initial), corrects, as_flat(out), as_flat(kept), ctx.shape
        )  # fmt: skip
        ctx.save_for_backward(*inputs, initial, kept)
        return out, memory

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_out: Tensor, d_memory: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, initial, kept = ctx.saved_tensors
        d_memory, d_initial = d_memory.clone(memory_format=torch.contiguous_format), torch.zeros_like(initial)
        gradients = [torch.empty_like(part) for part in inputs[:5]]
        _delta_backward(
            tuple(map(as_flat, inputs)), as_flat(initial), ctx.corrects, as_flat(kept), as_flat(d_out.contiguous()),
            as_flat(d_memory), tuple(map(as_flat, gradients)), as_flat(d_initial), ctx.shape,
        )  # fmt: skip
        return (*gradients, d_memory, d_initial, None, None)


_delta_scan: Callable[..., tuple[Tensor, Tensor]] = _DeltaScan.apply


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

    The backward pass recomputes the memories of `CHUNK` steps from a stored one: it neither stores all of them nor runs
    the decay backwards, which would amplify errors.

    Raises:
        ValueError: the tensors are not on the CPU.
    """
    if query.device.type != "cpu":
        raise ValueError(f'the form "compiled" runs on the CPU, not on {query.device}: set core.form = "parallel"')
    ones = query.new_ones(query.shape[:3])
    out, last = _delta_scan(
        query,
        key,
        _padded(value),
        ones if beta is None else beta.squeeze(-1),
        ones if log_gate is None else log_gate.squeeze(-1).exp(),
        _padded(memory),
        _padded(query.new_zeros(memory.shape[1:]) if initial is None else initial.expand(1, *memory.shape[1:])[0]),
        episode_start,
        beta is not None,
    )
    return out[..., : value.shape[3]], last[..., : value.shape[3]]


def _padded(values: Tensor) -> Tensor:
    """Pads (..., V) with zeros to a multiple of `LANES`."""
    spare = -values.shape[-1] % LANES
    return F.pad(values, (0, spare)) if spare else values
