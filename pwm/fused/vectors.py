"""Explicit SIMD vectors for compiled code: loads, stores, operators and shuffles of lanes.

A vector has several numbers, its lanes. These are LLVM's vectors, which the compiler maps to one or
more registers, depending on the machine; each lane's result is the same on all machines. The
compiler vectorises long loops by itself. Explicit vectors are needed in short loops, where checking
that arrays do not overlap would take longer than the loop; in products, whose sums should stay in
registers; and in sums over lanes, which the compiler must not reorder.

A Numba intrinsic is called at compile time, with the types of its arguments instead of values. It
returns its signature, made by calling the result's type with the arguments' types, and a function
that generates its LLVM code, which is inlined at each call. This code generator receives Numba's
context, LLVM's builder, the signature and the arguments as LLVM values, and returns the result.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir
from numba import extending
from numba.core import types
from numba.extending import models, overload, register_model

from pwm.fused.compilation import CONFIG

LANES = 8  # lanes of a vector; results depend on it, as it sets the order of sums
# Lanes of a wide vector: two or more registers, whose operations overlap in time. Results do not
# depend on it. If Numba compiles for a generic processor, registers are small and few.
WIDE = LANES if CONFIG.CPU_NAME == "generic" else 32
MATRIX_COLUMNS = 4  # number of columns in the matrix that `columns` reads
FLOAT, INTEGER, BOOLEAN = ir.FloatType(), ir.IntType(32), ir.IntType(1)
ALIGNMENT = 4  # bytes; a vector may start at any number of a row
Lanes: TypeAlias = Any  # a vector of numbers, for Python's type checker
Bits: TypeAlias = Any  # a vector of integers
intrinsic: Callable[..., Callable[..., Any]] = extending.intrinsic  # which Numba leaves untyped


class LanesType(types.Type):
    """Numba type of a vector with `count` lanes, single-precision numbers by default."""

    def __init__(self, count: int, element: ir.Type = FLOAT) -> None:
        self.count = count
        self.element = element
        self.vector = ir.VectorType(element, count)  # its LLVM type
        super().__init__(f"Lanes({self.vector})")  # types of the same name are equal


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    """Numba's data model of `LanesType`: an LLVM vector."""

    def __init__(self, manager: Any, lanes: LanesType) -> None:
        super().__init__(manager, lanes, lanes.vector)  # type: ignore[no-untyped-call]


lanes_type, wide_type = LanesType(LANES), LanesType(WIDE)


def _address(context: Any, builder: Any, signature: Any, arguments: Any, lanes: LanesType) -> Any:
    """Builds the address of a vector in memory; `arguments` begin with its row and first column."""
    row = context.make_array(signature.args[0])(context, builder, arguments[0])
    first_number = builder.gep(row.data, [arguments[1]])  # the row is contiguous
    return builder.bitcast(first_number, lanes.vector.as_pointer())


def _loading(lanes: LanesType) -> Any:
    """Returns the code generator of an intrinsic that loads a vector from a row at a column."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature, arguments, lanes)
        return builder.load(address, align=ALIGNMENT)

    return build


@intrinsic
def load(_context: Any, row: Any, column: Any) -> Any:
    """Loads `LANES` numbers of a contiguous row (one axis), starting at a column, unchecked."""
    return lanes_type(row, column), _loading(lanes_type)


@intrinsic
def load_wide(_context: Any, row: Any, column: Any) -> Any:
    """Loads `WIDE` numbers of a row, starting at a column."""
    return wide_type(row, column), _loading(wide_type)


@intrinsic
def load_like(_context: Any, row: Any, column: Any, lanes: Any) -> Any:
    """Loads as many numbers of a row as the vector `lanes` has, starting at a column."""
    return lanes(row, column, lanes), _loading(lanes)


@intrinsic
def store(_context: Any, row: Any, column: Any, lanes: Any) -> Any:
    """Writes the numbers of a vector into a row, starting at a column."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature, arguments, lanes)
        builder.store(arguments[2], address, align=ALIGNMENT)
        return context.get_dummy_value()

    return types.void(row, column, lanes), build


@intrinsic
def columns(_context: Any, numbers: Any, start: Any) -> Any:
    """Loads a matrix, (LANES, MATRIX_COLUMNS); returns each column as a vector.

    `numbers` is an array with one axis that has the matrix in row-major order, from `start` on.
    """
    matrix_type = LanesType(LANES * MATRIX_COLUMNS)  # the whole matrix as one vector
    result_type = types.UniTuple(lanes_type, MATRIX_COLUMNS)
    build_load = _loading(matrix_type)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = build_load(context, builder, signature, arguments)
        vectors = [
            _take(builder, whole, whole, range(column, matrix_type.count, MATRIX_COLUMNS))
            for column in range(MATRIX_COLUMNS)
        ]
        return context.make_tuple(builder, result_type, vectors)

    return result_type(numbers, start), build


