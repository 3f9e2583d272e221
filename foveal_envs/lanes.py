"""Lanes: N worlds of one task with their seeds, episode counters and clocks; what both environments share."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np

from .compiled import is_own, kernel
from .keys import episode_keys
from .limits import COUNT, KEY, Limits, restore
from .task import Observation, Task

Info = dict[str, Any]
_MASK64 = (1 << 64) - 1
_FLOAT32 = np.dtype(np.float32)
_LIMITS = {"seeds": KEY, "episodes": COUNT, "keys": KEY, "elapsed": COUNT, "pending": (0, 1)}  # of a snapshot
# Equal dtypes as one object: Numba looks the machine code up by dtype, and comparing two large records takes longer
# than a step.
_RECORDS: dict[np.dtype[Any], np.dtype[Any]] = {}


class Actions:
    """What a batch of actions has to be, for the lanes of a task and of any other environment.

    Args:
        space: of one action: Box, Discrete, MultiDiscrete or MultiBinary.
        num_envs: N.
        single: whether the one lane is a single environment, whose errors know no lanes.

    Raises:
        ValueError: another space.
    """

    def __init__(self, space: gym.Space[Any], num_envs: int, single: bool = False) -> None:
        self._space, self._single = space, single
        self._shape = (num_envs, *(space.shape or ()))
        self._bounds = None if isinstance(space, gym.spaces.Box) else _bounds(space)

    def check(self, actions: Any) -> np.ndarray:
        """``actions`` (N, ...) as a C-contiguous array, int64 or for a Box float32, all checked before any lane moves.

        Raises:
            ValueError: wrong shape or kind, NaN, infinite or (for discrete actions) out of range; names the lane.
        """
        array = np.asarray(actions)
        if array.shape != self._shape:
            raise self._error(f"have shape {self._shape[self._single :]}", array.shape[self._single :])
        if self._bounds is not None:
            if array.dtype.kind not in "iu":
                raise self._error(f"be integers for {self._space}", f"dtype {array.dtype}")
            low, high = self._bounds
            whole = np.ascontiguousarray(array, np.int64)
            if not all_within(whole, low, high):
                rows = whole.reshape(len(whole), -1)
                raise self._error_of_lane(array, (rows < low) | (rows > high), f"lie in {self._space}")
            return whole
        if array.dtype is not _FLOAT32 or not array.flags.c_contiguous:
            if array.dtype.kind not in "fiu":
                raise self._error(f"be real numbers for {self._space}", f"dtype {array.dtype}")
            array = np.ascontiguousarray(array, np.float32)
        if not all_finite(array):
            raise self._error_of_lane(array, ~np.isfinite(array), "be finite")
        return array

    def still(self, actions: Any, resting: np.ndarray) -> np.ndarray:
        """A copy of ``actions`` (N, ...) in which those of resting lanes (N,) bool are harmless."""
        array = np.array(actions)
        if array.shape == self._shape:
            array[resting] = 0 if self._bounds is None else self._bounds[0].reshape(self._shape[1:])
        return array

    def _error(self, rule: str, given: Any) -> ValueError:
        return ValueError(f"{'the action' if self._single else 'actions'} must {rule}, got {given}")

    def _error_of_lane(self, array: np.ndarray, bad: np.ndarray, rule: str) -> ValueError:
        lane = int(np.argwhere(bad)[0][0])
        whose = "the action" if self._single else f"action of lane {lane}"
        return ValueError(f"{whose} must {rule}, got {array[lane].tolist()}; nothing has moved")


class Lanes:
    """N worlds of one task with their seeds and episode counters: what both environments share.

    Args:
        task: the task.
        num_envs: N.
        single: whether the one lane is a single environment.

    Attributes:
        worlds: (N,) records. seeds: (N,) uint64. episodes: (N,) int64, episodes begun. keys: (N,) uint64.
        actions: what the actions of all lanes have to be.
    """

    def __init__(self, task: Task, num_envs: int, single: bool = False) -> None:
        self.task = task
        self.num_envs = num_envs
        self.worlds = np.zeros(num_envs, _RECORDS.setdefault(task.world, task.world))
        self.seeds = np.zeros(num_envs, np.uint64)
        self.episodes = np.zeros(num_envs, np.int64)
        self.keys = np.zeros(num_envs, np.uint64)
        self.rows = np.arange(num_envs)
        self.actions = Actions(task.action_space, num_envs, single)
        spaces = task.observation_space.spaces if isinstance(task.observation_space, gym.spaces.Dict) else None
        self._layout = {name: _layout(part, num_envs) for name, part in spaces.items()} if spaces else {}
        self._flat_layout = None if spaces else _layout(task.observation_space, num_envs)
        self._room = None if is_own(type(task)) else _room_for_objects(task.world)

    def begin(self, rows: np.ndarray) -> None:
        """Start the next episode of each lane of ``rows``."""
        episode_keys(self.seeds, self.episodes, rows, self.keys)
        self._reset(rows)

    def replay(self, rows: np.ndarray, keys: np.ndarray) -> None:
        """Start the episodes of the given keys (R,); the lanes' own sequences of episodes go on unchanged."""
        self.keys[rows] = keys
        self._reset(rows)

    def _reset(self, rows: np.ndarray) -> None:
        self.task.reset(self.worlds, rows, self.keys)
        if self._room is not None and len(rows) and (most := int(self.worlds["count"][rows].max())) > self._room:
            raise IndexError(f"{type(self.task).__name__} has {most} objects, but its record has room for {self._room}")

    def empty_observation(self) -> Observation:
        """Fresh arrays (N, ...) for the observations of all lanes, of arbitrary content."""
        if self._flat_layout is not None:
            return np.empty(self._flat_layout[0], self._flat_layout[1])
        return {name: np.empty(*layout) for name, layout in self._layout.items()}

    def seed(self, row: int, seed: int) -> None:
        """Begin lane ``row``'s sequence of episodes anew: seeds are taken modulo 2^64."""
        self.seeds[row] = seed & _MASK64
        self.episodes[row] = 0

    def info(self, rows: np.ndarray) -> Info:
        """Measures of the worlds of ``rows`` and the keys of their episodes, each (R,)."""
        return {**self.task.info(self.worlds, rows), "episode_key": self.keys[rows]}

    def get_state(self, **more: np.ndarray) -> dict[str, np.ndarray]:
        """Copies of the worlds and of every lane's place in its sequence of episodes, and of ``more`` arrays (N,)."""
        return {name: array.copy() for name, array in self._arrays(more).items()}

    def set_state(self, state: Any, limits: Limits = MappingProxyType({}), **more: np.ndarray) -> None:
        """Go back to a snapshot of ``get_state``; ``more`` are the same arrays, changed in place.

        Args:
            state: the snapshot.
            limits: of arrays, in place of the usual ones.
            more: see ``get_state``.

        Raises:
            ValueError: see ``restore``.
        """
        restore(self._arrays(more), state, {**_LIMITS, **limits, "worlds": self.task.limits})

    def _arrays(self, more: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"worlds": self.worlds, "seeds": self.seeds, "episodes": self.episodes, "keys": self.keys, **more}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        dtype = self.worlds.dtype
        self.worlds = self.worlds.view(_RECORDS.setdefault(dtype, dtype))


