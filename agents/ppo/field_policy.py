"""A recurrent actor and critic for a multiscale retina with one action per field: look there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.nn import functional

from ..cores import Core, EgocentricMap, make_core
from .grid_policy import MeanAndMost
from .policy import RecurrentPolicy


class FieldPolicy(RecurrentPolicy):
    """pi(k | h) = softmax_k a_k(h) over the fields k of nested grids, and V(h), where h is an `EgocentricMap`.

    Convolutions find features on each grid, given the rest of the observation, such as a goal; those of a finer grid
    are added to the coarser ones around it. The coarsest grid is the map's view. For its fields, a_k is a convolution
    of what the map remembers around the gaze; for finer fields it depends on what is found there. What all places
    remember adds to every a_k.

    Args:
        observation_space: a Box, or a Dict with the key "observation" and others for the rest: first K = scales n^2
            fields, finest grid first, row by row, then the last saccade, right and down, over the scene's side.
        action_space: Discrete(K + 1): a saccade to each field, and rest.
        lr_schedule: unused; Stable-Baselines3 passes it to every policy.
        core: name in `agents.CORES` of the core at each place of the map.
        core_kwargs: its other keywords.
        size: n, fields along the side of each grid.
        span: the scene's side over half of the coarsest grid's side; saccades are multiplied by it.
        tiles: places along the map's side, which is 1.5 times that of the scene.
        features: channels of what is found.
        width: of the hidden layers.

    Raises:
        ValueError: the action space is not Discrete(K + 1), or the observation has fewer than K + 2 numbers.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Any = None,
        *,
        core: str = "lstm",
        core_kwargs: dict[str, Any] | None = None,
        size: int = 8,
        span: float = 4.0,
        tiles: int = 11,
        features: int = 4,
        width: int = 64,
    ) -> None:
        fields = int(action_space.n) - 1 if isinstance(action_space, spaces.Discrete) else 0
        if fields < 2 * size**2 or fields % size**2 or size % 4:
            raise ValueError(
                f"a FieldPolicy needs an action per field of {size} x {size} grids, and one to rest, got {action_space}"
            )
        keys, sizes = [], [spaces.flatdim(observation_space)]
        if isinstance(observation_space, spaces.Dict):
            keys = sorted(observation_space.spaces, key="observation".__ne__)
            sizes = [spaces.flatdim(observation_space[key]) for key in keys]
        if sizes[0] < fields + 2:
            raise ValueError(f"a FieldPolicy needs {fields} fields and the last saccade, not {sizes[0]} numbers")
        self.keys, self.fields, self.size, self.features = keys, fields, size, features
        self.span, self.tiles, self.width = span, tiles, width
        super().__init__(observation_space, action_space, core=core, core_kwargs=core_kwargs, net_arch=())
        self.encoder = Finding(fields, size, sum(sizes) - fields - 2, span, features, width)
        places = cast(EgocentricMap, self.core)
        shapes = Shapes(places.core.output_size, 2 * features, places.read, tiles, fields - size**2, width)
        self.actor, self.critic = Choice(shapes, size), Worth(shapes)
        self.action_net, self.value_net = nn.Identity(), nn.Linear(width, 1)

    def extract_features(self, obs: Any, features_extractor: Any = None) -> Tensor:
        """(B, D): "observation", then the rest."""
        return torch.cat([obs[key].flatten(1) for key in self.keys], 1) if self.keys else obs.flatten(1)

    def _make_core(self, name: str, width: int, keywords: dict[str, Any]) -> Core:
        channels, past = 2 * self.features, self.fields - self.size**2 + self.width
        core = make_core(name, channels + 2, **keywords)
        return EgocentricMap(core, channels, self.size, past, self.tiles, 0.75 * self.span)


