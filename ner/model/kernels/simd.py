"""SIMD vectors of eight float64 as values in functions compiled by Numba.

LLVM does not vectorise the loops of ``crf_numba`` over the sentences of a block: the same recursion in plain Numba
loops, with the batch as innermost axis, was measured 2.5 to 4.8 times slower. The functions below emit the vector
instructions directly. They are independent of the vector width of the CPU: LLVM splits a value of eight lanes into as
many registers as the CPU needs (``tests/model/kernels/test_simd.py`` runs them at several widths).

The functions can be called in compiled code only. ``index`` counts vectors from the start of a C-ordered array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 8
"""Lanes of a vector: the float64 numbers of an AVX-512 register."""

_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_INTEGERS = ir.VectorType(ir.IntType(64), LANES)

_LOG2_E = 1.4426950408889634
_LN2 = (0.6931471803691238, 1.9082149292705877e-10)
"""The logarithm of 2 as a sum of two numbers: small multiples of the first are exact (Cody and Waite, 1980)."""
_LOWEST = -700.0
"""Smallest exponent; smaller ones are clamped to it."""


class Vector(types.Type):
    """Numba type of a vector."""

    def __init__(self) -> None:
        super().__init__(name=f"float64x{LANES}")


vector = Vector()


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


def _operation(arguments: int, build: Callable[..., ir.Value]) -> Any:
    """Return an intrinsic of one to three vectors; ``build`` emits its instructions."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> ir.Value:
        return build(builder, *values)

    result = vector(*[vector] * arguments), generate
    types_of: dict[int, Callable[..., Any]] = {  # Numba requires the exact number of parameters
        1: lambda context, a: result,
        2: lambda context, a, b: result,
        3: lambda context, a, b, c: result,
    }
    return intrinsic(types_of[arguments])


def _constant(value: float) -> ir.Constant:
    return ir.Constant(_VECTOR, [value] * LANES)


def _call(builder: Any, name: str, *values: ir.Value) -> ir.Value:
    function_type = ir.FunctionType(_VECTOR, [_VECTOR] * len(values))
    return builder.call(
        cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.v{LANES}f64"), values
    )


def _exponential(builder: Any, value: ir.Value) -> ir.Value:
    value = builder.select(builder.fcmp_ordered("<", value, _constant(_LOWEST)), _constant(_LOWEST), value)
    power = _call(builder, "floor", builder.fadd(builder.fmul(value, _constant(_LOG2_E)), _constant(0.5)))
    remainder = value
    for ln2_part in _LN2:
        remainder = builder.fsub(remainder, builder.fmul(power, _constant(ln2_part)))
    series, factorial = _constant(0.0), 6227020800.0
    for degree in range(13, 0, -1):  # Horner scheme; the first omitted term is below 1e-17
        series = _call(builder, "fma", series, remainder, _constant(1 / factorial))
        factorial /= degree
    series = _call(builder, "fma", series, remainder, _constant(1.0))
    shift = ir.Constant(_INTEGERS, [52] * LANES)
    bias = ir.Constant(_INTEGERS, [1023] * LANES)
    bits = builder.shl(builder.add(builder.fptosi(power, _INTEGERS), bias), shift)
    return builder.fmul(series, builder.bitcast(bits, _VECTOR))


def _reciprocal(builder: Any, value: ir.Value) -> ir.Value:
    positive = builder.fcmp_ordered(">", value, _constant(0.0))
    return builder.select(positive, builder.fdiv(_constant(1.0), value), _constant(0.0))


add = _operation(2, lambda builder, a, b: builder.fadd(a, b))
subtract = _operation(2, lambda builder, a, b: builder.fsub(a, b))
multiply = _operation(2, lambda builder, a, b: builder.fmul(a, b))
maximum = _operation(2, lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))
minimum = _operation(2, lambda builder, a, b: builder.select(builder.fcmp_ordered("<", a, b), a, b))
multiply_add = _operation(3, lambda builder, a, b, c: _call(builder, "fma", a, b, c))
"""``a * b + c``, rounded once."""
exponential = _operation(1, _exponential)
"""Exponential of numbers up to 0; relative error below 1e-15."""
reciprocal = _operation(1, _reciprocal)
"""Reciprocal of positive numbers, 0 for other numbers."""


@intrinsic
def broadcast(typing_context: Any, number: Any) -> Any:
    """Return a vector that has the same number in every lane."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> ir.Value:
        one_lane = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), values[0], ir.IntType(32)(0))
        return builder.shuffle_vector(
            one_lane, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        )

    return vector(types.float64), generate


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> ir.Value:
    data = context.make_array(array_type)(context, builder, array).data
    pointer = builder.bitcast(data, _VECTOR.as_pointer())
    return builder.gep(pointer, [index], inbounds=True)


@intrinsic
def load(typing_context: Any, array: Any, index: Any) -> Any:
    """Return the vector at ``index``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> ir.Value:
        return builder.load(_pointer(context, builder, signature.args[0], *values), align=8)

    return vector(array, types.intp), generate


@intrinsic
def store(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Store a vector at ``index``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> ir.Value:
        builder.store(values[2], _pointer(context, builder, signature.args[0], *values[:2]), align=8)
        return context.get_dummy_value()

    return types.none(array, types.intp, vector), generate
