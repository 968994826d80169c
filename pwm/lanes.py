"""Matrix products of the fused engine, in explicit vectors of eight lanes.

A vector is LLVM's own, which stands for one register or for several, as the machine has them:
what a lane computes is the same on all. Left to itself the compiler finds these vectors too, but
keeps no sums in registers.

Shapes: every matrix is contiguous in its columns, whose number is a multiple of 8 where they are
taken as lanes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

from pwm.compilation import compiled

Floats = NDArray[np.float32]
LANES = 8
VECTOR = ir.VectorType(ir.FloatType(), LANES)


class LanesType(types.Type):
    """Eight numbers side by side."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: LanesType) -> None:
        super().__init__(manager, lanes, VECTOR)


lanes_type = LanesType()


def _address(context: Any, builder: Any, kind: Any, array: Any, column: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [column]), VECTOR.as_pointer())


@intrinsic
def load(_context: Any, row: Any, column: Any) -> Any:
    """The eight numbers of a row (columns,) from a column on."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature.args[0], *arguments)
        return builder.load(address, align=4)

    return lanes_type(row, column), build


@intrinsic
def zeros(_context: Any) -> Any:
    """Eight zeros."""

    def build(_context: Any, _builder: Any, _signature: Any, _arguments: Any) -> Any:
        return ir.Constant(VECTOR, [0.0] * LANES)

    return lanes_type(), build


@intrinsic
def add_multiple(_context: Any, total: Any, one: Any, other: Any) -> Any:
    """total + one * other, rounded twice."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        total, one, other = arguments
        return builder.fadd(total, builder.fmul(one, other))

    return lanes_type(total, one, other), build


@intrinsic
def fold(_context: Any, lanes: Any) -> Any:
    """The sum of eight lanes: halves are added, then quarters, then the two that are left."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        (vector,) = arguments
        width = LANES
        while width > 1:
            width //= 2
            halves = [
                builder.shuffle_vector(
                    vector,
                    vector,
                    ir.Constant(
                        ir.VectorType(ir.IntType(32), width), list(range(start, start + width))
                    ),
                )
                for start in (0, width)
            ]
            vector = builder.fadd(*halves)
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return types.float32(lanes), build


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
            a = b = c = d = zeros()
            for k in range(0, inner, LANES):
                lanes = load(left[row], k)
                a = add_multiple(a, lanes, load(right[column], k))
                b = add_multiple(b, lanes, load(right[column + 1], k))
                c = add_multiple(c, lanes, load(right[column + 2], k))
                d = add_multiple(d, lanes, load(right[column + 3], k))
            out[row, column] += fold(a)
            out[row, column + 1] += fold(b)
            out[row, column + 2] += fold(c)
            out[row, column + 3] += fold(d)
