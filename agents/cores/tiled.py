"""One core at every place of a map, with shared weights and one memory per place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from .core import Core, State, in_own_precision


@final
class Tiled(Core):
    """y_k(t), S_k(t) = core(x_k(t), rest(t), place of k; S_k(t-1)) for every place k of a square map.

    Places share their weights, as in the convolutional LSTM (Shi et al., arXiv 1506.04214), but do not see their
    neighbours. The number of weights does not depend on the number of places.

    Args:
        core: reads, at each place, the map's number there, the rest, and the place (x, y) in [-1, 1].
        input_size: D: a map x of K = n x n numbers, row by row, then the rest: numbers that all places read.
        places: K.

    Raises:
        ValueError: the number of places is not a square, or the core has another number of inputs.
    """

    where: Tensor

    def __init__(self, core: Core, input_size: int, places: int) -> None:
        super().__init__(input_size, places * core.output_size, learn_initial_state=core.learn_initial_state)
        side, wanted = math.isqrt(places), input_size - places + 3
        if side * side != places or core.input_size != wanted:
            raise ValueError(f"places must be a square, not {places}, and the core must read {wanted} numbers, not "
                             f"{core.input_size}")  # fmt: skip
        self.core, self.places = core, places
        self.forms, self.form = core.forms, core.form
        self.register_buffer("where", square(torch.linspace(-1, 1, side)))

    def initial_state(self, batch_size: int) -> State:
        """Tensors (batch_size, K, ...)."""
        return part(self.core.initial_state(batch_size * self.places), self.places)

    @in_own_precision
    def step(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """One step; see `Core.step`."""
        self.core.form = self.form
        y, state = at_places(self.core.step, self._spread(x), state, episode_start)
        return y.flatten(-2), state

    @in_own_precision
    def forward(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """A sequence of steps; see `Core.forward`."""
        self.core.form = self.form
        y, state = at_places(self.core, self._spread(x), state, episode_start)
        return y.flatten(-2), state

    def _spread(self, x: Tensor) -> Tensor:
        """Maps inputs (..., B, D) of the map to those of its places (..., B, K, D')."""
        maps, rest = x[..., : self.places, None], x[..., None, self.places :]
        shape = maps.shape[:-1]
        parts = (maps, rest.expand(*shape, -1), self.where.expand(*shape, -1))
        return torch.cat(parts, -1)


def at_places(
    compute: Callable[[Tensor, State, Tensor], tuple[Tensor, State]], x: Tensor, state: State, episode_start: Tensor
) -> tuple[Tensor, State]:
    """Runs a core, or its `step`, with every place as a row of the batch: y (..., B, K, H) and the next state.

    Args:
        compute: the core or its `step`.
        x: (..., B, K, D) inputs.
        state: tuple of (B, K, ...).
        episode_start: (..., B) bool.
    """
    places = x.shape[-2]
    before = tuple(rows.flatten(0, 1) for rows in state)
    y, after = compute(x.flatten(-3, -2), before, episode_start.repeat_interleave(places, -1))
    return torch.unflatten(y, -2, (-1, places)), part(after, places)


def square(line: Tensor) -> Tensor:
    """The grid points (n n, 2) of (x, y) with coordinates from a line (n,), row by row."""
    return torch.stack((line.repeat(len(line)), line.repeat_interleave(len(line))), -1)


def part(state: State, places: int) -> State:
    """Splits (B K, ...) into (B, K, ...)."""
    return tuple(torch.unflatten(rows, 0, (-1, places)) for rows in state)