def _room_for_objects(world: np.dtype[Any]) -> int | None:
    """How many objects a task's record has room for; None: it counts none."""
    fields: Mapping[str, Any] = world.fields or {}
    return (
        fields["objects"][0].shape[0] if {"count", "objects"} <= fields.keys() and fields["objects"][0].shape else None
    )


def _layout(space: gym.Space[Any], num_envs: int) -> tuple[tuple[int, ...], Any]:
    """Shape and dtype of a batch of a flat space."""
    if space.shape is None or space.dtype is None:
        raise ValueError(f"an observation space is flat (Box, Discrete, Multi...) or a Dict of such, got {space}")
    return (num_envs, *space.shape), space.dtype


def _bounds(space: gym.Space[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest action (A,) int64 of a discrete space, of one number or of A."""
    if isinstance(space, gym.spaces.Discrete):
        return np.array([space.start], np.int64), np.array([space.start + space.n - 1], np.int64)
    if isinstance(space, gym.spaces.MultiDiscrete):
        return space.start.ravel().astype(np.int64), (space.start + space.nvec - 1).ravel().astype(np.int64)
    if isinstance(space, gym.spaces.MultiBinary):
        return np.zeros(1, np.int64), np.ones(1, np.int64)
    raise ValueError(f"an action space is a Box, Discrete, MultiDiscrete or MultiBinary, got {space}")


@kernel
def all_finite(values: np.ndarray) -> bool:
    """Whether every number of an array is finite; looks at all of them, as a loop that may end early is no vector's."""
    finite = True
    for value in values.flat:
        finite &= np.isfinite(value)
    return finite


@kernel
def all_within(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether low <= value <= high for every number of an array (..., A); the limits are (A,)."""
    i, within = 0, True
    for value in values.flat:
        within &= low[i] <= value <= high[i]
        i = i + 1 if i + 1 < low.shape[0] else 0
    return within


@kernel
def tick(
    active: np.ndarray,
    terminated: np.ndarray,
    limit: int,
    elapsed: np.ndarray,
    truncated: np.ndarray,
    ended: np.ndarray,
) -> int:
    """Count the step of every active world; ``truncated`` at the limit (0: none), ``ended`` either way.

    Returns:
        How many worlds have ended, now or before.
    """
    count = 0
    for i in range(active.shape[0]):
        elapsed[i] += active[i]
        truncated[i] = active[i] and limit > 0 and elapsed[i] >= limit
        if active[i]:
            ended[i] = terminated[i] or truncated[i]
        count += ended[i]
    return count