def _code(build: Callable[[Any, Any], Any]) -> Any:
    """Makes the code generator of an intrinsic from a function of only builder and arguments."""
    return lambda _context, builder, _signature, arguments: build(builder, arguments)


def _take(builder: Any, one: Any, other: Any, lanes: Iterable[int]) -> Any:
    """Builds a vector from lanes of two others; the second's are numbered after the first's."""
    numbers = list(lanes)
    selected = ir.Constant(ir.VectorType(INTEGER, len(numbers)), numbers)
    return builder.shuffle_vector(one, other, selected)


def _broadcast(builder: Any, number: Any, lanes: LanesType) -> Any:
    """Builds a vector with a number in each lane."""
    undefined, lane = ir.Constant(lanes.vector, ir.Undefined), ir.Constant(INTEGER, 0)
    first = builder.insert_element(undefined, number, lane)
    return _take(builder, first, first, [0] * lanes.count)


@intrinsic
def broadcast(_context: Any, number: Any) -> Any:
    """A vector with the same single-precision number in each of its `LANES` lanes."""
    build = _code(lambda builder, numbers: _broadcast(builder, numbers[0], lanes_type))
    return lanes_type(number), build


@intrinsic
def broadcast_wide(_context: Any, number: Any) -> Any:
    """A vector with a single-precision number in each of its `WIDE` lanes, to start sums."""
    build = _code(lambda builder, numbers: _broadcast(builder, numbers[0], wide_type))
    return wide_type(number), build


@intrinsic
def first(_context: Any, lanes: Any) -> Any:
    """The number in the first lane of a vector."""
    return types.float32(lanes), _code(
        lambda builder, vectors: builder.extract_element(vectors[0], ir.Constant(INTEGER, 0))
    )


@intrinsic
def pair(_context: Any, one: Any, other: Any) -> Any:
    """Joins two vectors of equal length into one."""
    joined = LanesType(2 * one.count)
    return joined(one, other), _code(
        lambda builder, vectors: _take(builder, vectors[0], vectors[1], range(joined.count))
    )


@intrinsic
def first_half(_context: Any, lanes: Any) -> Any:
    """The first half of a vector's lanes."""
    return _half(lanes, 0)


