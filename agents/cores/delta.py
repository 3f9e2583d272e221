"""Fast weights programmed by the delta rule, with or without a gate, once or several times per step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .core import Form, State
from .fast_weights import FastWeights, Heads
from .ops.checks import whole, within
from .ops.chunked import chunked, read, write_delta
from .ops.delta_scan import scanned


@final
class Delta(FastWeights):
    """S(t) = a (I - beta k k^T) S(t-1) + beta k v^T, o = S^T q, with q, k, v, beta from x(t), q and k through phi.

    Schlag, Irie & Schmidhuber, arXiv 2102.11174 (2021): what the key reads is replaced by the value, by a share beta.
    `gate` adds a = exp(-exp(A) softplus(w x + b)) in (0, 1] (gated delta: Yang, Kautz & Hatamizadeh, arXiv 2412.06464);
    without it a = 1. `updates` writes several (k, v, beta) per step before it reads (delta product: Siems et al.,
    arXiv 2502.10297).

    Args:
        input_size: D, width of the input.
        features: name of the feature map; "elu" and "dpfp1" to "dpfp3" as in 2021, "silu" (unit keys) as in 2024.
        gate: whether S decays by a learned factor a per head and step.
        updates: n >= 1, number of writes per step.
        beta_max: beta = beta_max logistic(.); 1, or 2 for eigenvalues down to -1 (parity, state tracking).
        options: keywords of `FastWeights` and `Core`.

    Raises:
        ValueError: updates below 1, or beta_max outside (0, 2].
    """

    forms: tuple[Form, ...] = ("compiled", "parallel", "packed", "loop")

    def __init__(
        self,
        input_size: int,
        features: str = "silu",
        gate: bool = False,
        updates: int = 1,
        beta_max: float = 1.0,
        **options: Any,
    ) -> None:
        whole("updates", updates)
        if not within(beta_max, 0, 2) or beta_max == 0:
            raise ValueError(f"beta_max must be in (0, 2], where writes are stable, not {beta_max!r}")
        super().__init__(input_size, features=features, **options)
        self.gate, self.updates, self.beta_max = gate, updates, beta_max
        widths = (self.key_size, *[self.key_size, self.value_size, 1] * updates, *[1] * gate)
        self.slow = Heads(input_size, self.heads, widths)
        if gate:
            # Decay rates from 1 to 16, times step sizes from 0.001 to 0.1: memories of 1 to 1000 steps.
            step = torch.empty(self.heads).uniform_(-6.9, -2.3).exp()
            self.rate = nn.Parameter(torch.empty(self.heads).uniform_(1, 16).log())
            self.offset = nn.Parameter(step.expm1().log())
        self.set_initial_state(torch.zeros(self.heads, self.features.size, self.value_size))

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        """q (..., heads, K'), then k, v (..., heads, V), beta (..., heads, 1) of each update, then log a if gated."""
        q, pairs, rate = self._sort(self.slow(x))
        gate = () if rate is None else (self._log_gate(rate),)
        keys = [self.phi(key) for key in pairs[::3]]
        betas = [self.beta_max * torch.sigmoid(beta) for beta in pairs[2::3]]
        updates = [part for update in zip(keys, pairs[1::3], betas, strict=True) for part in update]
        return (self.phi(q), *updates, *gate)

    def _sort(self, parts: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor], Tensor | None]:
        """q; the key, value and beta of each update in turn; and the gate, if there is one."""
        end = 1 + 3 * self.updates
        return parts[0], parts[1:end], parts[end] if self.gate else None

    def _log_gate(self, x: Tensor) -> Tensor:
        return -self.rate.exp()[:, None] * F.softplus(x + self.offset[:, None])

    def advance(self, inputs: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Decays, writes, then reads; the state is S (B, heads, K', V)."""
        (q, pairs, gate), (memory,) = self._sort(inputs), state
        if gate is not None:
            memory = gate.exp().unsqueeze(-1) * memory
        for i in range(0, len(pairs), 3):
            memory = write_delta(memory, *pairs[i : i + 3])
        return read(memory, q), (memory,)

    def parallel(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """`forward` by the WY form in chunks."""
        return self._over_time(chunked, x, state, episode_start)

    def compiled(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """`forward` by compiled loops over the steps of each memory."""
        return self._over_time(scanned, x, state, episode_start)

    def _over_time(
        self, rule: Callable[..., Any], x: Tensor, state: State, episode_start: Tensor
    ) -> tuple[Tensor, State]:
        """Runs all steps with `rule`. Each of n updates is its own step, and the last one reads."""
        q, pairs, gate = self._sort(self.project(x))
        key, value, beta = (self._interleave(pairs[i::3]) for i in range(3))
        out, memory = rule(
            self._spread(q, last=True),
            key,
            value,
            state[0],
            self._spread(episode_start),
            beta=beta,
            log_gate=None if gate is None else self._spread(gate),
            initial=self.learned(),
        )
        return self.emit(out[self.updates - 1 :: self.updates], x), (memory,)

    def _interleave(self, parts: Sequence[Tensor]) -> Tensor:
        return parts[0] if len(parts) == 1 else torch.stack(tuple(parts), 1).flatten(0, 1)

    def _spread(self, x: Tensor, last: bool = False) -> Tensor:
        """x at the first (or last) update of each step, zero at the others."""
        zeros = [torch.zeros_like(x)] * (self.updates - 1)
        return self._interleave([*zeros, x] if last else [x, *zeros])
