"""The decorators over Numba, ``compiled`` and ``kernel``: machine code, cached on disk as ``cache`` says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from . import cache, vectors
from .cache import Function
from .checks import require


def compiled(function: Function) -> Function:
    """Compile ``function`` on its first call, to run without the GIL, and cache the machine code on disk.

    Division by zero gives inf or nan, as in NumPy. In files other than this package's, an index outside its array is an
    IndexError; in ours, which are tested, it is not looked for, but under ``NUMBA_BOUNDSCHECK=1``.

    The cache is refreshed whenever the function, a compiled function that it calls (in any file, user files included),
    or a global constant that either uses has changed. Where the machine code cannot be kept, one warning says so, and
    every process compiles anew. Under ``NUMBA_DISABLE_JIT=1`` the function is returned unchanged.

    Args:
        function: a function of the subset of Python that Numba compiles; globals it uses must exist when it is called.

    Returns:
        The dispatcher, called like ``function``.
    """
    dispatcher: Function = numba.njit(nogil=True, error_model="numpy", boundscheck=_is_checked(function))(function)
    return cache.cached(dispatcher, vectors.SOURCE)


def kernel(function: Function) -> Function:
    """``compiled`` for innermost code: inlined into its caller, and without counts of references to arrays.

    Counting is atomic and takes longer than a pass over 40 receptive fields. Such a function cannot make an array;
    Numba says "NRT required but not enabled" where it tries.
    """
    inlined: Function = numba.njit(
        nogil=True, error_model="numpy", forceinline=True, _nrt=False, boundscheck=_is_checked(function)
    )(function)
    return cache.cached(inlined, vectors.SOURCE)


def is_own(thing: Any) -> bool:
    """Whether a class or function is of this package, and not a user's."""
    return bool(thing.__module__.partition(".")[0] == __package__)


def _is_checked(function: Function) -> bool | None:
    """Whether indices are checked; None: as Numba's environment variable says."""
    return None if is_own(function) else True


def aligned(shape: tuple[int, ...]) -> np.ndarray:
    """Zeros (float32) from a 64-byte border on: a vector that straddles two cache lines takes twice the time."""
    count = math.prod(shape)
    room = np.zeros(count + 16, np.float32)
    skip = -room.ctypes.data % 64 // room.itemsize
    return room[skip : skip + count].reshape(shape)


def record(dtype: np.dtype[Any], **values: Any) -> np.ndarray:
    """A configuration as kernels take it: an array (1,) of one record, whose fields they read by name.

    It adds as little to a call as a tuple of numbers does; the record without its array, ``np.void``, adds ten times
    as much.

    Args:
        dtype: structured, of float64, int64 and bool_.
        **values: of all its fields.

    Raises:
        TypeError: a field without a value, or a value without a field.
        ValueError: a value that its field cannot hold, such as 1.5 in an int64.
    """
    if set(values) != set(dtype.names or ()):
        raise TypeError(f"the fields are {', '.join(dtype.names or ())}; got {', '.join(values)}")
    out = np.zeros(1, dtype)
    for name, value in values.items():
        out[name] = value
        require(np.array_equal(out[name][0], value), name, f"a number that {dtype[name].base} holds", value)
    return out


def digest(function: Callable[..., Any]) -> str:
    """Hexadecimal digest of a function and everything it reaches: callees, flags, constants and vectors."""
    return cache.digest(function, vectors.SOURCE)
