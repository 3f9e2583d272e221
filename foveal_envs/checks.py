"""Keywords: the one way to check them, and the one way to refuse them.

Each check returns the plain Python value, or raises a ValueError that names the keyword, what is allowed and what was
given.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from typing import Any

import numpy as np

LONGEST = 10**6  # moves of an episode: a task may go through a whole one in a reset
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_WHOLE = int, np.integer
_REAL = int, float, np.integer, np.floating
_FLAG = bool, np.bool_
_LIST = list, tuple


def require(condition: bool, name: str, allowed: Any, value: Any) -> None:
    """Raise a ValueError that names the keyword, the allowed values and the given one, unless ``condition``."""
    if not condition:
        raise _refusal(name, allowed, value)


def _refusal(name: str, allowed: Any, value: Any) -> ValueError:
    listed = ", ".join(map(repr, allowed)) if isinstance(allowed, tuple) else allowed
    return ValueError(f"{name} must be {'one of ' if isinstance(allowed, tuple) else ''}{listed}; got {shown(value)}")


def shown(value: Any) -> str:
    """What an error shows of a value: its ``repr``, shortened, on one line."""
    try:
        return " ".join(_SHORT.repr(value).split())
    except ValueError:  # an integer of more digits than Python writes
        return f"a huge {type(value).__name__}"


def whole_number(name: str, value: Any, low: int, high: int, what: str = "a whole number") -> int:
    """A whole number from ``low`` to ``high``: an int or a NumPy integer. True and 2.0 are none."""
    if not isinstance(value, _WHOLE) or isinstance(value, bool) or not low <= value <= high:
        raise _refusal(name, f"{what} from {low} to {high}", value)
    return int(value)


def real_number(
    name: str, value: Any, low: float, high: float, what: str = "a number", *, above: bool = False, below: bool = False
) -> float:
    """A finite number from ``low`` to ``high``: an int, a float or one of NumPy's. True is none.

    Args:
        name: of the keyword.
        value: what was given.
        low, high: the limits, finite.
        what: the quantity, for the error.
        above: whether ``low`` itself is refused.
        below: whether ``high`` itself is refused.
    """
    real = isinstance(value, _REAL) and not isinstance(value, bool)
    if not real or not low <= value <= high or (above and value == low) or (below and value == high):
        interval = f"{'(' if above else '['}{low:.7g}, {high:.7g}{')' if below else ']'}"
        raise _refusal(name, f"{what} in {interval}", value)
    return float(value)


def flag(name: str, value: Any) -> bool:
    """True or False. 1 and "yes" are none."""
    if not isinstance(value, _FLAG):
        raise _refusal(name, "True or False", value)
    return bool(value)


def one_of(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """One of a few names, numbers or None, of the same type: True is not 1."""
    plain = value.item() if isinstance(value, np.generic) else value
    for one in allowed:
        if type(plain) is type(one) and plain == one:
            return one
    raise _refusal(name, allowed, value)


def some_of(name: str, value: Any, allowed: tuple[str, ...], least: int, most: int) -> tuple[str, ...]:
    """A list of ``least`` to ``most`` different names."""
    named = is_list(value) and all(isinstance(one, str) and one in allowed for one in value)
    if not named or len(set(value)) != len(value) or not least <= len(value) <= most:
        names = ", ".join(map(repr, allowed))
        raise _refusal(name, f"a list of {least} to {most} different names of {names}", value)
    return tuple(map(str, value))


def number_range(
    name: str, value: Any, low: float, high: float, number: Callable[..., Any] = real_number
) -> tuple[Any, Any]:
    """(least, largest) within ``low`` and ``high``, in a list; or one number, which stands for both."""
    if not is_list(value):
        return (number(name, value, low, high, "a range (least, largest), or a number,"),) * 2
    require(len(value) == 2, name, "a range (least, largest)", value)
    least, largest = (number(f"each end of {name}", end, low, high) for end in value)
    require(least <= largest, name, "a range (least, largest)", value)
    return least, largest


def is_list(value: Any) -> bool:
    """Whether a value is a list, a tuple or an array (K,)."""
    return value.ndim == 1 if isinstance(value, np.ndarray) else isinstance(value, _LIST)
