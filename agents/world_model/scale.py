"""The scales of what is observed, learned from data."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor, nn

from ..common.sequences import Sequence

SMALLEST = 1e-3  # standard deviation that is told from 0, in the observation's own units
FAR = 100.0


class Scale(nn.Module):
    """Mean and spread of every observed number, of its change in a step, and the size of the rewards other than 0.

    Nets read (x - mean) / spread; M's residual units predict changes in units of their own spread. `update` takes in
    what a rollout brought, so the scales settle as experience grows. `paid` is the range of the rewards so far: row 0
    where the episode went on, row 1 at its end.

    Args:
        size: D.
        fixed: whether the scales stay at mean 0 and spread 1.
    """

    mean: Tensor
    spread: Tensor
    change: Tensor
    reward: Tensor
    paid: Tensor
    count: Tensor
    _sums: Tensor

    def __init__(self, size: int, fixed: bool = False) -> None:
        super().__init__()
        self.fixed, self._warned = fixed, False
        own = {
            **{name: torch.full((size,), value) for name, value in (("mean", 0.0), ("spread", 1.0), ("change", 1.0))},
            "reward": torch.ones(()),
            "paid": torch.tensor([[-math.inf, math.inf]] * 2),
            "count": torch.zeros((), dtype=torch.float64),
            "_sums": torch.zeros(3 * size + 2, dtype=torch.float64),
        }
        for name, value in own.items():
            self.register_buffer(name, value, persistent=not fixed)

    def forward(self, observation: Tensor) -> Tensor:
        """Observations (..., D) in units of their spread."""
        return observation if self.fixed else (observation - self.mean) / self.spread

    def scaled(self, sequence: Sequence) -> Sequence:
        """Experience (T, B, ...), changed in place, with observations and rewards in units of their spread and size."""
        if not self.fixed:
            for name in ("observation", "next_percept"):
                sequence[name][...] = self(sequence[name])
            sequence["reward"][...] /= self.reward
        return sequence

    def payable(self, reward: Tensor, at_end: bool = False) -> Tensor:
        """Rewards (...), in units of their size, within the range of those that were paid so far."""
        if self.fixed:
            return reward
        lowest, highest = self.paid[int(at_end)] / self.reward
        return reward.clamp(lowest, highest)

    def worth(self, gamma: float) -> tuple[float, float]:
        """Smallest and largest return that the rewards so far allow, in units of their size, by discount `gamma`."""
        if self.fixed or gamma == 1:
            return -math.inf, math.inf
        (low, high), (low_at_end, high_at_end) = (self.paid.nan_to_num(posinf=0.0, neginf=0.0) / self.reward).tolist()
        horizon = 1 / (1 - gamma)
        return (
            min(0.0, low) * horizon + min(0.0, low_at_end),
            max(0.0, high) * horizon + max(0.0, high_at_end),
        )

    def check(self, observation: Tensor) -> None:
        """Warns, once, of an observed number (B, D) that is `FAR` times its spread away from its mean."""
        if self._warned or not self.count:
            return
        far = self(observation).abs().amax(0)
        column = int(far.argmax())
        if far[column] > FAR:
            self._warned = True
            warnings.warn(
                f"column {column} of the observation is {far[column]:.3g} times its usual spread away from its mean: "
                "nets know little about numbers so far from those that they have seen",
                stacklevel=3,
            )

    @torch.no_grad()
    def update(self, before: Tensor, after: Tensor, reward: Tensor, terminated: Tensor) -> None:
        """Takes in steps: observations (T, N, D) before and after them, rewards and ends of episodes (T, N, 1)."""
        if self.fixed:
            return
        seen, change, pay = (part.flatten(0, 1).double() for part in (before, after - before, reward))
        self.count += len(seen)
        sums = seen.sum(0), seen.square().sum(0), change.square().sum(0), pay.square().sum(0), (pay != 0).sum(0)
        self._sums += torch.cat(sums)
        size = len(self.mean)
        mean, square, change = (part / self.count for part in self._sums[:-2].split_with_sizes([size] * 3))
        spread = (square - mean.square()).clamp(min=0).sqrt()
        still = spread < SMALLEST
        self.mean.copy_(mean)
        self.spread.copy_(torch.where(still, 1.0, spread))
        self.change.copy_((change.sqrt() / self.spread).clamp(min=1e-4))
        square_of_pay, paid = self._sums[-2:]
        self.reward.fill_((square_of_pay / paid).sqrt() if square_of_pay > 0 else 1.0)
        for known, now in zip(self.paid, (reward[terminated < 0.5], reward[terminated > 0.5]), strict=True):
            if now.numel():
                both = torch.cat((now, known[known.isfinite()]))
                known.copy_(torch.stack((both.min(), both.max())))
