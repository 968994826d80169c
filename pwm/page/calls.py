"""Calls of compiled functions from outside: with the address of a struct that holds the arguments.

The struct is Numba's own: its data model says how an array or a named tuple is laid out, and LLVM
where that is in memory. A table of offsets tells JavaScript where to write what.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.registry import cpu_target

ARRAY = ("nitems", "itemsize", "data", "shape", "strides")  # members that a caller must write
NAMED_TUPLE: Any = types.BaseNamedTuple
STATUS, ADDRESS = ir.IntType(32), ir.IntType(8).as_pointer()


def entry(name: str, overload: Any) -> str:
    """LLVM code of a function that takes the address of its arguments and returns 0.

    Args:
        name: of the new function.
        overload: Numba's result of compiling the function that it calls.
    """
    context, kinds = overload.target_context, overload.signature.args
    module = ir.Module(name)
    function = ir.Function(module, ir.FunctionType(STATUS, [ADDRESS]), name)
    builder = ir.IRBuilder(function.append_basic_block())
    struct = builder.bitcast(function.args[0], _struct(context, kinds).as_pointer())
    values = [value for _, value in context.get_data_packer(kinds).load(builder, struct)]
    callee = context.declare_function(module, overload.fndesc)
    status, _ = context.call_conv.call_function(
        builder, callee, overload.signature.return_type, kinds, values
    )
    builder.ret(status.code)
    return str(module)


def table(function: Any, kinds: Sequence[Any], layout: Any) -> dict[str, Any]:
    """The size of the struct of a function's arguments, and the place of each argument by name.

    A number has a type and an offset `at`; an array the type of its elements, the number of its
    axes and an offset for each member of `ARRAY`; a named tuple a table of its own.

    Args:
        function: in Python.
        kinds: Numba's types of its arguments.
        layout: LLVM's data layout of the target.
    """
    context: Any = cpu_target.target_context
    struct = _struct(context, kinds)
    return {
        "size": struct.get_abi_size(layout),
        "arguments": {
            name: _places(context, kind, struct.get_element_offset(layout, number), layout)
            for number, (name, kind) in enumerate(
                zip(inspect.signature(function).parameters, kinds, strict=True)
            )
        },
    }


def _struct(context: Any, kinds: Sequence[Any]) -> Any:
    return ir.LiteralStructType([context.get_data_type(kind) for kind in kinds])


def _places(context: Any, kind: Any, start: int, layout: Any) -> dict[str, Any]:
    """Places of one argument of a Numba type that begins at an offset."""
    struct = context.get_data_type(kind)
    if isinstance(kind, NAMED_TUPLE):
        return {
            name: _places(
                context, member, start + struct.get_element_offset(layout, number), layout
            )
            for number, (name, member) in enumerate(zip(kind.fields, kind.types, strict=True))
        }
    if isinstance(kind, types.Array):
        position = context.data_model_manager[kind].get_field_position
        members = {
            name: start + struct.get_element_offset(layout, position(name)) for name in ARRAY
        }
        return {"type": str(kind.dtype), "axes": kind.ndim} | members
    return {"type": str(kind), "at": start}
