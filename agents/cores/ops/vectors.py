"""Vectors of eight numbers, for the compiled loops of the cores.

A compiler vectorises a loop only if it can prove that no arrays overlap, and a loop over a row of fast weights is over
before that is proved. So vectors are explicit here: ``load`` reads eight numbers of an array, ``spread`` repeats one
eight times, ``+ - *`` compute with vectors and scalars, ``total`` adds up, ``store`` writes back. Uncompiled, a vector
is an array (8,), and all of this is NumPy.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir  # Numba is built on it
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model
from numba.np.arrayobj import make_array

LANES = 8
FLAGS = ("reassoc", "contract", "nsz")  # sums may be reordered and products fused; nan and inf keep their meaning
SOURCE = Path(__file__).read_bytes()  # machine code that uses vectors also depends on this file
_intrinsic: Callable[[Callable[..., Any]], Callable[..., Any]] = intrinsic  # with a type


def load(array: np.ndarray, start: int) -> Any:
    """The vector array[start : start + 8] of a flat array, which must be long enough."""
    return array[start : start + LANES].copy()


def store(array: np.ndarray, start: int, vector: Any) -> None:
    """Writes a vector to array[start : start + 8]."""
    array[start : start + LANES] = vector


def spread(array: np.ndarray, index: int) -> Any:
    """A vector of array[index], eight times."""
    return np.full(LANES, array[index])


def full(value: Any) -> Any:
    """A vector of the same number, eight times."""
    return np.full(LANES, value)


def total(vector: Any) -> Any:
    """The sum of a vector's numbers."""
    return vector.sum()


class _Vector(types.Type):  # type: ignore[misc]
    """Eight numbers of a float type."""

    def __init__(self, dtype: Any) -> None:
        super().__init__(name=f"Vector{LANES}({dtype})")
        self.dtype = dtype


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, ir.VectorType(manager.lookup(fe_type.dtype).get_value_type(), LANES))


@_intrinsic
def _load(typing: Any, array: Any, start: Any) -> Any:
    def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        vector = builder.load(_stretch(context, builder, sig, values, sig.return_type))
        vector.align = array.dtype.bitwidth // 8
        return vector

    return _Vector(array.dtype)(array, start), emit


@_intrinsic
def _store(typing: Any, array: Any, start: Any, vector: Any) -> Any:
    def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        builder.store(values[2], _stretch(context, builder, sig, values, vector)).align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.none(array, start, vector), emit


@_intrinsic
def _spread(typing: Any, array: Any, index: Any) -> Any:
    def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        return _splat(builder, builder.load(_address(context, builder, sig, values)))

    return _Vector(array.dtype)(array, index), emit


@_intrinsic
def _full(typing: Any, value: Any) -> Any:
    return _Vector(value)(value), lambda context, builder, sig, values: _splat(builder, values[0])


@_intrinsic
def _total(typing: Any, vector: Any) -> Any:
    def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        number = context.get_value_type(vector.dtype)
        kind = ir.FunctionType(number, [number, values[0].type])
        name = f"llvm.vector.reduce.fadd.v{LANES}f{vector.dtype.bitwidth}"
        reduce = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(reduce, [ir.Constant(number, 0.0), values[0]], fastmath=FLAGS)

    return vector.dtype(vector), emit


def _arithmetic(method: str) -> Any:
    """+, - or * of two vectors, or of a vector and a number."""

    @_intrinsic
    def compute(typing: Any, a: Any, b: Any) -> Any:
        def emit(context: Any, builder: Any, sig: Any, values: Any) -> Any:
            return getattr(builder, method)(*(_splat(builder, value) for value in values), flags=FLAGS)

        return (a if isinstance(a, _Vector) else b)(a, b), emit

    def choose(a, b):  # type: ignore[no-untyped-def]  # Numba wants both signatures alike
        return (lambda a, b: compute(a, b)) if isinstance(a, _Vector) or isinstance(b, _Vector) else None

    return choose


def _address(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Of the number of an array, the first argument, at an index, the second."""
    array = make_array(sig.args[0])(context, builder, values[0])
    return builder.gep(array.data, [context.cast(builder, values[1], sig.args[1], types.intp)])


def _stretch(context: Any, builder: Any, sig: Any, values: Any, vector: Any) -> Any:
    """Likewise of a vector's numbers from there on."""
    return builder.bitcast(_address(context, builder, sig, values), context.get_value_type(vector).as_pointer())


def _splat(builder: Any, value: Any) -> Any:
    """A vector of one number; a vector as it is."""
    if isinstance(value.type, ir.VectorType):
        return value
    nothing = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


overload(load)(lambda array, start: lambda array, start: _load(array, start))
overload(store)(lambda array, start, vector: lambda array, start, vector: _store(array, start, vector))
overload(spread)(lambda array, index: lambda array, index: _spread(array, index))
overload(full)(lambda value: lambda value: _full(value))
overload(total)(lambda vector: lambda vector: _total(vector))
for _operator, _method in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    overload(_operator)(_arithmetic(_method))
