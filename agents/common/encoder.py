"""Turns the environment's observations into the vectors that the nets read."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space
from torch import Tensor

from ..cores.ops.checks import refuse_unknown
from .vision import SMALLEST, Vision

GOAL_KEYS = ("achieved_goal", "desired_goal")
LARGE = 1e3  # up to here, training was seen to succeed without scales


class Encoder:
    """Flattens an observation into three vectors: observation (B, D), achieved goal (B, G), desired goal (B, G).

    A Box is the observation itself. In a Dict, all keys except the two goal keys form the observation, in the space's
    order. Unless both goal keys are there, G is 0.

    `percept` is what the world model predicts: the observation and the achieved goal. Where their spaces are equal
    (retina goals: the achieved goal is the glimpse) one copy serves both; `check` compares the two on data.

    Images, as `is_image_space` of Stable-Baselines3 knows them, are numbers like all others, or pass through an `eye`
    that gives a code for each.

    Args:
        space: a Box or a Dict of Boxes.
        share: whether the achieved goal *is* the observation; None: if their spaces are equal.
        device: device of the vectors.
        normalised: whether VecNormalize scales observations, which may take them out of their space.
        vision: keywords of the `Vision` that images of at least 16 x 16 pixels pass through; None: none does.

    Attributes:
        space: of what the agent sees, without bounds where VecNormalize scales.
        parts: its Boxes by key; that of a lone Box is "observation".
        sizes: numbers that each of them takes in a vector.
        images: keys of the images that pass through the eye.
        eye: through which they pass; None: there are no images.

    Raises:
        ValueError: any other kind of space, `share` although the spaces differ, or images of several shapes.
    """

    def __init__(
        self,
        space: spaces.Space[Any],
        share: bool | None = None,
        device: torch.device | str = "cpu",
        normalised: bool = False,
        vision: Mapping[str, Any] | None = None,
    ) -> None:
        parts: dict[str, spaces.Box] = {}
        for key, part in (space.spaces if isinstance(space, spaces.Dict) else {"observation": space}).items():
            if not isinstance(part, spaces.Box):
                raise ValueError(
                    f"observations must be a Box or a Dict of Boxes; {key!r} is {part}: wrap the environment in "
                    "gymnasium's FlattenObservation, or encode that key as numbers"
                )
            parts[key] = part
        self.device = device
        self._warned = False
        self.is_dict = isinstance(space, spaces.Dict)
        self.has_goal = all(key in parts for key in GOAL_KEYS)
        self.keys = [key for key in parts if not (self.has_goal and key in GOAL_KEYS)]
        self.unit_range = not normalised and all(
            (part.low >= 0).all() and (part.high <= 1).all() for part in parts.values()
        )
        self.parts = parts
        if normalised:
            self.parts = {key: _unbounded(part) if key in self.keys else part for key, part in parts.items()}
        self.space = spaces.Dict(list(self.parts.items())) if self.is_dict else self.parts["observation"]
        self.images = [] if vision is None else [key for key, part in self.parts.items() if _is_image(part)]
        shapes = {self.parts[key].shape for key in self.images}
        if len(shapes) > 1:
            raise ValueError(f"one eye sees images of one shape, not of {', '.join(map(str, sorted(shapes)))}")
        refuse_unknown(Vision, vision or {})
        self.eye = Vision(self.parts[self.images[0]], **(vision or {})).to(device) if self.images else None
        self.sizes = {key: self.eye.codes if self.eye and key in self.images else math.prod(part.shape)
                      for key, part in parts.items()}  # fmt: skip
        self.observation_size = sum(self.sizes[key] for key in self.keys)
        self.goal_size = self.sizes["achieved_goal"] if self.has_goal else 0
        equal = self.has_goal and self.keys == ["observation"] and parts["observation"] == parts["achieved_goal"]
        if share and not equal:
            raise ValueError("the achieved goal cannot be the observation: their spaces differ; leave share=None")
        self.shares_goal = equal if share is None else share
        self.percept_size = self.observation_size + (0 if self.shares_goal else self.goal_size)
        start = 0 if self.shares_goal else self.observation_size
        self.goal_slice = slice(start, start + self.goal_size)

    def as_in_space(self, key: str, array: np.ndarray) -> np.ndarray:
        """Observations (B, ...) of a key; images that have their channels at the other end are turned."""
        shape = self.parts[key].shape
        if self.eye is None or key not in self.images or array.ndim != 4 or array.shape[1:] == shape:
            return array
        turned = np.moveaxis(array, *((1, -1) if self.eye.channels_last else (-1, 1)))
        return turned if turned.shape[1:] == shape else array

    def observation(self, obs: Any) -> Tensor:
        """The observation vectors (B, D) of a batch of environment observations."""
        return self._flat(obs, self.keys)

    def percept(self, obs: Any) -> Tensor:
        """Observation and achieved goal (B, P)."""
        if not self.has_goal or self.shares_goal:
            return self.observation(obs)
        return self._flat(obs, [*self.keys, "achieved_goal"])

    def desired(self, obs: Any) -> Tensor:
        """The desired goals (B, G); (B, 0) without goal keys."""
        if self.has_goal:
            return self._flat(obs, ["desired_goal"])
        return torch.zeros(len(next(iter(obs.values())) if self.is_dict else obs), 0, device=self.device)

    def decode(self, observation: Tensor, achieved: Tensor, desired: Tensor) -> Any:
        """Observations of the environment (B, ...) from vectors, in the types, shapes and bounds of its space.

        Args:
            observation: (B, D).
            achieved, desired: (B, G) goals.
        """
        sizes = [self.sizes[key] for key in self.keys]
        flat = dict(zip(self.keys, observation.split_with_sizes(sizes, 1), strict=True))
        if self.has_goal:
            flat |= {"achieved_goal": achieved, "desired_goal": desired}
        if self.eye:
            flat |= {key: self.eye.decode(flat[key]) for key in self.images}
        arrays = {key: _within(part, flat[key]) for key, part in self.parts.items()}
        return arrays if self.is_dict else arrays["observation"]

    def check(self, obs: Any) -> None:
        """Warns, once, of numbers beyond `LARGE`; raises ValueError if `percept` stores one copy of two that differ."""
        if not self._warned:
            self._warn_of_large(obs if self.is_dict else {"observation": obs})
        self.check_goals(obs)

    def check_goals(self, obs: Any) -> None:
        """Raises ValueError if `percept` stores one copy of two that differ."""
        if self.has_goal and self.shares_goal and not np.array_equal(obs["observation"], obs["achieved_goal"]):
            raise ValueError(
                "observation and achieved_goal have the same space but different values: "
                "pass share_goal=False, so that the world model predicts both"
            )

    def _warn_of_large(self, parts: Mapping[str, np.ndarray]) -> None:
        for name, part in parts.items():
            if max(part.max(), -part.min()) > LARGE:
                place = np.unravel_index(np.abs(part).argmax(), part.shape)
                column = ", ".join(map(str, place[1:]))
                warnings.warn(
                    f"column {column} of {name!r} is {part[place]:.3g}, but the nets expect numbers near 1 and hardly "
                    "learn from numbers that large; scale them in the environment, or with VecNormalize",
                    stacklevel=2,
                )
                self._warned = True
                return

    def _flat(self, obs: Any, keys: list[str]) -> Tensor:
        vectors = []
        for key in keys:
            part = torch.as_tensor(obs[key] if self.is_dict else obs)
            if self.eye and key in self.images:
                vectors.append(self.eye.encode(part))
            else:
                vectors.append(part.to(self.device, torch.float32).reshape(len(part), -1))
        return vectors[0] if len(vectors) == 1 else torch.cat(vectors, 1)


def _is_image(part: spaces.Box) -> bool:
    return is_image_space(part) and sorted(part.shape)[1] >= SMALLEST


def _unbounded(part: spaces.Box) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, part.shape, np.float32)


def _within(part: spaces.Box, flat: Tensor) -> np.ndarray:
    """Vectors (B, n) as elements of a Box (B, ...): rounded where it holds whole numbers, and within its bounds."""
    array = flat.cpu().numpy().reshape(-1, *part.shape)
    array = array.astype(part.dtype) if part.dtype.kind == "f" else np.rint(array)
    clipped: np.ndarray = np.clip(array, part.low, part.high)
    return clipped.astype(part.dtype)
