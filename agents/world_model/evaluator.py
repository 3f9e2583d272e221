"""The evaluator V: the return to expect after a trajectory's last step."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..common.encoder import Encoder
from ..cores.feedforward import Activation, FeedForward


class Evaluator(nn.Module):
    """V(observation, desired goal), the discounted sum of future rewards, without memory.

    Learning targets come from `slow`, a copy that follows the parameters by exponential averaging.

    Args:
        encoder: gives the widths of observation and goal.
        hidden: widths of the layers.
        activation: see `FeedForward`.
        rate: weight of the current parameters in the slow copy at each `follow`.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        hidden: Sequence[int] = (128, 128, 128),
        activation: Activation = "silu",
        rate: float = 0.1,
    ) -> None:
        super().__init__()
        self.rate = rate
        core = FeedForward(encoder.observation_size + encoder.goal_size, hidden, activation)
        self.fast = nn.Sequential(core.layers, nn.Linear(core.output_size, 1))
        self.slow = copy.deepcopy(self.fast).requires_grad_(False)

    def forward(self, observation: Tensor, desired: Tensor) -> Tensor:
        """Values (...,) of observations (..., D) and goals (..., G)."""
        values: Tensor = self.fast(torch.cat((observation, desired), -1))
        return values.squeeze(-1)

    def target(self, observation: Tensor, desired: Tensor) -> Tensor:
        """Values (...,) by the slow copy; differentiable in its inputs."""
        values: Tensor = self.slow(torch.cat((observation, desired), -1))
        return values.squeeze(-1)

    @torch.no_grad()
    def follow(self) -> None:
        """Moves the slow copy towards the parameters."""
        for slow, fast in zip(self.slow.parameters(), self.fast.parameters(), strict=True):
            slow.lerp_(fast, self.rate)