@intrinsic
def second_half(_context: Any, lanes: Any) -> Any:
    """The second half of a vector's lanes."""
    return _half(lanes, lanes.count // 2)


def _half(lanes: Any, start: int) -> Any:
    """Signature and code of an intrinsic that returns half of a vector, from lane `start` on."""
    half = LanesType(lanes.count // 2)
    taken = range(start, start + half.count)
    return half(lanes), _code(
        lambda builder, vectors: _take(builder, vectors[0], vectors[0], taken)
    )


@intrinsic
def fold(_context: Any, vectors: Any) -> Any:
    """Sums each group of `LANES` lanes, in several vectors at once.

    A sum is a tree: the two halves of a group are added, then the halves of the result, down to one
    number. `vectors` is a tuple whose length is a power of two, at most `LANES`. A vector may have
    several groups; the result has each vector's first sum, then each vector's second, and so on.
    """
    lanes, count = vectors.dtype, len(vectors)
    groups = lanes.count // LANES

    def build(builder: Any, arguments: Any) -> Any:
        parts = [builder.extract_value(arguments[0], number) for number in range(count)]
        width = LANES  # lanes that are still to be added up to one number
        while width > 1:
            width //= 2
            parts = _add_halves(builder, parts, width, groups)
        return parts[0]

    return LanesType(groups * count)(vectors), _code(build)


def _add_halves(builder: Any, vectors: list[Any], half: int, groups: int) -> list[Any]:
    """Adds the second half of each block of 2 `half` lanes to its first; joins vectors in pairs.

    A block has the lanes that add up to one of `fold`'s sums. Each vector has `groups` groups; each
    group has one block for each of `fold`'s vectors that earlier calls have joined into this one.
    """
    joined = min(len(vectors), 2)  # 1 if a single vector remains
    # Numbers of the lanes, with axes for vector, group, block, half of the block, and lane.
    lanes = np.arange(joined * vectors[0].type.count).reshape(joined, groups, -1, 2, half)
    # In the result, a group of the second vector follows the same group of the first.
    first_halves, second_halves = lanes.transpose(3, 1, 0, 2, 4).reshape(2, -1).tolist()
    added = []
    for number in range(0, len(vectors), joined):
        both = vectors[number], vectors[number + joined - 1]
        halves = (_take(builder, *both, taken) for taken in (first_halves, second_halves))
        added.append(builder.fadd(*halves))
    return added


@intrinsic
def bits_of(_context: Any, numbers: Any) -> Any:
    """The bits of single-precision numbers, as 32-bit integers."""
    return _reinterpreted(numbers, INTEGER)


@intrinsic
def number_of(_context: Any, bits: Any) -> Any:
    """The single-precision numbers that have these bits."""
    return _reinterpreted(bits, FLOAT)


def _reinterpreted(lanes: Any, element: Any) -> Any:
    """Signature and code of an intrinsic that reads a vector's bits as elements of another type."""
    result = LanesType(lanes.count, element)
    return result(lanes), _code(lambda builder, vectors: builder.bitcast(vectors[0], result.vector))


@intrinsic
def choose(_context: Any, condition: Any, if_true: Any, if_false: Any) -> Any:
    """Chooses one of two floats in each lane by a condition, as NumPy's `where` does.

    `condition` is the result of a comparison of vectors; `if_true` and `if_false` are vectors of
    floats, or scalars for all lanes.
    """
    result = LanesType(condition.count)

    def build(builder: Any, arguments: Any) -> Any:
        choices = _as_vectors(builder, result, (if_true, if_false), arguments[1:])
        return builder.select(arguments[0], *choices)

    return result(condition, if_true, if_false), _code(build)


def _as_vectors(builder: Any, lanes: LanesType, kinds: Any, values: Any) -> list[Any]:
    """Returns operands of Numba types `kinds` as vectors; a scalar is copied to all lanes."""
    return [
        value if isinstance(kind, LanesType) else _broadcast(builder, value, lanes)
        for kind, value in zip(kinds, values, strict=True)
    ]


def _make_operator(
    operation: Callable[..., Any],
    on_floats: Callable[..., Any] | None = None,
    on_integers: Callable[..., Any] | None = None,
) -> None:
    """Lets compiled code apply an operator to two vectors, or to one and a scalar of its type.

    `on_floats` and `on_integers` take LLVM's builder and two vectors, of floats or of integers, and
    build the result; None if the operator is not defined for them.
    """
    builds = {FLOAT: on_floats, INTEGER: on_integers}  # none for booleans, as a comparison gives

    @intrinsic
    def apply(_context: Any, one: Any, other: Any) -> Any:
        """Applies the operator; `implementation` has checked the operands."""
        lanes = one if isinstance(one, LanesType) else other
        instruction: Any = builds[lanes.element]
        result = LanesType(lanes.count, BOOLEAN) if operation in COMPARISONS else lanes
        return result(one, other), _code(
            lambda builder, values: instruction(
                builder, *_as_vectors(builder, lanes, (one, other), values)
            )
        )

    @overload(operation)
    def implementation(one: Any, other: Any) -> Any:
        """Returns a function for Numba to compile for these types; None if they are unsupported."""

        def operate(one: Any, other: Any) -> Any:
            return apply(one, other)

        operate.__qualname__ += f"_{operation.__name__}"  # `compilation.number_name` says why
        lanes = one if isinstance(one, LanesType) else other
        if not isinstance(lanes, LanesType) or builds.get(lanes.element) is None:
            return None
        accepted = (lanes, types.int32 if lanes.element == INTEGER else types.float32)
        return operate if one in accepted and other in accepted else None


def _compare(symbol: str) -> Callable[..., Any]:
    """Makes a function that builds a comparison of floats; one with NaN is false."""
    return lambda builder, one, other: builder.fcmp_ordered(symbol, one, other)


COMPARISONS = {operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">="}
for operation, symbol in COMPARISONS.items():
    _make_operator(operation, _compare(symbol))
_make_operator(operator.add, ir.IRBuilder.fadd, ir.IRBuilder.add)
_make_operator(operator.iadd, ir.IRBuilder.fadd, ir.IRBuilder.add)
_make_operator(operator.sub, ir.IRBuilder.fsub, ir.IRBuilder.sub)
_make_operator(operator.mul, ir.IRBuilder.fmul)
_make_operator(operator.truediv, ir.IRBuilder.fdiv)
_make_operator(operator.lshift, on_integers=ir.IRBuilder.shl)
_make_operator(operator.rshift, on_integers=ir.IRBuilder.ashr)
_make_operator(operator.and_, on_integers=ir.IRBuilder.and_)
_make_operator(operator.or_, on_integers=ir.IRBuilder.or_)
_make_operator(operator.xor, on_integers=ir.IRBuilder.xor)
