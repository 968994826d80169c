"""Explicit vectors for compiled code.

These are LLVM's vectors, which the compiler maps to one register or to several, as the machine
has them; each lane computes the same on all machines. In long loops over one array the compiler
finds vectors by itself. Short loops need explicit ones, because checking that arrays do not overlap
would take longer than the loop; so do products, whose sums should stay in registers, and sums over
lanes, which the compiler must not reorder.

A Numba intrinsic gets the types of its arguments, and returns its signature and a function that
builds its LLVM code. It is inlined where compiled code calls it, and never runs as Python.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeAlias

from llvmlite import ir
from numba import extending
from numba.core import types
from numba.extending import models, overload, register_model

from pwm.fused.compilation import CONFIG

LANES = 8  # lanes of a vector; they set the order of sums, and so are part of the results
# Lanes of a wide vector: two or more registers, whose operations overlap in time. Results do not
# depend on it. Where Numba compiles for every processor of a kind, registers are small and few.
WIDE = LANES if CONFIG.CPU_NAME == "generic" else 32
COLUMNS = 4  # columns of the matrix that `columns` reads
NUMBER, BITS, TRUTH = ir.FloatType(), ir.IntType(32), ir.IntType(1)
ALIGNMENT = 4  # bytes; a row may start at any number, not only at whole vectors
Lanes: TypeAlias = Any  # a vector of numbers, as Python's type checker sees it
Bits: TypeAlias = Any
intrinsic: Callable[..., Callable[..., Any]] = extending.intrinsic  # with a type


class LanesType(types.Type):
    """Numba's type of a vector with `count` lanes, of single-precision numbers by default."""

    def __init__(self, count: int, element: ir.Type = NUMBER) -> None:
        self.count = count
        self.element = element
        self.vector = ir.VectorType(element, count)  # in LLVM
        super().__init__(f"Lanes({self.vector})")

    def of(self, element: ir.Type) -> LanesType:
        """The type of a vector with the same number of lanes, of another element."""
        return LanesType(self.count, element)


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    """Numba's model of the type: a vector of LLVM."""

    def __init__(self, manager: Any, lanes: LanesType) -> None:
        super().__init__(manager, lanes, lanes.vector)  # type: ignore[no-untyped-call]


lanes_type, wide_type = LanesType(LANES), LanesType(WIDE)


def _code(build: Callable[[Any, Any], Any]) -> Any:
    """Makes an intrinsic's function from one that needs only LLVM's builder and the arguments."""
    return lambda _context, builder, _signature, arguments: build(builder, arguments)


