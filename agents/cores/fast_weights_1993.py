"""The recurrent net of 1993 whose every weight is fast."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from .core import Recurrence, State


@final
class FastWeights1993(Recurrence):
    """y(t) = tanh(w(t-1) l(t)), then w_ij(t) = sigma(w_ij(t-1) + g(y_i(t)) h(l_j(t))), with l(t) = [x(t), y(t-1), 1].

    Schmidhuber, Reducing the ratio between learning complexity and number of time-varying variables in fully recurrent
    nets, ICANN 1993:460-463: n units have n (n + D) weights as memory, addressed by "internal spotlights of attention".
    g and h must be near zero except for extreme activations: here the third power of inputs clipped to [-1, 1]. sigma
    clips to [-bound, bound]. The weights at an episode's start are learned; the state is y and the difference between w
    and these.

    Args:
        input_size: D, width of the input.
        size: n = H, number of units.
        bound: largest absolute value of a fast weight.
        options: `learn_initial_state` and `form` of `Core`.
    """

    def __init__(self, input_size: int, size: int = 64, bound: float = 2.0, **options: Any) -> None:
        super().__init__(input_size, size, **options)
        self.bound = bound
        sources = input_size + size + 1
        self.slow = nn.Parameter(torch.empty(size, sources).uniform_(-1, 1) * sources**-0.5)
        self.set_initial_state(torch.zeros(size), torch.zeros(size, sources))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """x and the constant 1 (..., D + 1)."""
        return (torch.cat((x, torch.ones_like(x[..., :1])), -1),)

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """One step of the units, then of the weights; the state is y (B, n) and w minus its start (B, n, n + D + 1)."""
        (x,), (y, shift) = inputs, state
        sources = torch.cat((x, y), -1)
        weights = self.slow + shift
        y = torch.tanh((weights @ sources.unsqueeze(-1)).squeeze(-1))
        change = y.pow(3).unsqueeze(-1) * sources.clamp(-1, 1).pow(3).unsqueeze(-2)
        return y, (y, (weights + change).clamp(-self.bound, self.bound) - self.slow)
