"""Experience: a transition is one row of floats, a sequence is a time-major block of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from ..cores import State
from .losses import lambda_returns


class Sequence:
    """T steps of B environment columns; `sequence[name]` is the (T, B, size) view of one field.

    Args:
        data: (T, B, W) rows.
        fields: slice of the last axis by field name.
    """

    def __init__(self, data: Tensor, fields: Mapping[str, slice]) -> None:
        self.data = data
        self.fields = fields

    @overload
    def __getitem__(self, key: str) -> Tensor: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence: ...
    def __getitem__(self, key: str | slice) -> Tensor | Sequence:
        """A field by its name, or some of the steps as a sequence."""
        if isinstance(key, slice):
            return Sequence(self.data[key], self.fields)
        return self.data[..., self.fields[key]]

    def __len__(self) -> int:
        return len(self.data)

    def flag(self, name: str) -> Tensor:
        """(T, B) bool of a field of size 1."""
        return self[name].squeeze(-1) > 0.5

    def state(self, name: str, like: State) -> State:
        """The core state before the first step, as recorded with the experience, in the shapes of `like`."""
        if not like:
            return like
        parts = self[name][0].split_with_sizes([part[0].numel() for part in like], 1)
        return tuple(part.view_as(shape) for part, shape in zip(parts, like, strict=True))

    def rows(self) -> Iterator[Sequence]:
        """The steps, oldest first, as sequences with T = 1."""
        for t in range(len(self)):
            yield self[t : t + 1]


class Replay:
    """The newest `capacity` steps of N columns, in a ring.

    Args:
        sizes: width of each field by name.
        columns: N, number of environments.
        capacity: number of steps kept per column.
    """

    def __init__(
        self, sizes: Mapping[str, int], columns: int, capacity: int, device: torch.device | str = "cpu"
    ) -> None:
        self.fields: dict[str, slice] = {}
        width = 0
        for name, size in sizes.items():
            self.fields[name] = slice(width, width + size)
            width += size
        self.data = torch.zeros(capacity, columns, width, device=device)
        self.count = 0

    def __len__(self) -> int:
        return min(self.count, len(self.data))

    def add(self, **values: Tensor) -> None:
        """Writes one step: a tensor (N, size) for every field that has a width."""
        parts = [values[name] for name in self.fields if name in values]
        self.data[self.count % len(self.data)] = torch.cat(parts, 1)
        self.count += 1

    def get_state(self) -> dict[str, Any]:
        """The stored steps, in ring order, and the number of steps written so far."""
        return {"data": self.data[: len(self)], "count": self.count}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores what `get_state` returned.

        Raises:
            ValueError: the number of columns or the fields differ, or it is longer than the capacity.
        """
        data, count = state["data"], state["count"]
        if data.shape[1:] != self.data.shape[1:] or len(data) != min(count, len(self.data)):
            raise ValueError(f"{count} steps {tuple(data.shape)} do not fit a replay {tuple(self.data.shape)}")
        self.data[: len(data)] = data
        self.count = count

    def newest(self, steps: int) -> Sequence:
        """The last `steps` steps of all columns, or all there are."""
        times = torch.arange(self.count - min(steps, len(self)), self.count) % len(self.data)
        return Sequence(self.data[times], self.fields)

    def windows(self, steps: int, batch_size: int, newest: int | None = None, ends: float = 0.0) -> Sequence:
        """`batch_size` windows of `steps` consecutive steps, drawn uniformly over columns and (the `newest`) times.

        Args:
            steps: length of a window.
            batch_size: number of windows.
            newest: draw from so many of the newest steps; None: from all.
            ends: share of the windows that hold a step with the flag ``terminated``, if there is any.
        """
        columns = self.data.shape[1]
        length = len(self) if newest is None else min(newest, len(self))
        first = self.count - length + torch.randint(length - steps + 1, (batch_size,))
        column = torch.randint(columns, (batch_size,))
        if ends:
            self._move_to_ends(first[: round(ends * batch_size)], column, length, steps)
        return self.at(first, column, steps)

    def at(self, first: Tensor, column: Tensor, steps: int) -> Sequence:
        """The windows of `steps` consecutive steps of given columns (B,) that begin at given times (B,).

        Args:
            first: times, counted from the first step ever written; they must still be stored.
            column: of each window.
            steps: length of a window.
        """
        capacity, columns, width = self.data.shape
        times = (first + torch.arange(steps)[:, None]) % capacity
        index = times * columns + column
        data = self.data.view(-1, width).index_select(0, index.view(-1).to(self.data.device))
        return Sequence(data.view(steps, len(first), width), self.fields)

    def _move_to_ends(self, first: Tensor, column: Tensor, length: int, steps: int) -> None:
        """Moves the windows that begin at `first` and `column`, in place, to where they hold the end of an episode."""
        slots, columns = (self.data[: len(self), :, self.fields["terminated"]].squeeze(-1) > 0.5).nonzero().T.cpu()
        oldest = self.count - len(self)
        times = oldest + (slots - oldest) % len(self.data)
        lowest, highest = self.count - length, self.count - steps
        recent = times >= lowest
        times, columns = times[recent], columns[recent]
        if len(times):
            picked = torch.randint(len(times), (len(first),))
            before = torch.randint(steps, (len(first),))
            first[:] = (times[picked] - before).clamp(lowest, highest)
            column[: len(first)] = columns[picked]