def _load(lanes: LanesType) -> Any:
    """Makes the function that builds the code of a load."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        """Loads a vector from a row and a column."""
        address = _address(context, builder, signature, arguments, lanes)
        return builder.load(address, align=ALIGNMENT)

    return build


def _address(context: Any, builder: Any, signature: Any, arguments: Any, lanes: LanesType) -> Any:
    """The address of a vector in memory; the arguments are a row and a column."""
    row = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.bitcast(builder.gep(row.data, [arguments[1]]), lanes.vector.as_pointer())


@intrinsic
def load(_context: Any, row: Any, column: Any) -> Any:
    """The `LANES` numbers of a row (columns,) that start at a column."""
    return lanes_type(row, column), _load(lanes_type)


@intrinsic
def load_wide(_context: Any, row: Any, column: Any) -> Any:
    """The `WIDE` numbers of a row (columns,) that start at a column."""
    return wide_type(row, column), _load(wide_type)


@intrinsic
def load_like(_context: Any, row: Any, column: Any, lanes: Any) -> Any:
    """The numbers of a row (columns,) from a column on, as many as another vector has."""
    return lanes(row, column, lanes), _load(lanes)


@intrinsic
def store(_context: Any, row: Any, column: Any, lanes: Any) -> Any:
    """Writes the numbers of a vector into a row (columns,), starting at a column."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        """Stores a vector; the arguments are a row, a column and the vector."""
        address = _address(context, builder, signature, arguments[:2], lanes)
        builder.store(arguments[2], address, align=ALIGNMENT)
        return context.get_dummy_value()

    return types.void(row, column, lanes), build


@intrinsic
def spread(_context: Any, number: Any) -> Any:
    """A vector with the number in each of its `LANES` lanes."""
    return _spreading(lanes_type, number)


@intrinsic
def spread_wide(_context: Any, number: Any) -> Any:
    """A vector with the number in each of its `WIDE` lanes."""
    return _spreading(wide_type, number)


def _spreading(lanes: LanesType, number: Any) -> Any:
    """Signature and code of an intrinsic: a vector with a number in each lane."""
    return lanes(number), _code(lambda builder, values: _spread(builder, values[0], lanes))


def _spread(builder: Any, number: Any, lanes: LanesType) -> Any:
    """Builds a vector with the number in each lane."""
    place = ir.Constant(BITS, 0)
    first = builder.insert_element(ir.Constant(lanes.vector, ir.Undefined), number, place)
    return builder.shuffle_vector(first, first, _places([0] * lanes.count))


def _places(places: Any) -> Any:
    """The lanes that a shuffle selects, as a constant of LLVM."""
    places = list(places)
    return ir.Constant(ir.VectorType(BITS, len(places)), places)


@intrinsic
def pair(_context: Any, one: Any, other: Any) -> Any:
    """Joins two vectors to one with the lanes of both."""
    places = _places(range(2 * one.count))
    return LanesType(2 * one.count)(one, other), _code(
        lambda builder, vectors: builder.shuffle_vector(*vectors, places)
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
    """Signature and code of an intrinsic: the half of a vector that starts at a lane."""
    half = LanesType(lanes.count // 2)
    places = _places(range(start, start + half.count))
    return half(lanes), _code(
        lambda builder, vectors: builder.shuffle_vector(vectors[0], vectors[0], places)
    )


@intrinsic
def columns(_context: Any, row: Any, column: Any) -> Any:
    """The columns of a matrix (`LANES`, `COLUMNS`), in a row (columns,) from a column on."""
    matrix, result = LanesType(LANES * COLUMNS), types.UniTuple(lanes_type, COLUMNS)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        """Loads the matrix, and selects every `COLUMNS`-th lane, for each column."""
        loaded = _load(matrix)(context, builder, signature, arguments)
        found = [
            builder.shuffle_vector(loaded, loaded, _places(range(first, matrix.count, COLUMNS)))
            for first in range(COLUMNS)
        ]
        return context.make_tuple(builder, result, found)

    return result(row, column), build


@intrinsic
def first(_context: Any, lanes: Any) -> Any:
    """The first number of a vector."""
    return types.float32(lanes), _code(
        lambda builder, vectors: builder.extract_element(vectors[0], ir.Constant(BITS, 0))
    )


@intrinsic
def fold(_context: Any, vectors: Any) -> Any:
    """Sums each group of `LANES` lanes in several vectors at once.

    A sum is a tree: the two halves of a group are added, then the halves of the result, down to one
    number. `vectors` is a tuple whose length is a power of two, at most `LANES`. A vector may hold
    several groups; the result has the first sum of every vector, then the second of every vector,
    and so on.
    """
    lanes, count = vectors.dtype, len(vectors)
    sums = lanes.count // LANES * count

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        """Adds halves until each group is one number."""
        (packed,) = arguments
        parts = [builder.extract_value(packed, place) for place in range(count)]
        width = LANES
        while width > 1:
            width //= 2
            parts = _add_halves(builder, parts, width, lanes.count // LANES)
        (vector,) = parts
        return vector

    return LanesType(sums)(vectors), build


def _add_halves(builder: Any, parts: list[Any], half: int, groups: int) -> list[Any]:
    """Adds the two halves of each partial sum, and joins neighbouring vectors in pairs.

    Args:
        builder: builder of LLVM's code.
        parts: vectors of equal length, each of several groups of partial sums.
        half: lanes in half of a partial sum.
        groups: number of groups in a vector.
    """
    size = parts[0].type.count
    joined = min(len(parts), 2)
    added = []
    for first in range(0, len(parts), joined):
        one, other = parts[first], parts[first + joined - 1]
        starts = [
            vector * size + start
            for group in range(groups)
            for vector in range(joined)
            for start in range(group * size // groups, (group + 1) * size // groups, 2 * half)
        ]
        low = [start + lane for start in starts for lane in range(half)]
        high = [place + half for place in low]
        added.append(
            builder.fadd(*(builder.shuffle_vector(one, other, _places(p)) for p in (low, high)))
        )
    return added


@intrinsic
def bits_of(_context: Any, numbers: Any) -> Any:
    """The bits of numbers in single precision, as integers."""
    return _same_bits(numbers, BITS)


@intrinsic
def number_of(_context: Any, bits: Any) -> Any:
    """The numbers that have these bits."""
    return _same_bits(bits, NUMBER)


def _same_bits(lanes: Any, element: Any) -> Any:
    """Signature and code of an intrinsic: a vector's bits, read as elements of another type."""
    result = lanes.of(element)
    return result(lanes), _code(lambda builder, vectors: builder.bitcast(vectors[0], result.vector))