class Finding(nn.Module):
    """Maps observations (B, D) to the inputs of `EgocentricMap`: features of the coarsest grid and, shrunk to it, of
    the finer ones; the step; one number for each finer field, and ``width`` for all finer fields together."""

    def __init__(self, fields: int, size: int, rest: int, span: float, features: int, width: int) -> None:
        super().__init__()
        self.fields, self.size, self.span = fields, size, span
        scales, hidden = fields // size**2, width // 4
        self.see = nn.ModuleList(_convolutions(hidden) for _ in range(scales))
        laid_out: Any = self.see.to
        laid_out(memory_format=torch.channels_last)  # its outputs are rows of fields, as the next layers read them
        bound = max(rest, 1) ** -0.5  # as PyTorch's linear layers, which would warn about an empty rest
        self.ask = nn.ParameterList(torch.empty(hidden, rest).uniform_(-bound, bound) for _ in range(scales))
        self.find = nn.ModuleList(nn.Linear(hidden, features + 1) for _ in range(scales))
        self.gather = nn.Sequential(nn.Linear((scales - 1) * features * size**2 + rest, width), nn.SiLU())

    def forward(self, x: Tensor) -> Tensor:
        grids, step, rest = x.split_with_sizes((self.fields, 2, x.shape[-1] - self.fields - 2), -1)
        grids = torch.unflatten(2 * grids - 1, -1, (-1, 1, self.size, self.size))
        found, local = [], []
        for grid, see, ask, find in zip(grids.unbind(1), self.see, self.ask, self.find, strict=True):
            seen = see(grid.contiguous(memory_format=torch.channels_last)).movedim(1, -1)
            asked = functional.linear(rest, ask)[:, None, None]
            here = find(functional.relu(seen + asked)).movedim(-1, 1)
            local.append(here[:, 0].flatten(1))
            found.append(here[:, 1:])
        inside = found[0]
        for part in found[1:-1]:
            inside = part + self._shrunk(inside)
        view = torch.cat((found[-1], self._shrunk(inside)), 1)
        together = self.gather(torch.cat([*(part.flatten(1) for part in found[:-1]), rest], 1))
        return torch.cat((view.flatten(1), self.span * step, *local[:-1], together), 1)

    def _shrunk(self, found: Tensor) -> Tensor:
        """The features of one grid, on the next coarser one."""
        return functional.pad(functional.avg_pool2d(found, 2), [self.size // 4] * 4)


def _convolutions(channels: int) -> nn.Sequential:
    """Three 3 x 3 layers: they find more than one 5 x 5 layer with twice the channels, at no more cost."""
    first, second, third = (nn.Conv2d(inputs, channels, 3, padding=1) for inputs in (1, channels, channels))
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)


@dataclass(frozen=True)
class Shapes:
    """Sizes in the output of an `EgocentricMap`: numbers per place of memory and of view, sides of the map near the
    gaze and of the whole map, number of finer fields, and numbers for all of these together."""

    remembered: int
    seen: int
    near: int
    tiles: int
    finer: int
    width: int

    def split(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Maps near the gaze (B, C, r, r), all places, one number per finer field, and those for all together."""
        near = (self.remembered + self.seen) * self.near**2
        maps, *rest = h.split_with_sizes((near, self.remembered * self.tiles**2, self.finer, self.width), -1)
        far, finer, together = rest
        return torch.unflatten(maps, -1, (-1, self.near, self.near)), far, finer, together


class Survey(nn.Module):
    """Maps all places and the finer fields to (B, width)."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.over = nn.Linear(shapes.remembered * shapes.tiles**2, shapes.width)

    def forward(self, far: Tensor, together: Tensor) -> Tensor:
        return together + functional.silu(self.over(far))


class Choice(nn.Module):
    """Maps the output of `EgocentricMap` to a_k (B, K + 1)."""

    def __init__(self, shapes: Shapes, size: int) -> None:
        super().__init__()
        self.shapes, self.inwards, width = shapes, 2 - (shapes.near - size) // 2, shapes.width
        self.survey = Survey(shapes)
        self.near = nn.Conv2d(shapes.remembered + shapes.seen, width // 4, 3, padding=1)
        self.far = nn.Conv2d(width // 4, width // 4, 3, dilation=2)
        self.go = nn.Linear(width, width // 4)
        self.each, self.anywhere = nn.Conv2d(width // 4, 1, 1), nn.Linear(width, shapes.finer + size**2 + 1)

    def forward(self, h: Tensor) -> Tensor:
        maps, far, finer, together = self.shapes.split(h)
        together = self.survey(far, together)
        near = functional.pad(functional.silu(self.near(maps)), [self.inwards] * 4)
        coarsest = self.each(functional.silu(self.far(near) + self.go(together)[..., None, None])).flatten(1)
        still = torch.zeros_like(finer[:, :1])
        choice: Tensor = self.anywhere(together)
        return choice + torch.cat((finer, coarsest, still), 1)


class Worth(nn.Module):
    """Maps the output of `EgocentricMap` to (B, width), from channel means and maxima, all places and finer fields."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.shapes, self.survey, self.summary = shapes, Survey(shapes), MeanAndMost()
        count = 2 * (shapes.remembered + shapes.seen) + shapes.width
        self.judge = nn.Sequential(nn.Linear(count, shapes.width), nn.SiLU())

    def forward(self, h: Tensor) -> Tensor:
        maps, far, _, together = self.shapes.split(h)
        return self.judge(torch.cat((self.summary(maps), self.survey(far, together)), 1))  # type: ignore[no-any-return]
