"""The evaluator V: the return to expect after a trajectory's last step."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..common.encoder import Encoder
from ..cores.feedforward import Activation, FeedForward
from ..cores.ops.checks import real, whole


class Evaluator(nn.Module):
    """V(observation, M's state, desired goal), the discounted sum of future rewards.

    Where M's core has a state, V reads it: a V that sees the observation alone is blind where memory is needed.
    Learning targets come from `slow`, a copy that follows the parameters by exponential averaging.

    Args:
        encoder: gives the widths of observation and goal.
        memory_size: S, numbers of M's state; 0: it has none.
        hidden: widths of the layers.
        activation: see `FeedForward`.
        members: nets that learn side by side; the target is the smallest of their values, since C finds whatever one
            of them overrates (Fujimoto, van Hoof & Meger, arXiv 1802.09477).
        rate: weight of the current parameters in the slow copy at each `follow`.
    """

    def __init__(
        self,
        encoder: Encoder,
        memory_size: int = 0,
        *,
        hidden: Sequence[int] = (128, 128, 128),
        activation: Activation = "silu",
        members: int = 1,
        rate: float = 0.1,
    ) -> None:
        super().__init__()
        whole("members", members)
        real("rate", rate, most=1.0, above=True)
        self.rate = rate
        inputs = encoder.observation_size + memory_size + encoder.goal_size
        nets = []
        for _ in range(members):
            core = FeedForward(inputs, hidden, activation)
            nets.append(nn.Sequential(core.layers, nn.Linear(core.output_size, 1)))
        self.fast = nets[0] if members == 1 else _Members(nets)
        self.slow = copy.deepcopy(self.fast).requires_grad_(False)

    def forward(self, observation: Tensor, memory: Tensor, desired: Tensor) -> Tensor:
        """Values (..., members) of observations (..., D), M's states (..., S) and goals (..., G)."""
        values: Tensor = self.fast(torch.cat((observation, memory, desired), -1))
        return values

    def target(self, observation: Tensor, memory: Tensor, desired: Tensor) -> Tensor:
        """The smallest values (...,) by the slow copy; differentiable in its inputs."""
        values: Tensor = self.slow(torch.cat((observation, memory, desired), -1))
        return values.squeeze(-1) if values.shape[-1] == 1 else values.amin(-1)

    def loss(
        self, observation: Tensor, memory: Tensor, desired: Tensor, returns: Tensor, weight: Tensor | float = 1.0
    ) -> Tensor:
        """The mean of 1/2 w (V - G)^2 over observations (T, B, D), with returns G and weights w (T, B)."""
        values: Tensor = self(observation, memory, desired)
        errors = (values - returns[..., None]).square().mean(-1)
        return (0.5 * weight * errors).mean()

    @torch.no_grad()
    def follow(self) -> None:
        """Moves the slow copy towards the parameters."""
        for slow, fast in zip(self.slow.parameters(), self.fast.parameters(), strict=True):
            slow.lerp_(fast, self.rate)


class _Members(nn.ModuleList):
    """Several nets beside each other: (..., inputs) -> (..., members)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([net(x) for net in self], -1)
