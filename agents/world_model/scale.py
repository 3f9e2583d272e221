"""The scales of what is observed, learned from data."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor, nn

from ..common.group import largest, summed
from ..common.sequences import Sequence

SMALLEST = 1e-5  # standard deviation that is told from 0, as a share of the mean
FAR = 100.0


def varies(spread: Tensor, mean: Tensor) -> Tensor:
    """Whether numbers (D,) of a spread and a mean differ by more than rounding."""
    return spread > SMALLEST * mean.abs()


class Scale(nn.Module):
    """Mean and spread of every observed number, of its change in a step, and the size of the rewards other than 0.

    Nets read (x - mean) / spread; M's residual units predict changes in units of their own spread. `update` takes in
    what a rollout brought, that of every worker, so the scales settle as experience grows. `paid` is the range of the
    rewards so far: row 0 where the episode went on, row 1 at its end.

    Args:
        size: D.
        observations: whether observations have a scale; else it stays at mean 0 and spread 1.
        rewards: likewise.
    """

    mean: Tensor
    spread: Tensor
    change: Tensor
    reward: Tensor
    paid: Tensor
    count: Tensor
    _sums: Tensor
    _pay: Tensor

    def __init__(self, size: int, observations: bool = True, rewards: bool = True) -> None:
        super().__init__()
        self.observations, self.rewards, self._warned = observations, rewards, False
        own = {
            **{name: torch.full((size,), value) for name, value in (("mean", 0.0), ("spread", 1.0), ("change", 1.0))},
            "reward": torch.ones(()),
            "paid": torch.tensor([[-math.inf, math.inf]] * 2),
            "count": torch.zeros((), dtype=torch.float64),
            "_sums": torch.zeros(3, size, dtype=torch.float64),
            "_pay": torch.zeros(2, dtype=torch.float64),
        }
        for name, value in own.items():
            self.register_buffer(name, value, persistent=not self.fixed)

    @property
    def fixed(self) -> bool:
        """Whether nothing has a scale."""
        return not (self.observations or self.rewards)

    def forward(self, observation: Tensor) -> Tensor:
        """Observations (..., D) in units of their spread."""
        return (observation - self.mean) / self.spread if self.observations else observation

    def scaled(self, sequence: Sequence) -> Sequence:
        """Experience (T, B, ...), changed in place, with observations and rewards in units of their spread and size."""
        if self.observations:
            for name in ("observation", "next_percept"):
                sequence[name][...] = self(sequence[name])
        if self.rewards:
            sequence["reward"][...] /= self.reward
        return sequence

    def payable(self, reward: Tensor, at_end: bool = False) -> Tensor:
        """Rewards (...), in units of their size, within the range of those that were paid so far."""
        if not self.rewards:
            return reward
        lowest, highest = self.paid[int(at_end)] / self.reward
        return reward.clamp(lowest, highest)

    def worth(self, gamma: float) -> tuple[float, float]:
        """Smallest and largest return that the rewards so far allow, in units of their size, by discount `gamma`."""
        if not self.rewards or gamma == 1:
            return -math.inf, math.inf
        (low, high), (low_at_end, high_at_end) = (self.paid.nan_to_num(posinf=0.0, neginf=0.0) / self.reward).tolist()
        horizon = 1 / (1 - gamma)
        return (
            min(0.0, low) * horizon + min(0.0, low_at_end),
            max(0.0, high) * horizon + max(0.0, high_at_end),
        )

    def check(self, observation: Tensor) -> None:
        """Warns, once, of an observed number (B, D) that is `FAR` times its spread away from its mean."""
        if self._warned or not self.count or not self.observations:
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

    def take(self, sequence: Sequence) -> None:
        """Takes in experience (T, N, ...), see `update`."""
        self.update(*(sequence[name] for name in ("observation", "next_percept", "reward", "terminated")))

    @torch.no_grad()
    def update(self, before: Tensor, after: Tensor, reward: Tensor, terminated: Tensor) -> None:
        """Takes in steps: observations (T, N, D) before and after them, rewards and ends of episodes (T, N, 1)."""
        if self.fixed:
            return
        self.count += summed([torch.tensor(float(before.shape[:2].numel()), dtype=self.count.dtype)])[0]
        if self.observations:
            self._take_observations(before.flatten(0, 1).double(), (after - before).flatten(0, 1).double())
        if self.rewards:
            self._take_rewards(reward, terminated > 0.5)

    def _take_observations(self, seen: Tensor, change: Tensor) -> None:
        (sums,) = summed([torch.stack((seen.sum(0), seen.square().sum(0), change.square().sum(0)))])
        self._sums += sums
        mean, square, change = self._sums / self.count
        spread = (square - mean.square()).clamp(min=0).sqrt()
        self.mean.copy_(mean)
        self.spread.copy_(torch.where(varies(spread, mean), spread, 1.0))
        self.change.copy_((change.sqrt() / self.spread).clamp(min=1e-4))

    def _take_rewards(self, reward: Tensor, at_end: Tensor) -> None:
        pay = reward.double()
        self._pay += summed([torch.stack((pay.square().sum(), (pay != 0).sum()))])[0]
        square, paid = self._pay
        self.reward.fill_((square / paid).sqrt() if square > 0 else 1.0)
        parts = zip(self.paid, (reward[~at_end], reward[at_end]), strict=True)
        pools = [torch.cat((part, known[known.isfinite()])) for known, part in parts]
        nothing = reward.new_full((2,), -math.inf)
        (ranges,) = largest([torch.stack([
            torch.stack((-pool.min(), pool.max())) if pool.numel() else nothing for pool in pools
        ])])  # fmt: skip
        known = ranges.isfinite()
        self.paid.copy_(torch.where(known, ranges * ranges.new_tensor([-1.0, 1.0]), self.paid))
