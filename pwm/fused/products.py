"""Operations on rows, and matrix products, of the fused engine.

Every matrix is contiguous along its rows. If columns are computed as lanes, their number is a
multiple of `LANES`, or of `WIDE` where the text says so. Sums stay in registers until they are
complete: reading and writing them for each term would take longer than the arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pwm.fused.compilation import compiled
from pwm.fused.elementary import ZERO
from pwm.fused.layout import Floats
from pwm.fused.vectors import (
    LANES,
    WIDE,
    first,
    first_half,
    fold,
    load,
    load_like,
    load_wide,
    pair,
    second_half,
    spread,
    store,
)

COLUMNS = 4  # of the transposed product, computed together


@compiled
def copy(out: Floats, values: Floats) -> None:
    """Copies a row to another of the same length, a multiple of `LANES`."""
    for column in range(0, len(out), LANES):
        store(out, column, load(values, column))


@compiled
def copy_wide(out: Floats, values: Floats) -> None:
    """Copies a row to another of the same length, a multiple of `WIDE`."""
    for column in range(0, len(out), WIDE):
        store(out, column, load_wide(values, column))


@compiled
def add(out: Floats, values: Floats) -> None:
    """Adds a row to another of the same length, a multiple of `LANES`."""
    for column in range(0, len(out), LANES):
        store(out, column, load(out, column) + load(values, column))


@compiled
def add_wide(out: Floats, values: Floats) -> None:
    """Adds a row to another of the same length, a multiple of `WIDE`."""
    for column in range(0, len(out), WIDE):
        store(out, column, load_wide(out, column) + load_wide(values, column))


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


def _adds_product(load: Any, width: int) -> Any:
    """A function that adds left @ right to out, with lanes of a width that divides the columns.

    Each element is one sum, in the order of the inner index.
    """

    @compiled
    def add_product(out: Floats, left: Floats, right: Floats) -> None:
        rows, inner = left.shape
        for row in range(0, rows - 3, 4):  # four together, as they read the same numbers of `right`
            out0, out1, out2, out3 = out[row], out[row + 1], out[row + 2], out[row + 3]
            for column in range(0, out.shape[1], width):
                a, b = load(out0, column), load(out1, column)
                c, d = load(out2, column), load(out3, column)
                for k in range(inner):
                    lanes = load(right[k], column)
                    a += left[row, k] * lanes
                    b += left[row + 1, k] * lanes
                    c += left[row + 2, k] * lanes
                    d += left[row + 3, k] * lanes
                store(out0, column, a)
                store(out1, column, b)
                store(out2, column, c)
                store(out3, column, d)
        for row in range(rows - rows % 4, rows):
            for column in range(0, out.shape[1], width):
                a = load(out[row], column)
                for k in range(inner):
                    a += left[row, k] * load(right[k], column)
                store(out[row], column, a)

    return add_product


add_product, add_product_wide = _adds_product(load, LANES), _adds_product(load_wide, WIDE)


@compiled
def add_product_transposed(out: Floats, left: Floats, right: Floats) -> None:
    """Adds left @ right.T to out: (M, N) from (M, K) and (N, K).

    N must be a multiple of `COLUMNS`, K of `LANES`. Each element is the sum of `LANES` partial
    sums, in an order that is the same on every machine. Two rows share a vector, because the
    partial sums of one do not fill the widest registers; an odd last row is paired with itself.
    """
    rows, inner = left.shape
    zeros = pair(spread(ZERO), spread(ZERO))
    for row in range(0, rows, 2):
        one, other = left[row], left[min(row + 1, rows - 1)]
        for column in range(0, len(right), COLUMNS):
            right0, right1 = right[column], right[column + 1]
            right2, right3 = right[column + 2], right[column + 3]
            a = b = c = d = zeros
            for k in range(0, inner, LANES):
                lanes = pair(load(one, k), load(other, k))
                a += lanes * _twice(load(right0, k))
                b += lanes * _twice(load(right1, k))
                c += lanes * _twice(load(right2, k))
                d += lanes * _twice(load(right3, k))
            sums = fold((a, b, c, d))
            _add_lanes(out[row], column, first_half(sums))
            if row + 1 < rows:
                _add_lanes(out[row + 1], column, second_half(sums))


@compiled
def _add_lanes(out: Floats, column: int, lanes: Any) -> None:
    store(out, column, load_like(out, column, lanes) + lanes)


@compiled
def _twice(lanes: Any) -> Any:
    return pair(lanes, lanes)


@compiled
def dot(left: Floats, right: Floats) -> np.float32:
    """The inner product of two rows whose length is a multiple of `LANES`."""
    sums = spread(ZERO)
    for column in range(0, len(left), LANES):
        sums += load(left, column) * load(right, column)
    total: np.float32 = first(fold((sums,)))
    return total
