"""Rows and matrix products of the fused engine, in explicit vectors of eight lanes.

A vector is LLVM's own, which stands for one register or for several, as the machine has them:
what a lane computes is the same on all. In long loops the compiler finds these vectors by itself,
and `add_product` leaves them to it; before short ones it would spend longer on making sure that
arrays do not overlap than on the loop, and where lanes are summed up it may not.

Shapes: every matrix is contiguous in its columns, whose number is a multiple of 8 where they are
taken as lanes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, overload, register_model

LANES = 8
inlined: Callable[..., Callable[..., Any]] = intrinsic
VECTOR = ir.VectorType(ir.FloatType(), LANES)


class LanesType(types.Type):
    """Eight numbers side by side."""

    def __init__(self) -> None:
        super().__init__("Lanes")


register_model(LanesType)(partial(models.PrimitiveModel, be_type=VECTOR))
lanes_type = LanesType()


@inlined
def load(_context: Any, row: Any, column: Any) -> Any:
    """The eight numbers of a row (columns,) from a column on."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_address(context, builder, signature, arguments), align=4)

    return lanes_type(row, column), build


@inlined
def store(_context: Any, row: Any, column: Any, lanes: Any) -> Any:
    """Writes eight numbers into a row (columns,) from a column on."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _address(context, builder, signature, arguments), align=4)
        return context.get_dummy_value()

    return types.void(row, column, lanes), build


def _address(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    row = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.bitcast(builder.gep(row.data, [arguments[1]]), VECTOR.as_pointer())


@inlined
def spread(_context: Any, number: Any) -> Any:
    """One number, eight times."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        place = ir.Constant(ir.IntType(32), 0)
        first = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), arguments[0], place)
        return builder.shuffle_vector(first, first, _places(*[0] * LANES))

    return lanes_type(number), build


def _places(*places: int) -> Any:
    return ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places))


@inlined
def fold(_context: Any, lanes: Any) -> Any:
    """The sum of eight lanes: halves are added, then quarters, then the two that are left."""

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
    @inlined
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
