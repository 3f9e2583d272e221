"""The delta rules' compiled loops for the CPU, with gradients written out.

Plain scalar code under Numba, which calls nothing outside this file, so that its cache cannot miss a change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .compiled import as_array, fast

CHUNK = 16  # steps between two memories that the forward pass keeps for the backward pass


@fast
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


@fast
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


@fast
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


@fast
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
        _delta_forward(*map(as_array, (*inputs, memory, initial)), corrects, as_array(out), as_array(kept))
        ctx.corrects = corrects
        ctx.save_for_backward(*inputs, initial, kept)
        return out, memory

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_out: Tensor, d_memory: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, initial, kept = ctx.saved_tensors
        d_memory, d_initial = d_memory.clone(memory_format=torch.contiguous_format), torch.zeros_like(initial)
        gradients = [torch.empty_like(part) for part in inputs[:5]]
        arrays = map(as_array, (kept, d_out.contiguous(), d_memory, *gradients, d_initial))
        _delta_backward(*map(as_array, (*inputs, initial)), ctx.corrects, *arrays)
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