class Rollout:
    """The T newest steps of N columns, time-major: `fields[name]` is (T, N, ...), or a dict of these.

    Args:
        steps: T.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.fields: dict[str, Any] = {}
        self.count = 0

    def add(self, **values: Any) -> None:
        """Copies one step: a tensor (N, ...), or a dict of these, for each field; the first step creates the fields."""
        if not self.fields:
            make = lambda part: part.new_empty(self.steps, *part.shape)  # noqa: E731
            self.fields = {name: each(value, make) for name, value in values.items()}
        for name, value in values.items():
            field = self.fields[name]
            for to, part in (
                zip(field.values(), value.values(), strict=True) if isinstance(value, dict) else [(field, value)]
            ):
                to[self.count] = part
        self.count += 1

    def returns(self, gamma: float, gae_lambda: float) -> Tensor:
        """The returns (T, N) of GAE(lambda) (Schulman et al. 2016), A + V, from the fields ``reward``, ``value``,
        ``next_value``, which counts where an episode ended and after the last step, ``ended`` and ``terminated``."""
        value, last, ended = (self.fields[name] for name in ("value", "next_value", "ended"))
        next_value = torch.where(ended, last, torch.cat((value[1:], last[-1:])))
        discount = gamma * (1 - self.fields["terminated"].float())
        return lambda_returns(self.fields["reward"], next_value, discount, ended, gae_lambda)

    def columns(self, index: Tensor) -> dict[str, Any]:
        """All fields of some columns."""
        return {name: each(field, lambda part: part.index_select(1, index)) for name, field in self.fields.items()}


def each(obs: Any, function: Callable[[Any], Any]) -> Any:
    """Applies `function` to an observation's tensor or array, or to each of those in a dict."""
    return {key: function(part) for key, part in obs.items()} if isinstance(obs, Mapping) else function(obs)


def exchange_goals(desired: Tensor, share: float) -> None:
    """Exchanges, in place, the goals (T, B, G) of a share of the columns, so that any start can meet any goal."""
    columns = desired.shape[1]
    exchanged = round(share * columns)
    desired[:, :exchanged] = desired[:, torch.randperm(columns)[:exchanged]]


def true_next(obs: Any, ends: np.ndarray, infos: list[dict[str, Any]]) -> tuple[Any, np.ndarray]:
    """What a VecEnv's step really led to: observations (N, ...), the last ones of finished episodes, and `terminated`.

    Args:
        obs: observations that `step` returned; where an episode ended, the first one of the next.
        ends: (N,) bool.
        infos: with `terminal_observation` and `TimeLimit.truncated` where an episode ended.
    """
    lanes = np.flatnonzero(ends)
    if not len(lanes):
        return obs, ends
    terminated = ends.copy()
    terminated[lanes] = [not infos[lane].get("TimeLimit.truncated", False) for lane in lanes]
    last = [infos[lane]["terminal_observation"] for lane in lanes]
    if not isinstance(obs, Mapping):
        return _replaced(obs, lanes, last), terminated
    return {key: _replaced(part, lanes, [one[key] for one in last]) for key, part in obs.items()}, terminated


def _replaced(array: np.ndarray, lanes: np.ndarray, rows: list[np.ndarray]) -> np.ndarray:
    array = array.copy()
    array[lanes] = rows
    return array
