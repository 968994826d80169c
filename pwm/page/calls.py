"""Lets JavaScript call functions that Numba has compiled.

Numba passes an array or a named tuple as many scalars. Instead, an entry function takes the address
of one struct that holds all arguments. Numba's data models give the struct's members, LLVM their
offsets; JavaScript reads the offsets from a table, and writes the arguments there.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.registry import cpu_target

ARRAY = ("nitems", "itemsize", "data", "shape", "strides")  # of an array, without reference counts
NAMED_TUPLE: Any = types.BaseNamedTuple  # Any, as this base class does not declare its fields
CONTEXT: Any = cpu_target.target_context  # has the LLVM type of each Numba type
STATUS, ADDRESS = ir.IntType(32), ir.IntType(8).as_pointer()


def entry_function(name: str, overload: Any) -> str:
    """Returns the LLVM IR of a function that reads arguments from a struct and calls Numba's code.

    It is named `name`, takes the address of the struct, drops the call's result and returns 0 on
    success. `overload` is Numba's compilation result of the function that it calls.
    """
    context, kinds = overload.target_context, overload.signature.args
    module = ir.Module(name)
    function = ir.Function(module, ir.FunctionType(STATUS, [ADDRESS]), name)
    builder = ir.IRBuilder(function.append_basic_block())
    struct = builder.bitcast(function.args[0], _struct(kinds).as_pointer())
    values = [value for _, value in context.get_data_packer(kinds).load(builder, struct)]
    callee = context.declare_function(module, overload.fndesc)
    status, _ = context.call_conv.call_function(
        builder, callee, overload.signature.return_type, kinds, values
    )
    builder.ret(status.code)
    return str(module)


def argument_table(function: Any, kinds: Sequence[Any], layout: Any) -> dict[str, Any]:
    """Returns the `size` of the struct of a function's arguments, and their offsets, in bytes.

    `arguments` describes each argument by name. A number has a `type` and an offset `at`. An array
    has the type of its elements, its number of `axes`, and an offset for each member of `ARRAY`:
    `data` is an address, the others are 64-bit integers, `shape` and `strides` with one per axis. A
    named tuple has a table of its members, by name.

    Args:
        function: the Python function, which has the arguments' names.
        kinds: Numba types of its arguments.
        layout: LLVM's data layout of the target.
    """
    names = list(inspect.signature(function).parameters)
    size = _struct(kinds).get_abi_size(layout)
    return {"size": size, "arguments": _members(names, kinds, start=0, layout=layout)}


def _struct(kinds: Sequence[Any]) -> Any:
    """LLVM type of a struct with members of these Numba types."""
    return ir.LiteralStructType([CONTEXT.get_data_type(kind) for kind in kinds])


def _members(names: Sequence[str], kinds: Sequence[Any], start: int, layout: Any) -> dict[str, Any]:
    """Types and offsets of a struct's members, as from `_place`, by member name.

    The struct begins at offset `start`; `kinds` are the members' Numba types, and `layout` is
    LLVM's data layout of the target.
    """
    struct = _struct(kinds)
    return {
        name: _place(kind, start + struct.get_element_offset(layout, number), layout)
        for number, (name, kind) in enumerate(zip(names, kinds, strict=True))
    }


def _place(kind: Any, start: int, layout: Any) -> dict[str, Any]:
    """Type and offsets of a value of Numba type `kind` that begins at offset `start`."""
    if isinstance(kind, NAMED_TUPLE):
        return _members(kind.fields, kind.types, start, layout)
    if isinstance(kind, types.Array):
        struct = CONTEXT.get_data_type(kind)
        position = CONTEXT.data_model_manager[kind].get_field_position
        at = {name: start + struct.get_element_offset(layout, position(name)) for name in ARRAY}
        return {"type": str(kind.dtype), "axes": kind.ndim} | at
    return {"type": str(kind), "at": start}
