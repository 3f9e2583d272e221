"""Inputs of the last steps and the time since the episode's start, side by side, as tensors and as a compiled loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .compiled import as_flat, fast
from .vectors import LANES, full, load, store

LAST, BACK = 2**23, 2**22  # an age that would be LAST goes BACK, by whole periods: float32 counts to twice as many


def lagged(
    x: Tensor, past: Tensor, age: Tensor, start: Tensor, kernel: Tensor | None, dial: Tensor, rate: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """[c(t), dial(a(t)), exp(-r a(t))], c(t) = sum_j w_j x(t-j), or x(t), x(t-1), ... side by side without weights.

    Args:
        x: (T, B, D) inputs.
        past: (B, n - 1, D), the inputs before the first, zero where an episode had not begun.
        age: (B,), steps of the episode before the first input.
        start: (T, B) bool, where an episode begins.
        kernel: w (n, D), or None.
        dial: (P, H), the clock at ages a modulo P.
        rate: r (), or None: neither a dial nor an exponential.

    Returns:
        (T, B, D or n D, plus H + 1 with a clock), and past and age before the next step.
    """
    steps, n = len(x), past.shape[1] + 1
    ages = _ages(age, start)
    ages, after = ages[:-1], ages[-1]
    row = torch.cat((past.transpose(0, 1), x))

    def lag(j: int) -> Tensor:  # no product with 0: what lies before the episode may be infinite
        return torch.where((ages >= j).unsqueeze(-1), row[n - 1 - j : n - 1 - j + steps], 0.0)

    lags = [x, *(lag(j) for j in range(1, n))]
    weighted = [w * lag for w, lag in zip(kernel, lags, strict=True)] if kernel is not None else []
    parts = [sum(weighted[1:], weighted[0])] if weighted else lags
    if rate is not None:
        parts += [dial[ages.long() % len(dial)], torch.exp(-rate * ages).unsqueeze(-1)]
    order = torch.arange(n - 1, 0, -1, device=x.device)
    past = torch.where((after[:, None] >= order).unsqueeze(-1), row[steps:].transpose(0, 1), 0.0)
    return torch.cat(parts, -1), past, after


def _ages(age: Tensor, start: Tensor) -> Tensor:
    """Steps of the episode before each step and before the next (T + 1, B)."""
    steps = torch.arange(len(start) + 1, device=age.device)[:, None]
    begun = torch.where(start, steps[:-1], -1).cummax(0).values
    begun = torch.cat((begun, begun[-1:]))
    ages = torch.where(begun < 0, age + steps, (steps - begun).to(age.dtype))
    return torch.where(ages < LAST, ages, LAST - BACK + (ages - LAST) % BACK)


Arrays = tuple[np.ndarray, ...]  # x (T, B, D), past (B, n - 1, D), kernel (n, D) or none

# Arrays are flat; a row is what one step of one sequence reads or writes.


@fast
def _lags_forward(
    inputs: Arrays,
    start: np.ndarray,
    dial: np.ndarray,
    rate: float,
    ages: np.ndarray,
    out: np.ndarray,
    after: np.ndarray,
    shape: tuple[int, ...],
) -> None:
    """Writes `out` (T, B, size), `after` (B, n - 1, D) and `ages` (T + 1, B), whose first row is given."""
    x, past, kernel = inputs
    steps, columns, width, n, size, period = shape
    own = width if len(kernel) else n * width
    hands = size - own - 1
    for t in range(steps):
        for b in range(columns):
            here = t * columns + b
            if start[here]:
                ages[here] = 0
            ages[here + columns] = ages[here] + 1 if ages[here] + 1 < LAST else LAST - BACK
            age, at = int(ages[here]), here * size
            _clear(out, at, own)
            for j in range(min(n, age + 1)):
                if t >= j:
                    _lag(out, at, x, ((t - j) * columns + b) * width, kernel, j, width)
                else:
                    _lag(out, at, past, (b * (n - 1) + n - 1 + t - j) * width, kernel, j, width)
            if size > own:
                _clear(out, at + own, hands)
                _add(out, at + own, dial, age % period * hands, hands)
                out[at + size - 1] = np.exp(-rate * ages[here])
    _clear(after, 0, len(after))
    for b in range(columns):
        for j in range(1, min(n, int(ages[steps * columns + b]) + 1)):
            at = (b * (n - 1) + n - 1 - j) * width
            if steps >= j:
                _add(after, at, x, ((steps - j) * columns + b) * width, width)
            else:
                _add(after, at, past, (b * (n - 1) + n - 1 + steps - j) * width, width)


@fast
def _lag(out: np.ndarray, at: int, source: np.ndarray, begin: int, kernel: np.ndarray, j: int, width: int) -> None:
    """Adds lag j of one row, times its weights or in its own place."""
    if len(kernel):
        _add_product(out, at, kernel, j * width, source, begin, width)
    else:
        _add(out, at + j * width, source, begin, width)


@fast
def _clear(out: np.ndarray, at: int, width: int) -> None:
    """out = 0, from the given place on."""
    zero, whole = full(out.dtype.type(0)), width - width % LANES
    for k in range(0, whole, LANES):
        store(out, at + k, zero)
    for k in range(whole, width):
        out[at + k] = 0


@fast
def _add(out: np.ndarray, at: int, a: np.ndarray, i: int, width: int) -> None:
    """out += a, from the given places on."""
    whole = width - width % LANES
    for k in range(0, whole, LANES):
        store(out, at + k, load(out, at + k) + load(a, i + k))
    for k in range(whole, width):
        out[at + k] += a[i + k]


@fast
def _add_product(out: np.ndarray, at: int, a: np.ndarray, i: int, b: np.ndarray, j: int, width: int) -> None:
    """out += a b, from the given places on."""
    whole = width - width % LANES
    for k in range(0, whole, LANES):
        store(out, at + k, load(out, at + k) + load(a, i + k) * load(b, j + k))
    for k in range(whole, width):
        out[at + k] += a[i + k] * b[j + k]


@fast
def _lags_backward(
    inputs: Arrays,
    ages: np.ndarray,
    d_out: np.ndarray,
    d_after: np.ndarray,
    gradients: Arrays,
    shape: tuple[int, ...],
) -> None:
    """Adds the gradients of the inputs to `gradients`."""
    (x, past, kernel), (d_x, d_past, d_kernel) = inputs, gradients
    steps, columns, width, n, size, _ = shape
    for t in range(steps):
        for b in range(columns):
            at = (t * columns + b) * size
            for j in range(min(n, int(ages[t * columns + b]) + 1)):
                if t >= j:
                    _unlag(d_out, at, x, d_x, ((t - j) * columns + b) * width, kernel, d_kernel, j, width)
                else:
                    begin = (b * (n - 1) + n - 1 + t - j) * width
                    _unlag(d_out, at, past, d_past, begin, kernel, d_kernel, j, width)
    for b in range(columns):
        for j in range(1, min(n, int(ages[steps * columns + b]) + 1)):
            at = (b * (n - 1) + n - 1 - j) * width
            if steps >= j:
                _add(d_x, ((steps - j) * columns + b) * width, d_after, at, width)
            else:
                _add(d_past, (b * (n - 1) + n - 1 + steps - j) * width, d_after, at, width)


@fast
def _unlag(
    d_out: np.ndarray,
    at: int,
    source: np.ndarray,
    d_source: np.ndarray,
    begin: int,
    kernel: np.ndarray,
    d_kernel: np.ndarray,
    j: int,
    width: int,
) -> None:
    """The gradient of `_lag`."""
    if len(kernel):
        _add_product(d_kernel, j * width, d_out, at, source, begin, width)
        _add_product(d_source, begin, d_out, at, kernel, j * width, width)
    else:
        _add(d_source, begin, d_out, at + j * width, width)


class _Lags(torch.autograd.Function):
    """The loops above for PyTorch's tensors; arguments as in `lagged`, but for an empty kernel in place of None."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        past: Tensor,
        age: Tensor,
        start: Tensor,
        kernel: Tensor,
        dial: Tensor,
        rate: Tensor,
        size: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        x, past, start = x.contiguous(), past.contiguous(), start.contiguous()
        ages = age.new_empty(len(x) + 1, len(age))
        ages[0] = age
        out, after = x.new_empty(*x.shape[:2], size), torch.empty_like(past)
        ctx.shape = (*x.shape, past.shape[1] + 1, size, len(dial))
        _lags_forward(
            tuple(map(as_flat, (x, past, kernel))), as_flat(start), as_flat(dial), float(rate), as_flat(ages),
            as_flat(out), as_flat(after), ctx.shape,
        )  # fmt: skip
        ctx.save_for_backward(x, past, kernel, ages, out[..., -1])
        last = ages[-1]
        ctx.mark_non_differentiable(last)
        return out, after, last

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_out: Tensor, d_after: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, ages, aged = ctx.saved_tensors
        d_out = d_out.contiguous()
        d_x, d_past, d_kernel = gradients = [torch.zeros_like(part) for part in inputs]
        _lags_backward(
            tuple(map(as_flat, inputs)), as_flat(ages), as_flat(d_out), as_flat(d_after.contiguous()),
            tuple(map(as_flat, gradients)), ctx.shape,
        )  # fmt: skip
        d_rate = -(d_out[..., -1] * ages[:-1] * aged).sum() if ctx.needs_input_grad[6] else None
        return d_x, d_past, None, None, d_kernel, None, d_rate, None


_lags: Callable[..., tuple[Tensor, Tensor, Tensor]] = _Lags.apply


def lagged_compiled(
    x: Tensor, past: Tensor, age: Tensor, start: Tensor, kernel: Tensor | None, dial: Tensor, rate: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """`lagged` as a compiled loop on the CPU; the same arguments and results."""
    size = x.shape[2] * (past.shape[1] + 1 if kernel is None else 1) + (dial.shape[1] + 1 if rate is not None else 0)
    weights = x.new_empty(0, 0) if kernel is None else kernel
    return _lags(x, past, age, start, weights, dial, x.new_zeros(()) if rate is None else rate, size)
