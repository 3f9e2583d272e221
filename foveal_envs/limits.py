"""Limits: what a snapshot may hold, checked in full before any of it is taken.

Kernels index with what a record holds, so a record from outside must keep to the ranges that its task declares; see
``Task.limits``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Limits = Mapping[str, Any]  # field -> (low, high), both ends included; a Limits where the field is itself a record
COUNT = 0, 2**62  # of what only adds up
KEY = 0, 2**64 - 1
NUMBER = -1e30, 1e30  # any, but finite


def restore(arrays: Mapping[str, np.ndarray], state: Any, limits: Limits) -> None:
    """Overwrite arrays with those of a snapshot, after a check of all of them.

    Args:
        arrays: name -> array (N, ...), changed in place.
        state: a mapping with an array of the same dtype and shape for every name; more names do no harm.
        limits: range of every array.

    Raises:
        ValueError: names the field, its range and the lane; nothing has changed.
    """
    if not isinstance(state, Mapping):
        raise ValueError(f"a state is a mapping, as get_state returns it; got {type(state).__name__}")
    missing = [name for name in arrays if name not in state]
    if missing:
        raise ValueError(f"a state needs {', '.join(map(repr, arrays))}; {', '.join(map(repr, missing))} is missing")
    given = {name: _plain(name, own, state[name]) for name, own in arrays.items()}
    for name, array in given.items():
        _check(name, array, limits[name])
    for name, own in arrays.items():
        own[...] = given[name]


def _plain(name: str, own: np.ndarray, given: Any) -> np.ndarray:
    """One array of a snapshot, of the dtype and shape of our own, without the ways of a subclass (masks)."""
    wanted, found = _kind(own), _kind(given) if isinstance(given, np.ndarray) else type(given).__name__
    if found != wanted:
        raise ValueError(f"state {name!r} must be an array of {wanted}, got {found}")
    if given.dtype != own.dtype:
        raise ValueError(f"state {name!r} holds records of another task, or of one configured in another way")
    return np.asarray(given)


def _kind(array: np.ndarray) -> str:
    return f"{'records' if array.dtype.names else array.dtype} of shape {array.shape}"


def _check(name: str, values: np.ndarray, limits: Any) -> None:
    """Check a field (N, ...) of all lanes, and the fields inside it."""
    dtype = values.dtype
    if limits is None:
        return
    if dtype.names:
        for part in dtype.names:
            _check(f"{name}.{part}", values[part], limits.get(part, _undeclared(values[part].dtype)))
    elif dtype.kind == "b":
        whole, (_, most) = values.view(np.uint8), limits
        _require(name, whole, whole <= most, "be True or False" if most else "be False")
    elif dtype.kind in "iuf":
        low, high = (np.asarray(end, dtype if dtype.kind == "f" else None) for end in limits)
        _require(name, values, (low <= values) & (values <= high), "lie in [{}, {}]", low, high)


def _undeclared(dtype: np.dtype[Any]) -> Any:
    """Limits of a field of which a task says nothing: floats are finite."""
    if dtype.names:
        return {}
    return (np.finfo(dtype).min, np.finfo(dtype).max) if dtype.kind == "f" else None


def _require(name: str, values: np.ndarray, good: np.ndarray, rule: str, *ends: np.ndarray) -> None:
    """Raise an error that names the first number which is not ``good``, unless all are."""
    if not good.all():
        place = tuple(np.argwhere(~good)[0].tolist())
        rule = rule.format(*(np.broadcast_to(end, values.shape)[place] for end in ends))
        within = list(place[1:]) or ""
        raise ValueError(
            f"state {name}{within} of lane {place[0]} must {rule}, got {values[place]}; nothing has changed"
        )
