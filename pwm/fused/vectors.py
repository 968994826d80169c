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

LANES = 8  # of a sum over lanes, whose order is part of the results' definition
WIDE = 32  # lanes of a wide vector: two or more registers, whose operations overlap in time
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
    def __init__(self, manager: Any, lanes: LanesType) -> None:
        super().__init__(manager, lanes, lanes.vector)  # type: ignore[no-untyped-call]


lanes_type, wide_type = LanesType(LANES), LanesType(WIDE)


def _load(lanes: LanesType) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature, arguments, lanes)
        return builder.load(address, align=ALIGNMENT)

    return build


def _address(context: Any, builder: Any, signature: Any, arguments: Any, lanes: LanesType) -> Any:
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
    """As many numbers of a row (columns,), from a column on, as another vector has."""
    return lanes(row, column, lanes), _load(lanes)


@intrinsic
def store(_context: Any, row: Any, column: Any, lanes: Any) -> Any:
    """Writes the numbers of a vector into a row (columns,), starting at a column."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature, arguments[:2], lanes)
        builder.store(arguments[2], address, align=ALIGNMENT)
        return context.get_dummy_value()

    return types.void(row, column, lanes), build


@intrinsic
def spread(_context: Any, number: Any) -> Any:
    """A vector of one number, `LANES` times."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _spread(builder, arguments[0], lanes_type)

    return lanes_type(number), build


def _spread(builder: Any, number: Any, lanes: LanesType) -> Any:
    place = ir.Constant(BITS, 0)
    first = builder.insert_element(ir.Constant(lanes.vector, ir.Undefined), number, place)
    return builder.shuffle_vector(first, first, _places([0] * lanes.count))


def _places(places: Any) -> Any:
    places = list(places)
    return ir.Constant(ir.VectorType(BITS, len(places)), places)


@intrinsic
def pair(_context: Any, one: Any, other: Any) -> Any:
    """A vector of the lanes of two others."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.shuffle_vector(*arguments, _places(range(2 * one.count)))

    return LanesType(2 * one.count)(one, other), build


@intrinsic
def first_half(_context: Any, lanes: Any) -> Any:
    """The first half of a vector."""
    return _half(lanes, 0)


@intrinsic
def second_half(_context: Any, lanes: Any) -> Any:
    """The second half of a vector."""
    return _half(lanes, lanes.count // 2)


def _half(lanes: Any, start: int) -> Any:
    half = LanesType(lanes.count // 2)

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        places = _places(range(start, start + half.count))
        return builder.shuffle_vector(arguments[0], arguments[0], places)

    return half(lanes), build


@intrinsic
def columns(_context: Any, wide: Any) -> Any:
    """The columns of a matrix of `LANES` rows whose numbers are a wide vector."""
    count = WIDE // LANES
    result = types.UniTuple(lanes_type, count)

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        found = [
            builder.shuffle_vector(*arguments, *arguments, _places(range(first, WIDE, count)))
            for first in range(count)
        ]
        return context.make_tuple(builder, result, found)

    return result(wide), build


@intrinsic
def first(_context: Any, lanes: Any) -> Any:
    """The first number of a vector."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.extract_element(arguments[0], ir.Constant(BITS, 0))

    return types.float32(lanes), build


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
    """Adds the halves of the sums in some vectors, and joins vectors that are next to each other.

    Each vector consists of groups, and a group of sums, of twice `half` lanes each.
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
    result = lanes.of(element)

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], result.vector)

    return result(lanes), build


@intrinsic
def choose(_context: Any, truths: Any, one: Any, other: Any) -> Any:
    """In each lane a number of the first vector if that lane is true, else of the second."""
    result = truths.of(NUMBER)

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.select(arguments[0], *_vectors(builder, result, (one, other), arguments[1:]))

    return result(truths, one, other), build


def _vectors(builder: Any, lanes: LanesType, kinds: Any, values: Any) -> list[Any]:
    """Operands as vectors; one that is a number is spread."""
    return [
        value if isinstance(kind, LanesType) else _spread(builder, value, lanes)
        for kind, value in zip(kinds, values, strict=True)
    ]


def _make_operator(operation: Callable[..., Any], **instructions: Any) -> None:
    """Lets compiled code apply an operator to vectors, or to a vector and a number.

    Args:
        operation: of Python's module `operator`.
        instructions: functions of an LLVM builder and two vectors, for numbers and for bits.
    """

    @intrinsic
    def apply(_context: Any, one: Any, other: Any) -> Any:
        lanes = one if isinstance(one, LanesType) else other
        instruction = instructions["bits" if lanes.element == BITS else "numbers"]

        def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return instruction(builder, *_vectors(builder, lanes, (one, other), arguments))

        return (lanes.of(TRUTH) if operation in COMPARISONS else lanes)(one, other), build

    @overload(operation)
    def select(one: Any, other: Any) -> Any:
        def operate(one: Any, other: Any) -> Any:
            return apply(one, other)

        kinds = {one, other}
        lanes = {kind for kind in kinds if isinstance(kind, LanesType)}
        return (
            operate if len(lanes) == 1 and kinds <= lanes | {types.float32, types.int32} else None
        )


def _compare(symbol: str) -> Callable[..., Any]:
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
