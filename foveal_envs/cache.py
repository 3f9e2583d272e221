"""Machine code of compiled functions, kept on disk where that is possible: never stale, and never damaged.

Numba's own cache looks at the file of the compiled function alone, so an edit to a function that it *calls* runs old
machine code. Here the key of an entry holds a digest of the function and of everything it reaches: callees in any file,
their flags, and the global constants that Numba freezes into the code. Every entry has a checksum, and one that is
damaged counts as absent.

``foveal_envs.cache`` and ``agents.cores.ops.cache`` are one text, since neither package imports the other.
"""

from __future__ import annotations

import hashlib
import pickle
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numba.core import caching
from numba.core.dispatcher import Dispatcher

Function = TypeVar("Function", bound=Callable[..., Any])


def cached(dispatcher: Function, more: bytes) -> Function:
    """The dispatcher, with a cache on disk: what ``Dispatcher.enable_caching`` does.

    Where nothing can be written, a warning says so, once, and functions are compiled anew in every process. Functions
    that are in no file, such as those of ``python -c``, are not cached, and nothing is said.

    Args:
        dispatcher: of Numba, or under ``NUMBA_DISABLE_JIT=1`` the function itself, which is returned unchanged.
        more: what the machine code depends on beside what ``digest`` finds.
    """
    if isinstance(dispatcher, Dispatcher):
        try:
            dispatcher._cache = _DeepCache(dispatcher, more)
        except (RuntimeError, OSError) as error:  # Numba finds no folder for it
            if Path(dispatcher.py_func.__code__.co_filename).is_file():
                _tell(error)
    return dispatcher


def digest(function: Callable[..., Any], more: bytes) -> str:
    """Hexadecimal digest of ``more``, a function and everything it reaches: callees, flags and constants."""
    hasher = hashlib.blake2b(more, digest_size=16)
    for part in _describe(function, set()):
        hasher.update(part)
    return hasher.hexdigest()


class _DeepCache(caching.FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function, with the digest in the key of every entry."""

    def __init__(self, dispatcher: Any, more: bytes) -> None:
        super().__init__(dispatcher.py_func)
        self._dispatcher, self._more = dispatcher, more
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _CheckedFiles(self._cache_path, self._impl.filename_base, stamp)

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), digest(self._dispatcher, self._more))

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _tell(error)


class _CheckedFiles(caching.IndexDataCacheFile):  # type: ignore[misc]
    """The files of one function: an index, and one file for each entry, which repeats its key and has a checksum."""

    def load(self, key: tuple[Any, ...]) -> Any:
        """What was saved under a key, or None."""
        try:
            stored, checksum, content = super().load(key)
        except Exception:  # absent; or damaged, which may raise anything
            return None
        return pickle.loads(content) if (stored, checksum) == (key, _checksum(content)) else None

    def save(self, key: tuple[Any, ...], data: Any) -> None:
        """Save data under a key; a damaged index is replaced."""
        content = self._dump(data)
        entry = key, _checksum(content), content
        try:
            super().save(key, entry)
        except OSError:
            raise
        except Exception:  # a damaged index may raise anything
            self.flush()
            super().save(key, entry)


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _tell(error: Exception) -> None:
    """Warn once a process; Numba's module, which the two packages share, remembers it."""
    if not hasattr(caching, "_told"):
        caching._told = True
        reason = error.strerror if isinstance(error, OSError) else "no folder can be written"
        warnings.warn(
            f"machine code cannot be cached ({reason}), so that every process compiles it anew, which takes minutes: "
            "let NUMBA_CACHE_DIR name a folder that can be written",
            RuntimeWarning,
            stacklevel=3,
        )


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
            for attribute in names:  # by vars, because getattr may warn or import
                yield from _describe_value(f"{name}.{attribute}", vars(value).get(attribute), seen)


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
        if path not in seen:
            seen.add(path)
            yield f"{name}:".encode() + (path.read_bytes() if path.is_file() else b"")
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from _describe_value(f"{name}[{i}]", item, seen)
    elif isinstance(value, np.ndarray):
        yield f"{name}={value.dtype} {value.shape}".encode() + value.tobytes()
    elif isinstance(value, int | float | complex | str | np.generic | np.dtype):
        yield f"{name}={value!r}".encode()
