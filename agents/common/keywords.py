"""Checks of an agent's keywords: their kinds come from the constructor's annotations, their ranges from one table."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args, get_type_hints

import numpy as np
from stable_baselines3.common.vec_env import VecEnv  # which its GymEnv names by a string

from ..cores.ops.checks import is_whole, within

MOST = 1e9
LARGEST = 2**31 - 1
LARGEST_SEED = 2**32 - 1  # of NumPy's legacy generator, which Stable-Baselines3 seeds
# Ranges of real numbers, both ends included; all others lie between 0 and MOST.
REALS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(
        (
            "gamma",
            "gae_lambda",
            "td_lambda",
            "exchange",
            "p_start",
            "final_rate",
            "random_share",
            "end_share",
            "persistence",
            "follows",
        ),
        (0.0, 1.0),
    ),
}
# Those that may not be 0.
POSITIVE = ("clip_range", "max_grad_norm", "sigma", "target_kl", "temperature")
# Smallest whole numbers; all others are at least 1.
WHOLES: dict[str, int] = {"seed": 0, "verbose": 0, "model_steps": 0, "updates": 0, "burn_in": 0}


def check_keywords(kind: type, given: Mapping[str, Any]) -> None:
    """Raises an error for a keyword of a wrong kind or out of range.

    Args:
        kind: an agent's class.
        given: keywords of its constructor.

    Raises:
        ValueError: names the keyword, what is allowed and what was given.
    """
    hints = _hints(kind)
    for name, value in given.items():
        parts = hints.get(name, ())
        choices = [choice for part in parts for choice in (part, *get_args(part)) if isinstance(choice, str)]
        if value is None and type(None) in parts:
            continue
        if bool in parts:
            _require(isinstance(value, bool | np.bool_), name, "True or False", value)
        elif float in parts:
            _check_real(name, value, scheduled=len([part for part in parts if part is not type(None)]) > 1)
        elif int in parts:
            least = WHOLES.get(name, 1)
            most = LARGEST_SEED if name == "seed" else LARGEST
            allowed = " or ".join([f"a whole number from {least} to {most}", *map(repr, choices)])
            named = isinstance(value, str) and value in choices
            _require(named or (is_whole(value) and least <= value <= most), name, allowed, value)
        elif choices:
            parents = _parents(parts)
            good = isinstance(value, str) and value in choices
            _require(
                good or _is_one_of(value, parents), name, " or ".join([*map(repr, choices), *_said(parents)]), value
            )
        elif str not in parts and (parents := _parents(parts)):
            _require(_is_one_of(value, parents), name, " or ".join(_said(parents)), value)
        elif _is_mapping(parts):
            _require(isinstance(value, Mapping), name, "a dict", value)


def _parents(parts: tuple[Any, ...]) -> tuple[type, ...]:
    """Classes whose subclasses a keyword takes."""
    return tuple(get_args(part)[0] for part in parts if getattr(part, "__origin__", None) is type)


def _is_one_of(value: Any, parents: tuple[type, ...]) -> bool:
    return isinstance(value, type) and issubclass(value, parents)


def _said(parents: tuple[type, ...]) -> list[str]:
    return [f"a subclass of {parent.__name__}" for parent in parents]


def _check_real(name: str, value: Any, scheduled: bool) -> None:
    """A real number in its range, or a schedule where the annotation allows one."""
    if scheduled and callable(value):
        return
    low, high = REALS.get(name, (0.0, MOST))
    good = within(value, low, high) and not (name in POSITIVE and value == 0)
    least = f"above {low:g}" if name in POSITIVE else f"of at least {low:g}"
    allowed = f"a number {least} and at most {high:g}"
    _require(good, name, allowed + (", or a schedule" if scheduled else ""), value)


def _require(condition: bool, name: str, allowed: str, value: Any) -> None:
    if not condition:
        said = repr(value)
        raise ValueError(f"{name} must be {allowed}, got {said if len(said) <= 80 else said[:77] + '...'}")


@cache
def _hints(kind: type) -> dict[str, tuple[Any, ...]]:
    """The parts of every keyword's annotation, the parents' included."""
    hints: dict[str, tuple[Any, ...]] = {}
    for parent in kind.__mro__:
        if "__init__" in vars(parent) and inspect.isfunction(parent.__init__):  # type: ignore[misc]
            try:
                own = get_type_hints(parent.__init__, localns={"VecEnv": VecEnv})  # type: ignore[misc]
            except NameError:  # of a class whose annotations cannot be resolved here
                continue
            for name, hint in own.items():
                hints.setdefault(name, get_args(hint) if get_args(hint) and not _origin(hint) else (hint,))
        if parent.__module__.startswith("stable_baselines3"):
            break
    return hints


def _origin(hint: Any) -> bool:
    """Whether a hint is a container such as dict[str, Any] rather than a union."""
    return getattr(hint, "__origin__", None) in (dict, tuple, list, type)


def _is_mapping(parts: tuple[Any, ...]) -> bool:
    return any(getattr(part, "__origin__", None) is dict for part in parts)