@intrinsic
def choose(_context: Any, truths: Any, one: Any, other: Any) -> Any:
    """In each lane, the number of `one` where `truths` is true, else that of `other`."""
    result = truths.of(NUMBER)

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        """Selects lanes after spreading an operand that is a number."""
        return builder.select(arguments[0], *_vectors(builder, result, (one, other), arguments[1:]))

    return result(truths, one, other), build


def _vectors(builder: Any, lanes: LanesType, kinds: Any, values: Any) -> list[Any]:
    """Operands as vectors; an operand that is a number is spread over all lanes."""
    return [
        value if isinstance(kind, LanesType) else _spread(builder, value, lanes)
        for kind, value in zip(kinds, values, strict=True)
    ]


def _make_operator(operation: Callable[..., Any], **instructions: Any) -> None:
    """Lets compiled code apply an operator to two vectors, or to a vector and a number.

    Args:
        operation: operator, from Python's module `operator`.
        instructions: methods of LLVM's builder that take two vectors: `numbers` for vectors of
            numbers, `bits` for vectors of integers.
    """

    @intrinsic
    def apply(_context: Any, one: Any, other: Any) -> Any:
        """The operator as an intrinsic."""
        lanes = one if isinstance(one, LanesType) else other
        instruction = instructions["bits" if lanes.element == BITS else "numbers"]
        result = lanes.of(TRUTH) if operation in COMPARISONS else lanes
        return result(one, other), _code(
            lambda builder, values: instruction(
                builder, *_vectors(builder, lanes, (one, other), values)
            )
        )

    @overload(operation)
    def select(one: Any, other: Any) -> Any:
        """The implementation for operands of these types; None if there is none."""

        def operate(one: Any, other: Any) -> Any:
            """Applies the operator; Numba compiles this where the operator stands."""
            return apply(one, other)

        kinds = {one, other}
        lanes = {kind for kind in kinds if isinstance(kind, LanesType)}
        fits = len(lanes) == 1 and kinds <= lanes | {types.float32, types.int32}
        return operate if fits else None


def _compare(symbol: str) -> Callable[..., Any]:
    """An instruction that compares numbers: false in lanes where one of them is not a number."""
    return lambda builder, one, other: builder.fcmp_ordered(symbol, one, other)


COMPARISONS = {operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">="}
for operation, symbol in COMPARISONS.items():
    _make_operator(operation, numbers=_compare(symbol))
_make_operator(operator.add, numbers=ir.IRBuilder.fadd, bits=ir.IRBuilder.add)
_make_operator(operator.iadd, numbers=ir.IRBuilder.fadd, bits=ir.IRBuilder.add)
_make_operator(operator.sub, numbers=ir.IRBuilder.fsub, bits=ir.IRBuilder.sub)
_make_operator(operator.mul, numbers=ir.IRBuilder.fmul)
_make_operator(operator.truediv, numbers=ir.IRBuilder.fdiv)
_make_operator(operator.lshift, bits=ir.IRBuilder.shl)
_make_operator(operator.rshift, bits=ir.IRBuilder.ashr)
_make_operator(operator.and_, bits=ir.IRBuilder.and_)
_make_operator(operator.or_, bits=ir.IRBuilder.or_)
_make_operator(operator.xor, bits=ir.IRBuilder.xor)
