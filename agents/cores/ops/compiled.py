"""The decorators over Numba, ``compiled`` and ``fast``: machine code, cached on disk, and never stale.

Numba's own cache checks only the file of the compiled function, so after an edit to a function that it *calls*, old
machine code runs. Here the cache key holds a digest of the function and everything it reaches: callees in any file,
their flags, and the global constants that Numba freezes into the code.
"""

from __future__ import annotations

import hashlib
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import caching
from numba.core.dispatcher import Dispatcher
from torch import Tensor

from . import vectors

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile ``function`` on its first call, to run without the GIL, and cache the machine code on disk.

    Floats are rounded and errors raised as in Python. The cache is refreshed whenever the function, a compiled function
    that it calls (in any file), or a global constant that either uses has changed.

    Returns:
        The dispatcher, called like ``function``; ``function`` itself under ``NUMBA_DISABLE_JIT=1``.
    """
    dispatcher: Function = numba.njit(nogil=True)(function)
    return _cached(dispatcher)


def fast(function: Function) -> Function:
    """``compiled`` for the cores' loops: sums may be reordered, and division by zero gives inf or nan."""
    dispatcher: Function = numba.njit(nogil=True, error_model="numpy", fastmath=set(vectors.FLAGS))(function)
    return _cached(dispatcher)


def as_array(tensor: Tensor) -> np.ndarray:
    """The memory of a tensor on the CPU, without its gradient."""
    return tensor.detach().numpy()


def as_flat(tensor: Tensor) -> np.ndarray:
    """The memory of a contiguous tensor on the CPU, as one row."""
    return as_array(tensor).reshape(-1)


def digest(function: Callable[..., Any]) -> str:
    """Hexadecimal digest of a function and everything it reaches: callees, flags, constants and vectors."""
    hasher = hashlib.blake2b(vectors.SOURCE, digest_size=16)
    for part in _describe(function, set()):
        hasher.update(part)
    return hasher.hexdigest()


class _DeepCache(caching.FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function, with the digest in the key of every entry."""

    def __init__(self, dispatcher: Any) -> None:
        super().__init__(dispatcher.py_func)
        self._dispatcher = dispatcher

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), digest(self._dispatcher))


def _cached(dispatcher: Function) -> Function:
    """The dispatcher with our cache, set up as ``Dispatcher.enable_caching`` does."""
    if isinstance(dispatcher, Dispatcher):
        dispatcher._cache = _DeepCache(dispatcher)
    return dispatcher


def _describe(function: Any, seen: set[object]) -> Iterator[bytes]:
    """What identifies a function and everything it reaches, depth first, each function once."""
    if function in seen:
        return
    seen.add(function)
    if isinstance(function, Dispatcher):
        for flag, value in sorted(function.targetoptions.items()):
            yield f"{flag}={sorted(value) if isinstance(value, set) else value}".encode()
        function = function.py_func
    yield f"{function.__qualname__} {function.__defaults__}".encode()
    codes = list(_nested(function.__code__))
    for code in codes:
        constants = [value for value in code.co_consts if not isinstance(value, types.CodeType)]
        yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {constants}".encode()
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    closure = {name: cell.cell_contents for name, cell in cells}
    names = sorted({name for code in codes for name in code.co_names})
    for name in [*closure, *names]:
        value = closure.get(name, function.__globals__.get(name))
        yield from _describe_value(name, value, seen)
        if isinstance(value, types.ModuleType):  # module.function(...): any attribute named in the code
            for attribute in names:
                yield from _describe_value(f"{name}.{attribute}", getattr(value, attribute, None), seen)


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    """A function's code, and that of the functions and comprehensions inside."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _nested(constant)


def _describe_value(name: str, value: Any, seen: set[object]) -> Iterator[bytes]:
    """The value of a name, as far as machine code depends on it."""
    if isinstance(value, Dispatcher):
        yield f"{name}:".encode()
        yield from _describe(value, seen)
    elif isinstance(value, types.FunctionType):  # Numba calls its overload, which is in the same file
        path = Path(value.__code__.co_filename)
        yield f"{name}:".encode() + (path.read_bytes() if path.is_file() else b"")
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from _describe_value(f"{name}[{i}]", item, seen)
    elif isinstance(value, np.ndarray):
        yield f"{name}={value.dtype} {value.shape}".encode() + value.tobytes()
    elif isinstance(value, int | float | complex | str | np.generic | np.dtype):
        yield f"{name}={value!r}".encode()
