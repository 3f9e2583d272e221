"""Weight matrices that change themselves: the form of 2022 and that of 1992."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor, nn

from .core import Recurrence, State
from .fast_weights import FastWeights, Heads
from .ops.chunked import read, write


@final
class SelfReferential(FastWeights):
    """[o, q, k, b] = W(t-1)^T phi(x), then W(t) = W(t-1) + phi(k) (beta o (W(t-1)^T (phi(q) - phi(k))))^T.

    A delta rule: what phi(k) reads is replaced by what phi(q) reads, by a share beta = logistic(b), with four rates
    for the parts of W that give o, q, k and b; phi is softmax. Irie, Schlag, Csordas & Schmidhuber, ICML 2022, arXiv
    2202.05780, after Schmidhuber 1992-93. The state is the difference from the slow W, a parameter, so a
    reset restores the slow W.

    The authors' code begins with a smaller slow W, of standard deviation K^-0.5, and with b around -1; it does not pass
    x through softmax. Here softmax shrinks x, and a W of standard deviation 1 makes up for it.

    Args:
        input_size: D, width of the input.
        initial_std: of the slow W, before training.
        options: keywords of `FastWeights`, without `features`, and of `Core`.
    """

    part: Tensor

    def __init__(self, input_size: int, initial_std: float = 1.0, **options: Any) -> None:
        super().__init__(input_size, features="softmax", **options)
        self.parts = (self.value_size, self.key_size, self.key_size, 4)
        self.read = Heads(input_size, self.heads, (self.key_size,))
        self.slow = nn.Parameter(initial_std * torch.randn(self.heads, self.key_size, sum(self.parts)))
        self.register_buffer("part", torch.arange(4).repeat_interleave(torch.tensor(self.parts)), persistent=False)
        self.set_initial_state(torch.zeros_like(self.slow))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """phi(x) (..., heads, K)."""
        return (self.phi(*self.read(x)),)

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Reads, then changes W; the state is W's difference from the slow W, (B, heads, K, V + 2 K + 4)."""
        (x,), (shift,) = inputs, state
        weights = self.slow + shift
        out, q, k, b = read(weights, x).split_with_sizes(self.parts, -1)
        key = self.phi(k)
        change = read(weights, self.phi(q) - key)
        return out, (write(shift, key, torch.sigmoid(b)[..., self.part] * change),)


@final
class SelfReferential1992(Recurrence):
    """A recurrent net whose units address its own connections: each step reads one weight and changes one.

    u(t) = f(w(t-1) [x(t), u(t-1), val(t-1), 1]); val(t) = sum_c g(|ana(t) - adr_c|^2) w_c(t-1);
    w_c(t) = w_c(t-1) + Delta(t) g(|mod(t) - adr_c|^2). Units ana and mod (logistic) spell the binary address adr_c of a
    connection c, Delta and all others are tanh. Schmidhuber, ICANN 1993:446-451 and TR CU-CS-627-92. The paper's
    evaluative input, if the environment has one, is part of x. g(a) = exp(-sharpness a); with 4 log 2 the weights of
    all 2^n addresses sum to 1 for an undecided address, and to at most 1.07^n. State: u, val, w minus the slow w.

    Args:
        input_size: D, width of the input.
        size: H, number of output units.
        hidden: number of further units.
        sharpness: of g.
        options: `learn_initial_state` and `form` of `Core`.
    """

    addresses: Tensor

    def __init__(
        self, input_size: int, size: int = 16, hidden: int = 16, sharpness: float = 4 * math.log(2), **options: Any
    ) -> None:
        super().__init__(input_size, size, **options)
        bits = 1
        while 2**bits < (units := size + hidden + 1 + 2 * bits) * (sources := units + input_size + 2):
            bits += 1
        self.bits, self.sharpness = bits, sharpness
        self.slow = nn.Parameter(torch.empty(units, sources).uniform_(-1, 1) * sources**-0.5)
        numbers = torch.arange(units * sources)[:, None] >> torch.arange(bits)
        self.register_buffer("addresses", (numbers & 1).to(self.slow.dtype), persistent=False)
        self.set_initial_state(torch.zeros(units), torch.zeros(1), torch.zeros(units, sources))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """x and the constant 1 (..., D + 1)."""
        return (torch.cat((x, torch.ones_like(x[..., :1])), -1),)

    def _focus(self, pointer: Tensor) -> Tensor:
        """g(|pointer - adr_c|^2) (B, connections) for a pointer (B, bits)."""
        distance = pointer.square().sum(-1, keepdim=True) + (1 - 2 * pointer) @ self.addresses.T
        return torch.exp(-self.sharpness * distance)

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """One step of the units, then of val and of the weights."""
        (x,), (units, val, shift) = inputs, state
        weights = self.slow + shift
        net = (weights @ torch.cat((x, units, val), -1).unsqueeze(-1)).squeeze(-1)
        plain, pointers = net[:, : -2 * self.bits], net[:, -2 * self.bits :]
        plain, pointers = torch.tanh(plain), torch.sigmoid(pointers)
        ana, mod = pointers.chunk(2, -1)
        val = (self._focus(ana) * weights.flatten(1)).sum(-1, keepdim=True)
        shift = shift + (plain[:, -1:] * self._focus(mod)).view_as(shift)
        return plain[:, : self.output_size], (torch.cat((plain, pointers), -1), val, shift)
