"""Sixteen float32 numbers at once: a vector for Numba's kernels, which fills a wide register, or two of half the width.

Kernels that look through receptive fields compute with vectors, because a compiler finds them in a loop only where no
array may alias another and where nothing branches. ``load`` takes 16 numbers of an array, ``+ - * /`` compute with
vectors and float32 scalars, comparisons give masks, which ``&`` and ``|`` join, ``where`` chooses, ``store`` writes
back. A product and a sum after it may be rounded once (``contract``). Uncompiled, a vector is an array (16,), a mask
one of bool, and all of this is NumPy.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir  # Numba is built on it
from numba.core import cgutils, types
from numba.core.extending import models, register_model, type_callable
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.np.arrayobj import make_array

LANES = 16
SOURCE = Path(__file__).read_bytes()  # what machine code that uses vectors depends on beside itself
Emit = Callable[..., Any]  # values of LLVM to one
_FLOATS, _BITS = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(ir.IntType(1), LANES)
_FLAGS = ("contract",)


def load(array: np.ndarray, start: int) -> Any:
    """The vector array[start : start + 16] of a contiguous float32 array; it must reach so far."""
    return array[start : start + LANES].copy()


def store(array: np.ndarray, start: int, vector: Any) -> None:
    """Write a vector to array[start : start + 16]."""
    array[start : start + LANES] = vector


def full(value: Any) -> Any:
    """A vector of 16 times the same float32."""
    return np.full(LANES, value, np.float32)


def absolute(vector: Any) -> Any:
    """Magnitudes."""
    return np.abs(vector)


def root(vector: Any) -> Any:
    """Square roots of numbers that are not negative."""
    return np.sqrt(vector)


def larger(a: Any, b: Any) -> Any:
    """The larger of two numbers, lane by lane; one of the two is a vector."""
    return np.maximum(a, b)


def smaller(a: Any, b: Any) -> Any:
    """The smaller of two numbers, lane by lane; one of the two is a vector."""
    return np.minimum(a, b)


def where(mask: Any, a: Any, b: Any) -> Any:
    """``a`` where the mask is set, ``b`` elsewhere; each a vector or a float32."""
    return np.where(mask, a, b)


def anywhere(mask: Any) -> Any:
    """Whether a mask is set in any lane."""
    return bool(np.any(mask))


class _VectorType(types.Type):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(name=f"Vector{LANES}")


class _MaskType(types.Type):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__(name=f"Mask{LANES}")


VECTOR, MASK = _VectorType(), _MaskType()


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, _FLOATS)


@register_model(_MaskType)
class _MaskModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, _BITS)


def _define(function: Any, result: Any, cases: list[tuple[Any, ...]], emit: Emit) -> None:
    """Teach Numba ``function`` for the given types of its arguments; ``emit`` gets vectors where a case has scalars."""
    signatures = [signature(result, *case) for case in cases]
    infer_global(function)(type("_Cases", (ConcreteTemplate,), {"cases": signatures}))

    def lower(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        return emit(builder, *(_splat(builder, value) for value in values))

    for case in cases:
        lower_builtin(function, *case)(lower)


def _splat(builder: Any, value: Any) -> Any:
    """A vector of one float32; a vector or mask as it is."""
    if value.type != ir.FloatType():
        return value
    nothing = ir.Constant(_FLOATS, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _call(name: str) -> Emit:
    """A function of LLVM from vector to vector."""

    def emit(builder: Any, vector: Any) -> Any:
        of_vectors = ir.FunctionType(_FLOATS, [_FLOATS])
        return builder.call(
            cgutils.get_or_insert_function(builder.module, of_vectors, f"llvm.{name}.v{LANES}f32"), [vector]
        )

    return emit


def _compare(sign: str) -> Emit:
    return lambda builder, a, b: builder.fcmp_ordered(sign, a, b)


def _choose(sign: str) -> Emit:
    return lambda builder, a, b: builder.select(builder.fcmp_ordered(sign, a, b), a, b)


def _any(builder: Any, mask: Any) -> Any:
    bits = builder.bitcast(mask, ir.IntType(LANES))
    return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(LANES), 0))


_PAIRS = [(VECTOR, VECTOR), (VECTOR, types.float32), (types.float32, VECTOR)]
for _operators, _method in (
    ((operator.add, operator.iadd), "fadd"),
    ((operator.sub, operator.isub), "fsub"),
    ((operator.mul, operator.imul), "fmul"),
    ((operator.truediv, operator.itruediv), "fdiv"),
):
    for _operator in _operators:
        _define(
            _operator, VECTOR, _PAIRS,
            lambda builder, a, b, method=_method: getattr(builder, method)(a, b, flags=_FLAGS),
        )  # fmt: skip
for _operator, _sign in ((operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">=")):
    _define(_operator, MASK, _PAIRS, _compare(_sign))
_define(operator.and_, MASK, [(MASK, MASK)], lambda builder, a, b: builder.and_(a, b))
_define(operator.or_, MASK, [(MASK, MASK)], lambda builder, a, b: builder.or_(a, b))
_define(full, VECTOR, [(types.float32,)], lambda builder, vector: vector)
_define(absolute, VECTOR, [(VECTOR,)], _call("fabs"))
_define(root, VECTOR, [(VECTOR,)], _call("sqrt"))
_define(larger, VECTOR, _PAIRS, _choose(">"))
_define(smaller, VECTOR, _PAIRS, _choose("<"))
_define(where, VECTOR, [(MASK, a, b) for a in (VECTOR, types.float32) for b in (VECTOR, types.float32)],
        lambda builder, mask, a, b: builder.select(mask, a, b))  # fmt: skip
_define(anywhere, types.boolean, [(MASK,)], _any)


def _load(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    vector = builder.load(_address(context, builder, sig, values))
    vector.align = 4
    return vector


def _store(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    builder.store(values[2], _address(context, builder, sig, values)).align = 4
    return context.get_dummy_value()


def _holds_floats(array: Any) -> bool:
    return isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C" and array.dtype == types.float32


def _address(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Of 16 numbers of an array from an index on."""
    array = make_array(sig.args[0])(context, builder, values[0])
    start = context.cast(builder, values[1], sig.args[1], types.intp)
    return builder.bitcast(builder.gep(array.data, [start]), _FLOATS.as_pointer())


type_callable(load)(lambda context: lambda array, start: VECTOR if _holds_floats(array) else None)
type_callable(store)(lambda context: lambda array, start, vector: types.none if _holds_floats(array) else None)
lower_builtin(load, types.Array, types.Integer)(_load)
lower_builtin(store, types.Array, types.Integer, VECTOR)(_store)
