"""Row operations and matrix products of the fused engine.

Rows that are loaded or stored as vectors are contiguous; unless said otherwise, their length is a
multiple of `LANES`, or of `WIDE` in functions whose names end in `_wide`. Sums stay in registers
until they are complete, as memory is slower than the arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pwm.fused.compilation import compiled, compiled_apart
from pwm.fused.elementary import ZERO
from pwm.fused.layout import Floats
from pwm.fused.vectors import (
    LANES,
    WIDE,
    Lanes,
    broadcast,
    broadcast_wide,
    first,
    first_half,
    fold,
    load,
    load_like,
    load_wide,
    pair,
    second_half,
    store,
)

COLUMNS = 4  # columns that are computed together in a product with a transposed matrix


def _row_operations(load: Any, width: int) -> Any:
    """Makes `copy` and `add` for rows of a multiple of `width` numbers; `load` loads `width`."""

    @compiled
    def copy(out: Floats, values: Floats) -> None:
        """Copies a row, `values`, to `out`."""
        for column in range(0, len(out), width):
            store(out, column, load(values, column))

    @compiled
    def add(out: Floats, values: Floats) -> None:
        """Adds a row, `values`, to `out`."""
        for column in range(0, len(out), width):
            store(out, column, load(out, column) + load(values, column))

    return copy, add


copy, add = _row_operations(load, LANES)
copy_wide, add_wide = _row_operations(load_wide, WIDE)


@compiled
def clear(matrix: Floats) -> None:
    """Sets a matrix to zero; faster than `matrix[:] = ZERO`, which calls memset."""
    for row in range(len(matrix)):
        for column in range(0, matrix.shape[1], LANES):
            store(matrix[row], column, broadcast(ZERO))


@compiled
def transpose(out: Floats, matrix: Floats) -> None:
    """Writes the transpose of a matrix into `out`: (N, M) from (M, N)."""
    for row in range(len(out)):
        for column in range(len(matrix)):
            out[row, column] = matrix[column, row]


def _product(load: Any, broadcast: Any, width: int, *, adds: bool) -> Any:
    """Makes a compiled matrix product, (M, N) from (M, K) and (K, N).

    It computes out = left @ right or, if it `adds`, out += left @ right. Each element is summed in
    the order of k. `load` and `broadcast` return vectors of `width` numbers.
    """

    @compiled
    def initial_sums(row: Floats, column: int) -> Lanes:
        """Sums to start from, for lanes of a row of `out`: its numbers if `adds`, else zeros."""
        return load(row, column) if adds else broadcast(ZERO)

    @compiled_apart
    def product(out: Floats, left: Floats, right: Floats) -> None:
        rows, inner = left.shape
        # Four rows at a time: each vector of `right` is loaded once for all four.
        for row in range(0, rows - 3, 4):
            out0, out1, out2, out3 = out[row], out[row + 1], out[row + 2], out[row + 3]
            for column in range(0, out.shape[1], width):
                sums0, sums1 = initial_sums(out0, column), initial_sums(out1, column)
                sums2, sums3 = initial_sums(out2, column), initial_sums(out3, column)
                for k in range(inner):
                    lanes = load(right[k], column)
                    sums0 += left[row, k] * lanes
                    sums1 += left[row + 1, k] * lanes
                    sums2 += left[row + 2, k] * lanes
                    sums3 += left[row + 3, k] * lanes
                store(out0, column, sums0)
                store(out1, column, sums1)
                store(out2, column, sums2)
                store(out3, column, sums3)
        # The last rows, up to three, one at a time.
        for row in range(rows - rows % 4, rows):
            for column in range(0, out.shape[1], width):
                sums0 = initial_sums(out[row], column)
                for k in range(inner):
                    sums0 += left[row, k] * load(right[k], column)
                store(out[row], column, sums0)

    return product


multiply = _product(load, broadcast, LANES, adds=False)
multiply_wide = _product(load_wide, broadcast_wide, WIDE, adds=False)
add_product_wide = _product(load_wide, broadcast_wide, WIDE, adds=True)


@compiled_apart
def add_product_transposed(out: Floats, left: Floats, right: Floats) -> None:
    """Adds left @ right.T to out: (M, N) from (M, K) and (N, K).

    N must be a multiple of `COLUMNS`, K of `LANES`. Each number added is the sum of `LANES` partial
    sums, in the order of `fold`. Four rows of `left` share a vector, because the partial sums
    of one row do not fill the widest registers.
    """
    rows = len(left)
    for row in range(0, rows, 4):
        if row + 1 == rows:
            _add_row_transposed(out[row], left[row], right)
        else:
            _add_rows_transposed(out[row:], left[row:], right)  # the first four of these rows


@compiled
def _add_row_transposed(out: Floats, left: Floats, right: Floats) -> None:
    """Adds right @ left to out: (N,) from (K,), one row of a left matrix, and (N, K)."""
    for column in range(0, len(right), COLUMNS):
        right0, right1 = right[column], right[column + 1]
        right2, right3 = right[column + 2], right[column + 3]
        sums0 = sums1 = sums2 = sums3 = broadcast(ZERO)
        for k in range(0, len(left), LANES):
            lanes = load(left, k)
            sums0 += lanes * load(right0, k)
            sums1 += lanes * load(right1, k)
            sums2 += lanes * load(right2, k)
            sums3 += lanes * load(right3, k)
        _add_lanes(out, column, fold((sums0, sums1, sums2, sums3)))


@compiled
def _add_rows_transposed(out: Floats, left: Floats, right: Floats) -> None:
    """Adds left @ right.T to out for the first four rows of `left`, or for all if it has 2 or 3.

    If there are fewer than four, the last fills the vectors, and its extra sums are not used.
    """
    last = len(left) - 1
    left0, left1, left2, left3 = left[0], left[1], left[min(2, last)], left[min(3, last)]
    for column in range(0, len(right), COLUMNS):
        right0, right1 = right[column], right[column + 1]
        right2, right3 = right[column + 2], right[column + 3]
        sums0 = sums1 = sums2 = sums3 = _four_times(broadcast(ZERO))
        for k in range(0, left.shape[1], LANES):
            lanes = pair(pair(load(left0, k), load(left1, k)), pair(load(left2, k), load(left3, k)))
            sums0 += lanes * _four_times(load(right0, k))
            sums1 += lanes * _four_times(load(right1, k))
            sums2 += lanes * _four_times(load(right2, k))
            sums3 += lanes * _four_times(load(right3, k))
        sums = fold((sums0, sums1, sums2, sums3))  # all of the first row, then of the second, ...
        _add_lanes(out[0], column, first_half(first_half(sums)))
        _add_lanes(out[1], column, second_half(first_half(sums)))
        if last > 1:
            _add_lanes(out[2], column, first_half(second_half(sums)))
        if last > 2:
            _add_lanes(out[3], column, second_half(second_half(sums)))


@compiled
def _add_lanes(out: Floats, column: int, lanes: Lanes) -> None:
    """Adds a vector's lanes to numbers of a row, starting at a column."""
    store(out, column, load_like(out, column, lanes) + lanes)


@compiled
def _four_times(lanes: Lanes) -> Lanes:
    """Joins four copies of a vector of `right`, for the joined vectors of four rows of `left`."""
    return pair(pair(lanes, lanes), pair(lanes, lanes))


@compiled
def dot(left: Floats, right: Floats) -> np.float32:
    """Inner product of two rows; `LANES` partial sums are added in the order of `fold`."""
    sums = broadcast(ZERO)
    for column in range(0, len(left), LANES):
        sums += load(left, column) * load(right, column)
    total: np.float32 = first(fold((sums,)))
    return total
