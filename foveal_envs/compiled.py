"""The decorators over Numba, ``compiled`` and ``kernel``: machine code, cached on disk, and never stale.

Numba's own cache looks at the file of the compiled function alone, so an edit to a function that it *calls* runs old
machine code. Here the cache key holds a digest of the function and of everything it reaches: callees in any file, and
the global constants that Numba freezes into the code.
"""

from __future__ import annotations

import hashlib
import math
import types
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import caching
from numba.core.dispatcher import Dispatcher

from . import vectors
from .checks import require

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile ``function`` on its first call, to run without the GIL, and cache the machine code on disk.

    Division by zero gives inf or nan, as in NumPy.

    The cache is refreshed whenever the function, a compiled function that it calls (in any file, user files included),
    or a global constant that either uses has changed. Under ``NUMBA_DISABLE_JIT=1`` the function is returned unchanged.

    Args:
        function: a function of the subset of Python that Numba compiles; globals it uses must exist when it is called.

    Returns:
        The dispatcher, called like ``function``.
    """
    return _cached(numba.njit(nogil=True, error_model="numpy")(function), function)


def kernel(function: Function) -> Function:
    """``compiled`` for innermost code: inlined into its caller, and without counts of references to arrays.

    Counting is atomic and takes longer than a pass over 40 receptive fields. Such a function cannot make an array;
    Numba says "NRT required but not enabled" where it tries.
    """
    return _cached(numba.njit(nogil=True, error_model="numpy", forceinline=True, _nrt=False)(function), function)


def _cached(dispatcher: Any, function: Function) -> Function:
    """The dispatcher with our cache, which does what ``Dispatcher.enable_caching`` does."""
    if isinstance(dispatcher, Dispatcher):
        dispatcher._cache = _DeepCache(function)
    return dispatcher  # type: ignore[no-any-return]


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
    """Hexadecimal digest of the code of ``function`` and of all that it reaches: callees, constants and vectors."""
    hasher = hashlib.blake2b(vectors.SOURCE, digest_size=16)
    for line in _describe(function, set()):
        hasher.update(line.encode())
    return hasher.hexdigest()


def _describe(function: Callable[..., Any], seen: set[int]) -> Iterator[str]:
    """Lines that identify ``function``, depth first, each once; none of those that Numba replaces by its own."""
    function = getattr(function, "py_func", function)
    if id(function) in seen or not isinstance(function, types.FunctionType):
        return
    if function.__module__ == vectors.__name__ or function.__module__.startswith("numpy."):
        return
    seen.add(id(function))
    yield f"{function.__qualname__} {function.__defaults__}"
    yield from _describe_code(function.__code__)
    closure = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    for name, cell in sorted(closure.items()):
        yield from _describe_value(name, cell.cell_contents, seen)
    names = list(_names(function.__code__))
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, types.ModuleType):  # module.function(...): any attribute that the code names
            for attribute in names:
                yield from _describe_value(f"{name}.{attribute}", getattr(value, attribute, None), seen)
        else:
            yield from _describe_value(name, value, seen)


def _describe_code(code: types.CodeType) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames}"
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _describe_code(constant)
        else:
            yield repr(constant)


def _names(code: types.CodeType) -> Iterator[str]:
    yield from sorted(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _describe_value(name: str, value: Any, seen: set[int]) -> Iterator[str]:
    if isinstance(value, Dispatcher | types.FunctionType):
        yield f"{name}:"
        yield from _describe(value, seen)
    elif isinstance(value, np.ndarray):
        yield f"{name}={value.dtype} {value.shape} {value.tobytes().hex()}"
    elif isinstance(value, int | float | complex | str | tuple | np.generic | np.dtype):
        yield f"{name}={value!r}"


class _DeepCache(caching.FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function, with the deep digest in the key of every entry."""

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), digest(self._py_func))
