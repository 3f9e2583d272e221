"""The decorators over Numba, ``compiled`` and ``fast``: machine code, cached on disk as ``cache`` says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from torch import Tensor

from . import cache, vectors
from .cache import Function


def compiled(function: Function) -> Function:
    """Compile ``function`` on its first call, to run without the GIL, and cache the machine code on disk.

    Floats are rounded and errors raised as in Python. The cache is refreshed whenever the function, a compiled function
    that it calls (in any file), or a global constant that either uses has changed. Where the machine code cannot be
    kept, one warning says so, and every process compiles anew.

    Returns:
        The dispatcher, called like ``function``; ``function`` itself under ``NUMBA_DISABLE_JIT=1``.
    """
    dispatcher: Function = numba.njit(nogil=True)(function)
    return cache.cached(dispatcher, vectors.SOURCE)


def fast(function: Function) -> Function:
    """``compiled`` for the cores' loops: sums may be reordered, and division by zero gives inf or nan."""
    dispatcher: Function = numba.njit(nogil=True, error_model="numpy", fastmath=set(vectors.FLAGS))(function)
    return cache.cached(dispatcher, vectors.SOURCE)


def as_array(tensor: Tensor) -> np.ndarray:
    """The memory of a tensor on the CPU, without its gradient."""
    return tensor.detach().numpy()


def as_flat(tensor: Tensor) -> np.ndarray:
    """The memory of a contiguous tensor on the CPU, as one row."""
    return as_array(tensor).reshape(-1)


def digest(function: Callable[..., Any]) -> str:
    """Hexadecimal digest of a function and everything it reaches: callees, flags, constants and vectors."""
    return cache.digest(function, vectors.SOURCE)
