"""The evaluator V: what follows after the window's end."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from .cores import make_core
from .encoder import Encoder


class Evaluator(nn.Module):
    """V(observation, desired goal), the discounted sum of rewards to come, learned by TD(lambda).

    Targets are computed by `slow`, a copy that follows the parameters by exponential averaging.

    Args:
        encoder: tells the widths of observation and goal.
        hidden: widths of the layers.
        activation: see `FeedForward`.
        rate: share of the new parameters taken over by the slow copy at each `follow`.
    """

    def __init__(
        self, encoder: Encoder, *, rate: float = 0.02, core: str = "feedforward", core_kwargs: dict[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.rate = rate
        core_net = make_core(core, encoder.observation_size + encoder.goal_size, **(core_kwargs or {}))
        self.fast = nn.Sequential(core_net.layers, nn.Linear(core_net.output_size, 1))
        self.slow = copy.deepcopy(self.fast).requires_grad_(False)

    def forward(self, observation: Tensor, desired: Tensor) -> Tensor:
        """Values (...,) of observations (..., D) and goals (..., G)."""
        return self.fast(torch.cat((observation, desired), -1)).squeeze(-1)

    def target(self, observation: Tensor, desired: Tensor) -> Tensor:
        """Values (...,) by the slow copy."""
        return self.slow(torch.cat((observation, desired), -1)).squeeze(-1)

    @torch.no_grad()
    def follow(self) -> None:
        """Moves the slow copy towards the parameters."""
        torch._foreach_lerp_(list(self.slow.parameters()), list(self.fast.parameters()), self.rate)
