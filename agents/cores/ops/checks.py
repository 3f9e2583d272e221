"""Checks of keywords: those that a class takes, whole numbers, ranges."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np


def constructor_keywords(kind: type, positional: bool = False) -> tuple[str, ...]:
    """Names of a constructor's keywords, including the parent's where it passes others on to it.

    Args:
        kind: the class.
        positional: only those that may be passed by position, in their order.
    """
    Kind = inspect.Parameter
    named = (Kind.POSITIONAL_OR_KEYWORD,) if positional else (Kind.POSITIONAL_OR_KEYWORD, Kind.KEYWORD_ONLY)
    passed_on = Kind.VAR_POSITIONAL if positional else Kind.VAR_KEYWORD
    names: dict[str, None] = {}
    for parent in kind.__mro__:
        if "__init__" not in vars(parent):
            continue
        parameters = list(inspect.signature(parent.__init__).parameters.values())[1:]  # type: ignore[misc]
        names |= dict.fromkeys(parameter.name for parameter in parameters if parameter.kind in named)
        if all(parameter.kind is not passed_on for parameter in parameters):
            break
    return tuple(names)


def refuse_unknown(kind: Callable[..., Any], keywords: Mapping[str, Any]) -> None:
    """Raises TypeError for a keyword that a class's constructor does not take.

    Args:
        kind: a class, a `partial` of one, or anything else that makes objects, of which nothing is asked.
        keywords: by name.
    """
    kind = kind.func if isinstance(kind, partial) else kind
    if not isinstance(kind, type):
        return
    known = constructor_keywords(kind)
    for name in keywords:
        if name not in known:
            takes = ", ".join(known)
            raise TypeError(f"{kind.__name__}() got an unexpected keyword argument {name!r}; it takes {takes}")


def whole(name: str, value: Any, least: int = 1) -> int:
    """A whole number.

    Raises:
        ValueError: it is another kind of value, or below `least`; names the keyword.
    """
    if not is_whole(value) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return int(value)


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number, of Python or NumPy."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def real(name: str, value: Any, least: float = 0.0, most: float = math.inf, above: bool = False) -> None:
    """Refuses what is no finite number of at least `least`, or `above` it, and at most `most`.

    Raises:
        ValueError: names the keyword.
    """
    if not within(value, least, most) or (above and value == least):
        low = f"{'above' if above else 'of at least'} {least:g}"
        high = f" and at most {most:g}" if most < math.inf else ""
        raise ValueError(f"{name} must be a number {low}{high}, not {value!r}")


def within(value: Any, low: float, high: float) -> bool:
    """Whether a value is a finite number from low to high."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return bool(number and math.isfinite(value) and low <= value <= high)
