"""What makes C's actions differ from those that it means, in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .actions import Actions


class Exploration:
    """Random actions and noise of N lanes, each of which may persist.

    Args:
        actions: what C's net inputs mean.
        lanes: N.
        device: device of the actions.
    """

    def __init__(self, actions: Actions, lanes: int, device: torch.device | str = "cpu") -> None:
        self.actions = actions
        self._scale = torch.zeros(lanes, 1, device=device)
        self._random: Tensor | None = None

    def uniform(self, episode_start: Tensor, persistence: float) -> Tensor:
        """Uniformly random vectors (N, A).

        Args:
            episode_start: (N,) bool.
            persistence: probability that what is random is that of the step before, within an episode.
        """
        return self._persistent(self.actions.uniform(len(episode_start)), episode_start, persistence)

    def around(
        self, net: Tensor, episode_start: Tensor, noise: float, persistence: float, random_share: float
    ) -> Tensor:
        """Vectors (N, A) around those that C's net inputs (N, U) mean.

        Args:
            net: net inputs.
            episode_start: (N,) bool.
            noise: largest scale of the noise; each episode of each lane draws its own, uniformly from 0 to this.
            persistence: see `uniform`.
            random_share: probability that a vector is replaced by a uniformly random one.
        """
        kinds = self.actions
        if noise:
            fresh = noise * torch.rand_like(self._scale)
            self._scale = torch.where(episode_start[:, None], fresh, self._scale)
            vectors = kinds.explore(net, self._scale, self._persistent(kinds.noise(net), episode_start, persistence))
        else:
            vectors = kinds.sample(net)
        if random_share:
            random = torch.rand_like(self._scale) < random_share
            vectors = torch.where(random, kinds.uniform(len(net)), vectors)
        return vectors

    def _persistent(self, fresh: Tensor, episode_start: Tensor, persistence: float) -> Tensor:
        """Random numbers (N, ...), in each lane those of the step before with the probability `persistence`."""
        if not persistence:
            return fresh
        if self._random is not None and self._random.shape == fresh.shape:
            kept = (torch.rand_like(self._scale) < persistence) & ~episode_start[:, None]
            fresh = torch.where(kept, self._random, fresh)
        self._random = fresh
        return fresh

    def get_state(self) -> dict[str, Any]:
        """The lanes' scales and what is random in them, None before the first step."""
        return {"scale": self._scale, "random": self._random}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores what `get_state` returned.

        Raises:
            ValueError: not tensors, or another number of lanes.
        """
        scale, random = state["scale"], state["random"]
        for part in (scale,) if random is None else (scale, random):
            if not isinstance(part, Tensor) or part.dim() != 2 or len(part) != len(self._scale):
                raise ValueError(f"the state of the exploration is not that of {len(self._scale)} lanes")
        device = self._scale.device
        self._scale, self._random = scale.to(device), None if random is None else random.to(device)
