"""Explicit vectors of eight lanes for compiled code.

These are LLVM's vectors, which the compiler maps to one register or to several, as the machine
has them; each lane computes the same on all machines. In long loops the compiler finds vectors by
itself, as in `pwm.fused.products.add_product`. Short loops need explicit ones, because checking
that arrays do not overlap would take longer than the loop, and so do sums over lanes, which the
compiler must not reorder.

A Numba intrinsic gets the types of its arguments, and returns its signature and a function that
builds its LLVM code. It is inlined where compiled code calls it, and never runs as Python.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

from llvmlite import ir
from numba import extending
from numba.core import types
from numba.extending import models, overload, register_model

LANES = 8
intrinsic: Callable[..., Callable[..., Any]] = extending.intrinsic  # with a type
VECTOR = ir.VectorType(ir.FloatType(), LANES)
ALIGNMENT = 4  # bytes; a row may start at any number, not only at whole vectors


class LanesType(types.Type):
    """Numba's type of a vector."""

    def __init__(self) -> None:
        super().__init__("Lanes")


register_model(LanesType)(partial(models.PrimitiveModel, be_type=VECTOR))
lanes_type = LanesType()


@intrinsic
def load(_context: Any, row: Any, column: Any) -> Any:
    """The eight numbers of a row (columns,) that start at a column."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_address(context, builder, signature, arguments), align=ALIGNMENT)

    return lanes_type(row, column), build


@intrinsic
def store(_context: Any, row: Any, column: Any, lanes: Any) -> Any:
    """Writes eight numbers into a row (columns,), starting at a column."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(
            arguments[2], _address(context, builder, signature, arguments), align=ALIGNMENT
        )
        return context.get_dummy_value()

    return types.void(row, column, lanes), build


def _address(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    row = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.bitcast(builder.gep(row.data, [arguments[1]]), VECTOR.as_pointer())


@intrinsic
def spread(_context: Any, number: Any) -> Any:
    """A vector of one number, eight times."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        place = ir.Constant(ir.IntType(32), 0)
        first = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), arguments[0], place)
        return builder.shuffle_vector(first, first, _places(*[0] * LANES))

    return lanes_type(number), build


def _places(*places: int) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places))


@intrinsic
def fold(_context: Any, lanes: Any) -> Any:
    """The sum of the lanes: adds the halves, then their halves, then the last two numbers."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        (vector,) = arguments
        width = LANES
        while width > 1:
            width //= 2
            low, high = range(width), range(width, 2 * width)
            halves = [
                builder.shuffle_vector(vector, vector, _places(*half)) for half in (low, high)
            ]
            vector = builder.fadd(*halves)
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return types.float32(lanes), build


def _make_operator(operation: Callable[..., Any], instruction: str) -> None:
    @intrinsic
    def of_lanes(_context: Any, one: Any, other: Any) -> Any:
        def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return getattr(builder, instruction)(*arguments)

        return lanes_type(one, other), build

    @overload(operation)
    def choose(one: Any, other: Any) -> Any:
        def operate(one: Any, other: Any) -> Any:
            return of_lanes(one, other)

        return operate if one is other is lanes_type else None


_make_operator(operator.add, "fadd")
_make_operator(operator.iadd, "fadd")
_make_operator(operator.sub, "fsub")
_make_operator(operator.mul, "fmul")
