"""Divides rows by their length or root mean square, in PyTorch or in compiled loops for the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from .compiled import as_flat, fast
from .vectors import LANES, full, load, spread, store, total

EPSILON = 1e-6  # added to a sum of squares
MEAN_EPSILON = 1e-5  # added to a mean of squares


@fast
def _divide(x: np.ndarray, weight: np.ndarray, share: float, epsilon: float, y: np.ndarray, rates: np.ndarray) -> None:
    """y = weight x rate, rate = (share |x|^2 + epsilon)^(-1/2), for every row of x and y (R K), weight (K)."""
    width, zero = len(weight), x.dtype.type(0)
    whole = width - width % LANES
    for row in range(len(rates)):
        at, squares = row * width, full(zero)
        for j in range(0, whole, LANES):
            part = load(x, at + j)
            squares = squares + part * part
        square = total(squares)
        for j in range(whole, width):
            square += x[at + j] * x[at + j]
        rates[row] = 1 / np.sqrt(share * square + epsilon)
        for j in range(0, whole, LANES):
            store(y, at + j, spread(rates, row) * load(x, at + j) * load(weight, j))
        for j in range(whole, width):
            y[at + j] = rates[row] * x[at + j] * weight[j]


@fast
def _divide_back(
    x: np.ndarray,
    weight: np.ndarray,
    share: float,
    rates: np.ndarray,
    d_y: np.ndarray,
    pulls: np.ndarray,
    d_x: np.ndarray,
    d_weight: np.ndarray,
) -> None:
    """d_x = rate weight d_y - pull x, pull = share rate^3 (weight d_y . x); adds rate d_y x to d_weight (K)."""
    width, zero = len(weight), x.dtype.type(0)
    whole = width - width % LANES
    for row in range(len(rates)):
        at, along = row * width, full(zero)
        for j in range(0, whole, LANES):
            part = load(d_y, at + j) * load(x, at + j)
            along = along + load(weight, j) * part
            store(d_weight, j, load(d_weight, j) + spread(rates, row) * part)
        product = total(along)
        for j in range(whole, width):
            product += weight[j] * d_y[at + j] * x[at + j]
            d_weight[j] += rates[row] * d_y[at + j] * x[at + j]
        pulls[row] = share * rates[row] ** 3 * product
        for j in range(0, whole, LANES):
            pulled = spread(pulls, row) * load(x, at + j)
            store(d_x, at + j, spread(rates, row) * load(weight, j) * load(d_y, at + j) - pulled)
        for j in range(whole, width):
            d_x[at + j] = rates[row] * weight[j] * d_y[at + j] - pulls[row] * x[at + j]


class _Divided(torch.autograd.Function):
    """The loops above for PyTorch's tensors: x (..., K), weight (K,)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, share: float, epsilon: float) -> Tensor:
        x, weight = x.contiguous(), weight.contiguous()
        y, rates = torch.empty_like(x), x.new_empty(x.shape[:-1])
        _divide(as_flat(x), as_flat(weight), share, epsilon, as_flat(y), as_flat(rates))
        ctx.save_for_backward(x, weight, rates)
        ctx.share = share
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, weight, rates = ctx.saved_tensors
        d_x, d_weight = torch.empty_like(x), torch.zeros_like(weight)
        _divide_back(
            as_flat(x), as_flat(weight), ctx.share, as_flat(rates), as_flat(d_y.contiguous()),
            as_flat(torch.empty_like(rates)), as_flat(d_x), as_flat(d_weight),
        )  # fmt: skip
        return d_x, d_weight, None, None


_divided: Callable[[Tensor, Tensor, float, float], Tensor] = _Divided.apply


def unit(x: Tensor, compiled: bool = False) -> Tensor:
    """x (..., K) divided by its length."""
    if compiled:
        return _divided(x, x.new_ones(x.shape[-1]), 1.0, EPSILON)
    return x * (x.square().sum(-1, keepdim=True) + EPSILON).rsqrt()


@final
class RMSNorm(nn.RMSNorm):
    """w x / (mean x^2 + epsilon)^(1/2) over the last axis, w learned (Zhang & Sennrich, arXiv 1910.07467).

    Args:
        size: K, width of the last axis.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size, eps=MEAN_EPSILON)

    def forward(self, x: Tensor, compiled: bool = False) -> Tensor:
        """Normalises (..., K)."""
        if compiled:
            return _divided(x, self.weight, 1.0 / x.shape[-1], MEAN_EPSILON)
        return super().forward(x)
