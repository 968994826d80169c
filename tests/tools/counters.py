"""A clock and an instruction counter that compiled code can read.

A trap after each instruction counts it. Linux on x86 only.
"""

from __future__ import annotations

import ctypes
import signal
import time
from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np
from llvmlite import binding, ir
from numba import extending
from numba.core import types

from pwm.fused.compilation import OPTIONS, Function

INTEGER = ir.IntType(64)
INSTRUCTIONS = np.zeros(1, np.int64)
"""Instructions executed while the trap was set."""
binding.initialize_native_asmparser()  # for `_assembly`


def entry(function: Function) -> Function:
    """Compiles a function that Python calls, without caching it on disk."""
    return cast(Function, numba.njit(**OPTIONS)(function))


def _intrinsic(result: types.Type, build: Callable[[Any], Any]) -> Any:
    """Makes a function without arguments that compiled code can call.

    Args:
        result: Numba's type of the function's result.
        build: adds the function's instructions through an LLVM builder; returns their result or
            None.
    """

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        """Generates the code of a call, as Numba asks for it."""
        value = build(builder)
        return context.get_dummy_value() if value is None else value

    @extending.intrinsic
    def function(_context: Any) -> Any:
        """The signature and the code generator."""
        return result(), generate

    return function


def _address(builder: Any) -> Any:
    """Builds the address of `INSTRUCTIONS`, a pointer to an integer."""
    number = ir.Constant(INTEGER, INSTRUCTIONS.ctypes.data)
    return builder.inttoptr(number, INTEGER.as_pointer())


def _read_clock(builder: Any) -> Any:
    """Builds a reading of the processor's clock."""
    name, kind = "llvm.readcyclecounter", ir.FunctionType(INTEGER, [])
    return builder.call(builder.module.declare_intrinsic(name, fnty=kind), [])


def _read_instructions(builder: Any) -> Any:
    """Builds a load of `INSTRUCTIONS` that is never moved or dropped."""
    read = builder.load(_address(builder))
    read.volatile = True
    return read


def _count(builder: Any) -> None:
    """Builds an increment of `INSTRUCTIONS`."""
    more = builder.add(builder.load(_address(builder)), ir.Constant(INTEGER, 1))
    builder.store(more, _address(builder))


def _assembly(code: str) -> Callable[[Any], None]:
    """Returns a function that builds inline assembly."""
    kind = ir.FunctionType(ir.VoidType(), [])
    # A function may use the 128 bytes below the stack pointer (the red zone).
    around = f"leaq -128(%rsp), %rsp; {code}; leaq 128(%rsp), %rsp"

    def build(builder: Any) -> None:
        """Builds the code, with the stack pointer moved below these bytes."""
        builder.asm(kind, around, "~{memory},~{flags}", [], side_effect=True)

    return build


clock = _intrinsic(types.int64, _read_clock)
instructions = _intrinsic(types.int64, _read_instructions)
count = _intrinsic(types.none, _count)
set_trap = _intrinsic(types.none, _assembly("pushfq; orq $$0x100, (%rsp); popfq"))
end_trap = _intrinsic(types.none, _assembly("pushfq; andq $$~0x100, (%rsp); popfq"))


@numba.cfunc("void(int32)")
def trapped(_signal: int) -> None:
    """Counts an instruction; the trap calls it after each instruction."""
    count()


def catch_traps() -> None:
    """Makes this process call `trapped` at every trap."""
    ctypes.CDLL(None).signal(signal.SIGTRAP, ctypes.c_void_p(trapped.address))


@entry
def read_clock() -> int:
    """Reads the processor's clock, in ticks."""
    ticks: int = clock()
    return ticks


def ticks_per_second() -> float:
    """Frequency of the processor's clock, in Hz."""
    begin = read_clock(), time.perf_counter()
    time.sleep(0.1)
    ticks = read_clock() - begin[0]
    return ticks / (time.perf_counter() - begin[1])
