"""Data as JSON, with arrays and tensors beside it: what an archive can hold, and nothing that could run.

What JSON cannot express becomes a dict with one key that starts with "$": tuples, deques, arrays, tensors, spaces and
Stable-Baselines3's schedules.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common import torch_layers
from stable_baselines3.common.utils import ConstantSchedule, FloatSchedule, LinearSchedule
from torch import Tensor

CLASSES: dict[str, type] = {  # that an archive may name: none runs code that the file could choose
    name: getattr(torch_layers, name) for name in ("CombinedExtractor", "FlattenExtractor", "NatureCNN")
}


def not_data(content: Mapping[str, Any]) -> tuple[str, ...]:
    """The places that `pack` cannot write, such as "policy_kwargs.features"."""
    writer = Writer()
    writer.mapping(content, "")
    return tuple(writer.not_data)


def check_alike(name: str, own: Any, given: Any) -> None:
    """Raises ValueError if two values differ in type, dtype or shape; None matches anything."""
    if own is None or given is None:
        return
    kinds: Any = (int, float) if isinstance(own, float) else type(own)
    of_the_kind: bool = isinstance(given, kinds) and isinstance(given, bool) == isinstance(own, bool)
    if not of_the_kind:
        raise ValueError(f"{name} must be of type {type(own).__name__}, not {type(given).__name__}")
    if isinstance(own, np.ndarray | Tensor) and (own.dtype, own.shape) != (given.dtype, given.shape):
        wanted, got = (f"{part.dtype} of shape {tuple(part.shape)}" for part in (own, given))
        raise ValueError(f"{name} must be {wanted}, not {got}")
    if isinstance(own, tuple):
        if len(own) != len(given):
            raise ValueError(f"{name} must have {len(own)} parts, not {len(given)}")
        for own_part, part in zip(own, given, strict=True):
            check_alike(name, own_part, part)


def check_range(name: str, given: np.ndarray, low: int, high: int) -> None:
    """Raises ValueError if an integer is outside [low, high]."""
    if given.size and not (low <= given.min() and given.max() <= high):
        raise ValueError(f"{name} must lie in [{low}, {high}], got {given.min()} to {given.max()}")


class Writer:
    """Turns content into JSON, and collects its tensors and arrays."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self.not_data: list[str] = []

    def value(self, value: Any, place: str) -> Any:
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, Tensor):
            return {"$tensor": self._keep(self.tensors, value.detach(), place)}
        if isinstance(value, np.ndarray | np.generic) and not np.asarray(value).dtype.hasobject:
            tag = "$array" if isinstance(value, np.ndarray) else "$number"
            return {tag: self._keep(self.arrays, np.asarray(value), place)}
        for name, (kind, arguments, _) in _OBJECTS.items():
            if type(value) is kind:
                return self._object(name, arguments(value), place)
        if isinstance(value, Mapping):
            return self.mapping(value, place)
        if isinstance(value, list):
            return self._items(value, place)
        if isinstance(value, tuple) and not hasattr(value, "_fields"):
            return {"$tuple": self._items(value, place)}
        if isinstance(value, deque):
            return {"$deque": [self._items(value, place), value.maxlen]}
        for name, known_class in CLASSES.items():
            if value is known_class:
                return {"$class": name}
        self.not_data.append(place)
        return {"$not_data": place}

    def _object(self, name: str, arguments: list[Any], place: str) -> Any:
        """An object by its arguments; it is not data if one of them is not."""
        before = len(self.not_data)
        written = {f"${name}": self.value(arguments, place)}
        if len(self.not_data) == before:
            return written
        self.not_data[before:] = [place]
        return {"$not_data": place}

    def mapping(self, mapping: Mapping[Any, Any], place: str) -> dict[str, Any]:
        within = {key: self.value(part, f"{place}.{key}" if place else str(key)) for key, part in mapping.items()}
        if all(type(key) is str and not key.startswith("$") for key in within):
            return within
        return {"$pairs": [[self.value(key, place), part] for key, part in within.items()]}

    def _items(self, values: Any, place: str) -> list[Any]:
        return [self.value(part, f"{place}.{i}") for i, part in enumerate(values)]

    def _keep(self, where: dict[str, Any], value: Any, place: str) -> str:
        name = f"{place}#{len(where)}"
        where[name] = value
        return name


class Reader:
    """Turns JSON back into content."""

    def __init__(self, tensors: Mapping[str, Tensor], arrays: Mapping[str, np.ndarray]) -> None:
        self.tensors, self.arrays = tensors, arrays

    def value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.value(part) for part in value]
        if not isinstance(value, dict):
            return value
        tag = next(iter(value), "")
        if not tag.startswith("$"):
            return {key: self.value(part) for key, part in value.items()}
        (part,) = value.values()
        return self._special(tag, part)

    def _special(self, tag: str, part: Any) -> Any:
        if tag == "$tensor":
            return self.tensors[part]
        if tag == "$array":
            return self.arrays[part]
        if tag == "$number":
            return self.arrays[part][()]
        if tag == "$tuple":
            return tuple(self.value(part))
        if tag == "$pairs":
            return {self.value(key): self.value(within) for key, within in part}
        if tag == "$deque":
            return deque(self.value(part[0]), part[1])
        if tag == "$class":
            return CLASSES[part]
        if tag == "$not_data":
            return None
        if tag[1:] not in _OBJECTS:
            raise ValueError(f"its data has an unknown kind {tag[:40]!r}")
        _, _, make = _OBJECTS[tag[1:]]
        return make(*self.value(part))


def _box(low: np.ndarray, high: np.ndarray, dtype: str) -> spaces.Box:
    return spaces.Box(low, high, dtype=np.dtype(dtype).type)


# Objects by name: the class, a function that gives the arguments of an equal one, and one that builds it from them.
_OBJECTS: dict[str, tuple[type, Callable[[Any], list[Any]], Callable[..., Any]]] = {
    "Box": (spaces.Box, lambda space: [space.low, space.high, str(space.dtype)], _box),
    "Discrete": (
        spaces.Discrete,
        lambda space: [int(space.n), int(space.start), str(space.dtype)],
        lambda n, start, dtype: spaces.Discrete(n, start=start, dtype=np.dtype(dtype).type),
    ),
    "MultiDiscrete": (
        spaces.MultiDiscrete,
        lambda space: [space.nvec, space.start, str(space.dtype)],
        lambda nvec, start, dtype: spaces.MultiDiscrete(nvec, start=start, dtype=np.dtype(dtype).type),
    ),
    "MultiBinary": (spaces.MultiBinary, lambda space: [space.n], spaces.MultiBinary),
    "Dict": (
        spaces.Dict,
        lambda space: [list(space.spaces.items())],
        spaces.Dict,
    ),
    "Tuple": (spaces.Tuple, lambda space: [list(space.spaces)], spaces.Tuple),
    "FloatSchedule": (FloatSchedule, lambda schedule: [schedule.value_schedule], FloatSchedule),
    "ConstantSchedule": (ConstantSchedule, lambda schedule: [schedule.val], ConstantSchedule),
    "LinearSchedule": (
        LinearSchedule,
        lambda schedule: [schedule.start, schedule.end, schedule.end_fraction],
        LinearSchedule,
    ),
    "device": (torch.device, lambda device: [str(device)], torch.device),
}
