"""The one way to refuse a keyword."""

from __future__ import annotations

from typing import Any


def require(condition: bool, name: str, allowed: Any, value: Any) -> None:
    """Raise a ValueError that names the keyword, the allowed values and the given one, unless ``condition``."""
    if not condition:
        listed = ", ".join(map(repr, allowed)) if isinstance(allowed, tuple) else allowed
        raise ValueError(f"{name} must be {'one of ' if isinstance(allowed, tuple) else ''}{listed}; got {value!r}")
