"""Observations kept as they came, until there is an eye for their images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common.encoder import Encoder
from ..common.sequences import Replay, each


class Album:
    """The observations before and after the first steps of N lanes: the eye learns from their images, and then what was
    recorded of these steps is written anew.
    """

    def __init__(self) -> None:
        self._before: list[Any] = []
        self._after: list[Any] = []

    def __len__(self) -> int:
        return len(self._before)

    def add(self, before: Any, after: Any) -> None:
        """Keeps copies of the observations (N, ...) before and after a step."""
        for kept, obs in ((self._before, before), (self._after, after)):
            kept.append(each(obs, lambda array: torch.from_numpy(np.array(array))))

    def images(self, encoder: Encoder) -> Tensor:
        """All images (n, ...) before the steps, goals included, and those after the last."""
        observed = [*self._before, self._after[-1]]
        parts = [[obs[key] for key in encoder.images] if encoder.is_dict else [obs] for obs in observed]
        return torch.cat([image for images in parts for image in images])

    def write(self, encoder: Encoder, replay: Replay) -> None:
        """Writes the vectors of the steps into a replay that recorded them last, as far as it still has them."""
        for age, (before, after) in enumerate(zip(reversed(self._before), reversed(self._after), strict=True)):
            if age == len(replay):
                break
            row = replay.data[(replay.count - 1 - age) % len(replay.data)]
            vectors = {
                "observation": encoder.observation(before),
                "desired_goal": encoder.desired(before),
                "next_percept": encoder.percept(after),
            }
            for name, vector in vectors.items():
                row[:, replay.fields[name]] = vector

    def get_state(self) -> dict[str, Any]:
        """The observations, each a tensor (T, N, ...) or a dict of these; None: there are none."""
        return {name: _stacked(kept) for name, kept in (("before", self._before), ("after", self._after))}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores what `get_state` returned.

        Raises:
            ValueError: as many before as after there must be.
        """
        self._before, self._after = _steps(state["before"]), _steps(state["after"])
        if len(self._before) != len(self._after):
            raise ValueError("the album has observations before steps and after others")


def _stacked(kept: list[Any]) -> Any:
    if not kept:
        return None
    if isinstance(kept[0], dict):
        return {key: torch.stack([obs[key] for obs in kept]) for key in kept[0]}
    return torch.stack(kept)


def _steps(stacked: Any) -> list[Any]:
    if stacked is None:
        return []
    if isinstance(stacked, dict):
        return [dict(zip(stacked, parts, strict=True)) for parts in zip(*stacked.values(), strict=True)]
    return list(stacked)
