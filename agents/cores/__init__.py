"""Cores: nets that map a sequence of vectors to a sequence of vectors, with or without memory."""

from .core import Core, State
from .feedforward import FeedForward

CORES: dict[str, type[Core]] = {"feedforward": FeedForward}


def make_core(name: str, input_size: int, **keywords: object) -> Core:
    """A core by its name in `CORES`.

    Args:
        name: key of `CORES`; a new core is added to that dictionary.
        input_size: D, width of the input.
        keywords: the constructor's other keywords.

    Raises:
        ValueError: unknown name.
    """
    if name not in CORES:
        raise ValueError(f"core must be one of {sorted(CORES)}, not {name!r}; add your own class to agents.CORES")
    return CORES[name](input_size, **keywords)  # type: ignore[arg-type]


__all__ = ["CORES", "Core", "FeedForward", "State", "make_core"]
