"""The keywords that a class takes, its parents' included."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any


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
