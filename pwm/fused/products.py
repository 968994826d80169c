"""Operations on rows, and matrix products, of the fused engine.

Every matrix is contiguous along its rows. If columns are computed as lanes, their number is a
multiple of `LANES`.
"""

from __future__ import annotations

import numpy as np

from pwm.fused.compilation import compiled
from pwm.fused.layout import Floats
from pwm.fused.scalar import ZERO
from pwm.fused.vectors import LANES, fold, load, spread, store

COLUMNS = 4  # of the transposed product, computed together


@compiled
def copy(out: Floats, values: Floats) -> None:
    """Copies a row to another of the same length, a multiple of `LANES`."""
    for column in range(0, len(out), LANES):
        store(out, column, load(values, column))


@compiled
def add(out: Floats, values: Floats) -> None:
    """Adds a row to another of the same length, a multiple of `LANES`."""
    for column in range(0, len(out), LANES):
        store(out, column, load(out, column) + load(values, column))


@compiled
def clear(matrix: Floats) -> None:
    """Sets a matrix to zero."""
    for row in range(len(matrix)):
        for column in range(0, matrix.shape[1], LANES):
            store(matrix[row], column, spread(ZERO))


@compiled
def transpose(out: Floats, matrix: Floats) -> None:
    """Writes the transpose of a matrix: (N, M) from (M, N)."""
    for row in range(len(out)):
        for column in range(len(matrix)):
            out[row, column] = matrix[column, row]


@compiled
def add_product(out: Floats, left: Floats, right: Floats) -> None:
    """Adds left @ right to out; each element is one sum, in the order of the inner index.

    The compiler chooses its lanes.
    """
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
    """Adds left @ right.T to out: (M, N) from (M, K) and (N, K).

    N must be a multiple of `COLUMNS`, K of `LANES`. Each element is the sum of `LANES` partial
    sums, in an order that is the same on every machine.
    """
    rows, inner = left.shape
    for row in range(rows):
        for column in range(0, len(right), COLUMNS):
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


@compiled
def dot(left: Floats, right: Floats) -> np.float32:
    """The inner product of two rows whose length is a multiple of `LANES`."""
    sums = spread(ZERO)
    for column in range(0, len(left), LANES):
        sums += load(left, column) * load(right, column)
    total: np.float32 = fold(sums)
    return total
