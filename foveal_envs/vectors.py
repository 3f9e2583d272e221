"""Sixteen float32 numbers at once: a vector for Numba's kernels, which fills a wide register, or two of half the width.

Kernels that look through receptive fields compute with vectors, because a compiler finds them in a loop only where no
array may alias another and where nothing branches. ``load`` takes 16 numbers of an array, ``+ - * /`` compute with
vectors and float32 scalars, comparisons give masks, which ``&`` and ``|`` join, ``where`` chooses, ``store`` writes
back. A product and a sum after it may be rounded once (``contract``). Vectors of uint32 are loaded and stored as well;
``whole`` makes them, ``+`` adds them, ``byte`` takes them apart. Uncompiled, a vector is an array (16,), a mask one of
bool, and all of this is NumPy.
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
_FLOATS, _INTS, _BITS = (ir.VectorType(kind, LANES) for kind in (ir.FloatType(), ir.IntType(32), ir.IntType(1)))
_FLAGS = ("contract",)


def load(array: np.ndarray, start: int) -> Any:
    """The vector array[start : start + 16] of a contiguous float32 array; it must reach so far."""
    return array[start : start + LANES].copy()


def store(array: np.ndarray, start: int, vector: Any) -> None:
    """Write a vector to array[start : start + 16]."""
    array[start : start + LANES] = vector


def gather(array: np.ndarray, at: Any) -> Any:
    """The vector of the numbers of a contiguous uint32 array that stand at the places of a vector of uint32."""
    return array[at]


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


def floor(vector: Any) -> Any:
    """The largest whole numbers that are not larger."""
    return np.floor(vector)


def whole(vector: Any) -> Any:
    """Numbers from 0 to below 2^31 as a vector of uint32, what is behind the point left out."""
    return vector.astype(np.uint32)


def byte(vector: Any, index: int) -> Any:
    """Byte ``index`` (0 to 3, the lowest first) of the numbers of a vector of uint32, as a vector of float32."""
    return (vector >> np.uint32(8 * index) & np.uint32(255)).astype(np.float32)


def total(vector: Any) -> Any:
    """The sum of the 16 numbers of a vector."""
    return np.float32(np.sum(vector))


def first(count: int) -> Any:
    """The mask of the first ``count`` lanes."""
    return np.arange(LANES) < count


def anywhere(mask: Any) -> Any:
    """Whether a mask is set in any lane."""
    return bool(np.any(mask))


class _VectorType(types.Type):  # type: ignore[misc]
    def __init__(self, name: str, held: ir.VectorType) -> None:
        super().__init__(name=f"{name}{LANES}")
        self.held = held


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, fe_type.held)


VECTOR, INTEGERS, MASK = _VectorType("Vector", _FLOATS), _VectorType("Integers", _INTS), _VectorType("Mask", _BITS)


def _define(function: Any, result: Any, cases: list[tuple[Any, ...]], emit: Emit) -> None:
    """Teach Numba ``function`` for the given types of its arguments; ``emit`` gets vectors where a case has scalars."""
    signatures = [signature(result, *case) for case in cases]
    infer_global(function)(type("_Cases", (ConcreteTemplate,), {"cases": signatures}))

    def lower(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        return emit(builder, *(_splat(builder, value) for value in values))

    for case in cases:
        lower_builtin(function, *case)(lower)


def _splat(builder: Any, value: Any) -> Any:
    """A vector of one number; a vector or mask as it is."""
    if isinstance(value.type, ir.VectorType):
        return value
    nothing = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
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


def _total(builder: Any, vector: Any) -> Any:
    kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), _FLOATS])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f32")
    return builder.call(function, [ir.Constant(ir.FloatType(), -0.0), vector], fastmath=("reassoc",))


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
_define(operator.add, INTEGERS, [(INTEGERS, INTEGERS)], lambda builder, a, b: builder.add(a, b))
_define(full, VECTOR, [(types.float32,)], lambda builder, vector: vector)
_define(absolute, VECTOR, [(VECTOR,)], _call("fabs"))
_define(root, VECTOR, [(VECTOR,)], _call("sqrt"))
_define(floor, VECTOR, [(VECTOR,)], _call("floor"))
_define(whole, INTEGERS, [(VECTOR,)], lambda builder, vector: builder.fptosi(vector, _INTS))
_define(total, types.float32, [(VECTOR,)], _total)
_define(larger, VECTOR, _PAIRS, _choose(">"))
_define(smaller, VECTOR, _PAIRS, _choose("<"))
_define(where, VECTOR, [(MASK, a, b) for a in (VECTOR, types.float32) for b in (VECTOR, types.float32)],
        lambda builder, mask, a, b: builder.select(mask, a, b))  # fmt: skip
_define(anywhere, types.boolean, [(MASK,)], _any)


def _held(array: Any) -> Any:
    """The type of vectors of an array's numbers; None of what has none."""
    one = isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C"
    return {types.float32: VECTOR, types.uint32: INTEGERS}.get(array.dtype) if one else None


