"""One core at every place around an episode's first gaze; the view moves over them with the gaze."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from .core import Core, State, in_own_precision
from .tiled import at_places, part, square

WIDER = 1.5  # side of the area read, relative to the view's


@final
class EgocentricMap(Core):
    """h_k(t), S_k(t) = core(m_k(t), seen_k(t), near_k(t); S_k(t-1)) at places k that stay where they are.

    The view is a map m of features around the gaze g(t) = g(t-1) + d(t), which is 0 before the first step d. At place
    k, m_k(t) is the view there and seen_k(t) = 1 if the view covers k, else both are 0; near_k(t) =
    exp(-|k - g(t)|^2 / 2 s^2), s a quarter of a place's side. No core reads its own position, so all places share what
    is learned. The output is what the places around the gaze remember, m, and what all places remember. Views and maps
    are interpolated bilinearly. A spatial memory as in the Neural Map
    (Parisotto & Salakhutdinov, arXiv 1702.08360), with any core at its places.

    Lengths are in halves of the view's side, x right and y down.

    Args:
        core: reads ``channels`` + 2 numbers at each place.
        channels: C of the view.
        side: n, cells along the view's side.
        rest: number of inputs that bypass the map.
        tiles: places along the map's side; the first gaze is in its middle.
        span: half of the map's side. The map is a torus: points 2 span apart share a place. A scene fits if its side
            is at most 2 span - 1.5: then only what is read beyond its two ends shares places.

    The input is C n n numbers of the view, d (2,) and the rest. The output is (C_h + C) r r numbers around the gaze, at
    the spacing of the view's cells, r = 1.5 n; C_h tiles tiles around it at the spacing of places, so all of them; and
    the rest.

    Raises:
        ValueError: the core has another number of inputs.
    """

    places: Tensor
    looks: Tensor

    def __init__(self, core: Core, channels: int, side: int, rest: int, tiles: int, span: float) -> None:
        if core.input_size != channels + 2:
            raise ValueError(f"the core must read {channels + 2} numbers, not {core.input_size}")
        self.view, self.read, self.tiles, self.span = (channels, side, side), int(WIDER * side), tiles, span
        output_size = (core.output_size + channels) * self.read**2 + core.output_size * tiles**2 + rest
        super().__init__(channels * side**2 + 2 + rest, output_size, learn_initial_state=core.learn_initial_state)
        self.core = core
        self.forms, self.form = core.forms, core.form
        self.register_buffer("places", _centres(tiles, span))
        self.register_buffer("looks", torch.cat((_centres(self.read, WIDER), self.places)))

    def initial_state(self, batch_size: int) -> State:
        """Tensors (batch_size, tiles tiles, ...), and the gaze (batch_size, 2)."""
        count = len(self.places)
        cells = part(self.core.initial_state(batch_size * count), count)
        return *cells, self.places.new_zeros(batch_size, 2)

    @in_own_precision
    def step(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """One step; see `Core.step`."""
        view, step, rest = self._parts_of(x)
        gaze = torch.where(episode_start[:, None], 0, state[-1]) + step
        self.core.form = self.form
        h, cells = at_places(self.core.step, self._write(view, gaze), state[:-1], episode_start)
        return torch.cat((self._look(h, view, gaze), rest), -1), (*cells, gaze)

    @in_own_precision
    def forward(self, x: Tensor, state: State, episode_start: Tensor) -> tuple[Tensor, State]:
        """A sequence of steps; see `Core.forward`."""
        view, steps, rest = self._parts_of(x)
        gazes, gaze = [], state[-1]
        for step, start in zip(steps, episode_start, strict=True):
            gaze = torch.where(start[:, None], 0, gaze) + step
            gazes.append(gaze)
        view, path = view.flatten(0, 1), torch.cat(gazes)
        self.core.form = self.form
        inputs = torch.unflatten(self._write(view, path), 0, episode_start.shape)
        h, cells = at_places(self.core, inputs, state[:-1], episode_start)
        y = torch.unflatten(self._look(h.flatten(0, 1), view, path), 0, episode_start.shape)
        return torch.cat((y, rest), -1), (*cells, gaze)

    def _parts_of(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """View (..., C, n, n), step (..., 2) and rest of the input."""
        size = self.view[0] * self.view[1] ** 2
        view, step, rest = x.split_with_sizes((size, 2, x.shape[-1] - size - 2), -1)
        return torch.unflatten(view, -1, self.view), step, rest

    def _write(self, view: Tensor, gaze: Tensor) -> Tensor:
        """What the core reads (B, K, C + 2) at each place."""
        away = self._around(self.places - gaze[:, None])
        shown = torch.cat((view, torch.ones_like(view[:, :1])), 1)
        near = (-2 * (away * self.tiles / self.span).square().sum(-1, keepdim=True)).exp()
        return torch.cat((_between(shown, away), near), -1)

    def _look(self, h: Tensor, view: Tensor, gaze: Tensor) -> Tensor:
        """Places' outputs (B, K, C_h) around the gaze, and the view: (B, (C_h + C) r r + C_h K)."""
        maps = torch.unflatten(h, 1, (self.tiles, self.tiles)).movedim(-1, 1)
        maps = functional.pad(maps, [1] * 4, "circular")
        padded = self.span * (self.tiles + 2) / self.tiles  # half of the padded map's side
        remembered = _between(maps, self._around(self.looks + gaze[:, None]) / padded).movedim(-1, 1)
        near, far = remembered.split_with_sizes((self.read**2, self.tiles**2), -1)
        around = functional.pad(view, [(self.read - self.view[1]) // 2] * 4)
        return torch.cat([read.flatten(1) for read in (near, around, far)], -1)

    def _around(self, at: Tensor) -> Tensor:
        """Coordinates on the torus, in [-span, span)."""
        return torch.remainder(at + self.span, 2 * self.span) - self.span


def _centres(count: int, half: float) -> Tensor:
    """(count count, 2) centres (x, y) of the cells of a grid over [-half, half]^2, row by row."""
    return square((torch.arange(count) + 0.5) * (2 * half / count) - half)


def _between(maps: Tensor, at: Tensor) -> Tensor:
    """Reads maps (B, C, n, n) over [-1, 1]^2 at places (B, K, 2): (B, K, C), 0 outside."""
    return functional.grid_sample(maps, at[:, None], align_corners=False)[:, :, 0].movedim(1, -1)
