"""Connections with a slow and a fast weight."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from .core import Recurrence, State
from .ops.checks import within

RULES = ("hebb", "delta")


@final
class DynamicLinks(Recurrence):
    """h(t) = tanh((W + S(t-1)) z), S(t) = decay S(t-1) + rate (h(t) - e) z^T / |z|^2, z = (1, x(t), h(t-1)); y = h.

    Every connection has a slow weight W, learned by gradient, and a fast weight S, which changes at once with the
    activity at its two ends and decays: von der Malsburg, The correlation theory of brain function (1981); Feldman,
    Dynamic connections in neural networks, Biological Cybernetics 46:27-39 (1982); Hinton & Plaut (1987). By Hebb's
    rule e = 0; by the delta rule e = S(t-1) z, what the fast weights say already. Dividing by |z|^2 keeps S bounded for
    inputs of any scale, and with it a second visit to a state meets what the first one wrote, times `rate`.

    Args:
        input_size: D, width of the input.
        size: H, number of units.
        decay: share of S kept per step, in [0, 1].
        rate: of the fast weights, in [0, 1].
        rule: "hebb" or "delta".
        options: `learn_initial_state` and `form` of `Core`.

    Raises:
        ValueError: decay or rate outside [0, 1], or another rule.
    """

    def __init__(
        self,
        input_size: int,
        size: int = 64,
        decay: float = 0.95,
        rate: float = 0.5,
        rule: str = "hebb",
        **options: Any,
    ) -> None:
        if rule not in RULES:
            raise ValueError(f"rule must be one of {RULES}, not {rule!r}")
        for name, share in {"decay": decay, "rate": rate}.items():
            if not within(share, 0, 1):
                raise ValueError(f"{name} must be a number in [0, 1], not {share!r}")
        super().__init__(input_size, size, **options)
        self.decay, self.rate, self.rule = decay, rate, rule
        self.read, self.recall = nn.Linear(input_size, size), nn.Linear(size, size, bias=False)
        self.set_initial_state(torch.zeros(size), torch.zeros(size, 1 + input_size + size))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """What the slow weights make of the input (..., H), and the sources (..., 1 + D) that are known before h."""
        return self.read(x), torch.cat((torch.ones_like(x[..., :1]), x), -1)

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Reads, then changes the fast weights; the state is h (B, H) and S (B, H, 1 + D + H)."""
        (drive, known), (h, fast) = inputs, state
        z = torch.cat((known, h), -1)
        said = (fast @ z.unsqueeze(-1)).squeeze(-1)
        h = torch.tanh(drive + self.recall(h) + said)
        key = z / z.square().sum(-1, keepdim=True)
        change = h if self.rule == "hebb" else h - said
        fast = torch.baddbmm(fast, change.unsqueeze(-1), key.unsqueeze(-2), beta=self.decay, alpha=self.rate)
        return h, (h, fast)