def _load(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    vector = builder.load(_address(context, builder, sig, values))
    vector.align = 4
    return vector


def _store(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    builder.store(values[2], _address(context, builder, sig, values)).align = 4
    return context.get_dummy_value()


def _address(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    """Of 16 numbers of an array from an index on."""
    array = make_array(sig.args[0])(context, builder, values[0])
    start = context.cast(builder, values[1], sig.args[1], types.intp)
    return builder.bitcast(builder.gep(array.data, [start]), _held(sig.args[0]).held.as_pointer())


def _byte(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    index = context.cast(builder, values[1], sig.args[1], types.uint32)
    shift = _splat(builder, builder.mul(index, ir.Constant(ir.IntType(32), 8)))
    last = ir.Constant(_INTS, [255] * LANES)
    return builder.sitofp(builder.and_(builder.lshr(values[0], shift), last), _FLOATS)


def _gather(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    array, wide = make_array(sig.args[0])(context, builder, values[0]), ir.VectorType(ir.IntType(64), LANES)
    start = _splat(builder, builder.ptrtoint(array.data, ir.IntType(64)))
    bytes_on = builder.mul(builder.zext(values[1], wide), ir.Constant(wide, [4] * LANES))
    places = builder.inttoptr(builder.add(start, bytes_on), ir.VectorType(array.data.type, LANES))
    kind = ir.FunctionType(_INTS, [places.type, ir.IntType(32), _BITS, _INTS])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.gather.v{LANES}i32.v{LANES}p0")
    everywhere = ir.Constant(_BITS, [1] * LANES)
    return builder.call(function, [places, ir.Constant(ir.IntType(32), 4), everywhere, ir.Constant(_INTS, [0] * LANES)])


def _first(context: Any, builder: Any, sig: Any, values: Any) -> Any:
    count = builder.trunc(context.cast(builder, values[0], sig.args[0], types.intp), ir.IntType(32))
    return builder.icmp_signed("<", ir.Constant(_INTS, list(range(LANES))), _splat(builder, count))


type_callable(load)(lambda context: lambda array, start: _held(array))
type_callable(store)(lambda context: lambda array, start, vector: types.none if vector == _held(array) else None)
lower_builtin(load, types.Array, types.Integer)(_load)
lower_builtin(store, types.Array, types.Integer, _VectorType)(_store)
type_callable(byte)(lambda context: lambda vector, index: VECTOR if vector == INTEGERS else None)
lower_builtin(byte, _VectorType, types.Integer)(_byte)
type_callable(first)(lambda context: lambda count: MASK)
lower_builtin(first, types.Integer)(_first)
type_callable(gather)(
    lambda context: lambda array, at: INTEGERS if (_held(array), at) == (INTEGERS, INTEGERS) else None
)
lower_builtin(gather, types.Array, _VectorType)(_gather)
