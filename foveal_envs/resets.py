"""Resets: the seeds, episode keys and masks that both environments accept, checked before anything changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from .checks import is_list, one_of, require, whole_number
from .limits import KEY


def check_seed(seed: Any, name: str = "seed") -> int:
    """A seed: a whole number from 0 to 2^64 - 1."""
    return whole_number(name, seed, *KEY)


def check_seeds(seeds: Any, num_envs: int) -> list[int | None]:
    """A list of N seeds; None: the lane goes on with the episodes that it has."""
    _require_list("a list of seeds", seeds, num_envs)
    return [None if seed is None else check_seed(seed, f"seed of lane {lane}") for lane, seed in enumerate(seeds)]


def check_key(key: Any, name: str = "episode_key") -> int:
    """The key of an episode: a whole number from 0 to 2^64 - 1."""
    return whole_number(name, key, *KEY)


def check_keys(keys: Any, num_envs: int) -> np.ndarray:
    """The episode keys (N,) uint64 of a list of N, or of one for all lanes."""
    if not is_list(keys):
        return np.full(num_envs, check_key(keys), np.uint64)
    _require_list("episode_key", keys, num_envs)
    return np.array([check_key(key, f"episode_key of lane {lane}") for lane, key in enumerate(keys)], np.uint64)


def check_lanes(mask: Any, num_envs: int, name: str) -> np.ndarray:
    """A choice of lanes, (N,) bool."""
    good = isinstance(mask, np.ndarray) and mask.shape == (num_envs,) and mask.dtype == np.bool_
    require(good, name, f"a bool array of shape ({num_envs},)", mask)
    return mask  # type: ignore[no-any-return]


def check_mask(mask: Any, num_envs: int) -> np.ndarray:
    """A reset mask (N,) bool with at least one True."""
    if not check_lanes(mask, num_envs, "options['reset_mask']").any():
        raise ValueError("options['reset_mask'] must have at least one True")
    return mask  # type: ignore[no-any-return]


def check_options(options: Any, allowed: tuple[str, ...]) -> Mapping[str, Any]:
    """The options of a reset, none of them unknown."""
    require(options is None or isinstance(options, Mapping), "options", "None or a dict", options)
    for name in options or {}:
        require(name in allowed, "a reset option", allowed, name)
    return options or {}


def check_autoreset_mode(mode: Any) -> AutoresetMode:
    """A mode, from its name ("same_step"), its value ("SameStep") or itself."""
    if isinstance(mode, AutoresetMode):
        return mode
    names = {one.name.lower(): one for one in AutoresetMode} | {one.value: one for one in AutoresetMode}
    return names[one_of("autoreset_mode", mode, tuple(names))]


def _require_list(name: str, values: Any, num_envs: int) -> None:
    good = is_list(values) and len(values) == num_envs
    require(good, name, f"of length num_envs = {num_envs}", values)
