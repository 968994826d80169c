"""Shuffles of vectors for compiled code: parts of a vector, joined vectors, sums over lanes."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types

from pwm.fused.vectors import BITS, LANES, LanesType, code, intrinsic, lanes_type, loading, take

MATRIX_COLUMNS = 4  # number of columns of the matrix that `columns` reads


@intrinsic
def pair(_context: Any, one: Any, other: Any) -> Any:
    """Joins two vectors to one with the lanes of both."""
    joined = LanesType(2 * one.count)
    return joined(one, other), code(
        lambda builder, vectors: take(builder, vectors[0], vectors[1], range(joined.count))
    )


@intrinsic
def first_half(_context: Any, lanes: Any) -> Any:
    """The first half of a vector."""
    return _half(lanes, 0)


@intrinsic
def second_half(_context: Any, lanes: Any) -> Any:
    """The second half of a vector."""
    return _half(lanes, lanes.count // 2)


def _half(lanes: Any, start: int) -> Any:
    """Signature and code of an intrinsic that returns the half of a vector from `start` on."""
    half = LanesType(lanes.count // 2)
    taken = range(start, start + half.count)
    return half(lanes), code(lambda builder, vectors: take(builder, vectors[0], vectors[0], taken))


@intrinsic
def first(_context: Any, lanes: Any) -> Any:
    """The number in the first lane of a vector."""
    return types.float32(lanes), code(
        lambda builder, vectors: builder.extract_element(vectors[0], ir.Constant(BITS, 0))
    )


@intrinsic
def columns(_context: Any, numbers: Any, start: Any) -> Any:
    """Loads the columns of a matrix (`LANES`, `MATRIX_COLUMNS`), each as a vector.

    The matrix is stored row after row in `numbers`, an array with one axis, from index `start` on.
    """
    matrix_type = LanesType(LANES * MATRIX_COLUMNS)  # the whole matrix as one vector
    result_type = types.UniTuple(lanes_type, MATRIX_COLUMNS)
    build_load = loading(matrix_type)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        """Loads the whole matrix, and takes the lanes of each column."""
        whole = build_load(context, builder, signature, arguments)
        # `take` selects lanes of two vectors; here both are the matrix.
        vectors = [
            take(builder, whole, whole, range(column, matrix_type.count, MATRIX_COLUMNS))
            for column in range(MATRIX_COLUMNS)
        ]
        return context.make_tuple(builder, result_type, vectors)

    return result_type(numbers, start), build


@intrinsic
def fold(_context: Any, vectors: Any) -> Any:
    """Sums each group of `LANES` lanes, in several vectors at once.

    A sum is a tree: the two halves of a group are added, then the halves of the result, down to one
    number. `vectors` is a tuple whose length is a power of two, at most `LANES`. A vector may hold
    several groups; the result has the first sum of every vector, then the second of every vector,
    and so on.
    """
    lanes, count = vectors.dtype, len(vectors)
    groups = lanes.count // LANES

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        """Adds halves until each group is one number."""
        (packed,) = arguments  # the tuple
        parts = [builder.extract_value(packed, number) for number in range(count)]
        width = LANES  # lanes that are still to be added to one number
        while width > 1:
            width //= 2
            parts = _add_halves(builder, parts, width, groups)
        (sums,) = parts
        return sums

    return LanesType(groups * count)(vectors), build


def _add_halves(builder: Any, vectors: list[Any], half: int, groups: int) -> list[Any]:
    """Adds the two halves of each partial sum, and joins neighbouring vectors in pairs.

    Args:
        builder: builder of LLVM's code.
        vectors: vectors of equal length, each of several groups of partial sums.
        half: lanes in half of a partial sum.
        groups: number of groups in a vector.
    """
    joined = min(len(vectors), 2)  # 1 if a single vector remains
    # The lanes by number, with axes for vector, group, partial sum, half of the sum, and lane.
    lanes = np.arange(joined * vectors[0].type.count).reshape(joined, groups, -1, 2, half)
    # In the result, a group of the second vector follows the same group of the first.
    low, high = lanes.transpose(3, 1, 0, 2, 4).reshape(2, -1).tolist()
    added = []
    for number in range(0, len(vectors), joined):
        both = vectors[number], vectors[number + joined - 1]
        added.append(builder.fadd(take(builder, *both, low), take(builder, *both, high)))
    return added
