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

from pwm.compilation import compiled
from pwm.elementary import ZERO
from pwm.layout import Floats

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


@compiled
def copy(out: Floats, values: Floats) -> None:
    """Writes a row over another of its length."""
    for column in range(0, len(out), LANES):
        store(out, column, load(values, column))


@compiled
def add(out: Floats, values: Floats) -> None:
    """Adds a row to another of its length."""
    for column in range(0, len(out), LANES):
        store(out, column, load(out, column) + load(values, column))


@compiled
def clear(matrix: Floats) -> None:
    """Makes a matrix zero."""
    for row in range(len(matrix)):
        for column in range(0, matrix.shape[1], LANES):
            store(matrix[row], column, spread(ZERO))


@compiled
def transpose(out: Floats, matrix: Floats) -> None:
    """Writes the transpose of a matrix: (N, M), (M, N)."""
    for row in range(len(out)):
        for column in range(len(matrix)):
            out[row, column] = matrix[column, row]


@compiled
def add_product(out: Floats, left: Floats, right: Floats) -> None:
    """Adds left @ right to out; each element is one sum, in the order of the inner index."""
    rows, inner = left.shape
    for row in range(0, rows - 3, 4):
        _add_four_rows(out[row : row + 4], left[row : row + 4], right)
    for row in range(rows - rows % 4, rows):
        sums = out[row]
        for k in range(0, inner - 3, 4):
            right0, right1, right2, right3 = right[k], right[k + 1], right[k + 2], right[k + 3]
            a, b, c, d = left[row, k], left[row, k + 1], left[row, k + 2], left[row, k + 3]
            for lane in range(len(sums)):
                sums[lane] = (
                    ((sums[lane] + a * right0[lane]) + b * right1[lane]) + c * right2[lane]
                ) + d * right3[lane]
        for k in range(inner - inner % 4, inner):
            right0, a = right[k], left[row, k]
            for lane in range(len(sums)):
                sums[lane] += a * right0[lane]


@compiled
def _add_four_rows(out: Floats, left: Floats, right: Floats) -> None:
    inner = left.shape[1]
    out0, out1, out2, out3 = out[0], out[1], out[2], out[3]
    for k in range(0, inner - 3, 4):
        right0, right1, right2, right3 = right[k], right[k + 1], right[k + 2], right[k + 3]
        a0, a1, a2, a3 = left[0, k], left[1, k], left[2, k], left[3, k]
        b0, b1, b2, b3 = left[0, k + 1], left[1, k + 1], left[2, k + 1], left[3, k + 1]
        c0, c1, c2, c3 = left[0, k + 2], left[1, k + 2], left[2, k + 2], left[3, k + 2]
        d0, d1, d2, d3 = left[0, k + 3], left[1, k + 3], left[2, k + 3], left[3, k + 3]
        for lane in range(len(out0)):
            a, b, c, d = right0[lane], right1[lane], right2[lane], right3[lane]
            out0[lane] = (((out0[lane] + a0 * a) + b0 * b) + c0 * c) + d0 * d
            out1[lane] = (((out1[lane] + a1 * a) + b1 * b) + c1 * c) + d1 * d
            out2[lane] = (((out2[lane] + a2 * a) + b2 * b) + c2 * c) + d2 * d
            out3[lane] = (((out3[lane] + a3 * a) + b3 * b) + c3 * c) + d3 * d
    for k in range(inner - inner % 4, inner):
        right0 = right[k]
        a0, a1, a2, a3 = left[0, k], left[1, k], left[2, k], left[3, k]
        for lane in range(len(out0)):
            out0[lane] += a0 * right0[lane]
            out1[lane] += a1 * right0[lane]
            out2[lane] += a2 * right0[lane]
            out3[lane] += a3 * right0[lane]


@compiled
def add_product_transposed(out: Floats, left: Floats, right: Floats) -> None:
    """Adds left @ right.T to out, in eight sums each: (M, N), (M, K), (N, K)."""
    rows, inner = left.shape
    for row in range(rows):
        for column in range(0, len(right), 4):
            a = b = c = d = spread(ZERO)
            for k in range(0, inner, LANES):
                lanes = load(left[row], k)
                a += lanes * load(right[column], k)
                b += lanes * load(right[column + 1], k)
                c += lanes * load(right[column + 2], k)
                d += lanes * load(right[column + 3], k)
            out[row, column] += fold(a)
            out[row, column + 1] += fold(b)
            out[row, column + 2] += fold(c)
            out[row, column + 3] += fold(d)
