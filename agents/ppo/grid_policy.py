"""A recurrent actor and critic for a grid of places, with the same small core and one action at each."""

from __future__ import annotations

import math
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from ..cores import Core, Tiled, make_core
from .policy import RecurrentPolicy


class GridPolicy(RecurrentPolicy):
    """pi(k | h) = softmax_k a(h)_k and V(h), where h holds the outputs of one core at every place k, see `Tiled`.

    a and V are convolutional: a sees the places near k, V the mean and maximum of its features over all places.

    Args:
        observation_space: Box (K + rest,): a map of n x n = K numbers, row by row, then any others.
        action_space: Discrete(K).
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        core: name in `agents.CORES` of the core at each place.
        core_kwargs: its other keywords.
        features: channels of a and of V.
        reach: number of places that a sees on either side.

    Raises:
        ValueError: the action space is not Discrete(K) with K square and at most the observation's length.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Any = None,
        *,
        core: str = "lstm",
        core_kwargs: dict[str, Any] | None = None,
        features: int = 8,
        reach: int = 2,
    ) -> None:
        if not isinstance(action_space, spaces.Discrete):
            raise ValueError(f"a GridPolicy needs one action per place, Discrete, not {action_space}")
        self.places = places = int(action_space.n)
        super().__init__(observation_space, action_space, core=core, core_kwargs=core_kwargs, net_arch=())
        width = self.core.output_size // places
        maps = Maps(math.isqrt(places))
        self.actor = nn.Sequential(
            maps,
            nn.Conv2d(width, features, 1),
            nn.SiLU(),
            nn.Conv2d(features, 1, 2 * reach + 1, padding=reach),
            nn.Flatten(),
        )
        self.critic = nn.Sequential(maps, nn.Conv2d(width, features, 1), nn.SiLU(), MeanAndMost())
        self.action_net, self.value_net = nn.Identity(), nn.Linear(2 * features, 1)
        self.actor[3].apply(lambda module: self.init_weights(module, gain=0.01))

    def _make_core(self, name: str, width: int, keywords: dict[str, Any]) -> Core:
        return Tiled(make_core(name, width - self.places + 3, **keywords), width, self.places)


class Maps(nn.Module):
    """Maps (B, n n C), places row by row, to (B, C, n, n)."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, h: Tensor) -> Tensor:
        return torch.unflatten(h, -1, (self.side, self.side, -1)).movedim(-1, -3)


class MeanAndMost(nn.Module):
    """Maps (B, C, n, n) to (B, 2 C): each channel's mean and maximum."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat((maps.mean((-2, -1)), maps.amax((-2, -1))), -1)
