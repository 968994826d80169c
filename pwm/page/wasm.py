"""`python -m pwm.page.wasm`: compiles the fused engine to WebAssembly, into paper/page/engine.wasm.

Numba compiles the same Python source as for this machine, but leaves its LLVM code unoptimised, and
so independent of the machine. LLVM then optimises it for WebAssembly, with vectors of 128 bits, and
`wasm-ld` links it. Its operations are IEEE's in a fixed order, so that its bits are those of native
code. The module describes itself in a section `pwm` of JSON (`pwm.page.about`).
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numba
import numpy as np
from llvmlite import binding
from numba.core import types

from pwm.core.config import TrainConfig
from pwm.core.rollout import Draws
from pwm.fused import kernel
from pwm.fused.buffers import Episodes
from pwm.fused.compilation import CONFIG, VERSIONS, compiled_apart
from pwm.fused.engine import FusedEngine
from pwm.io.files import write_atomically
from pwm.page import calls, streams
from pwm.page.about import about

TRIPLE, FEATURES = "wasm32-unknown-unknown", "+simd128,+bulk-memory"
LINKER = "wasm-ld"
STACK = 2**18  # bytes
SECTION = "pwm"
FLOATS, INTEGERS, PLACES = (
    types.Array(kind, 1, "C") for kind in (types.float32, types.int64, types.uint64)
)
# What compiled code calls of libm and of Numba's own library. All arrays that it reshapes are
# contiguous.
LIBRARY = """
define float @sqrtf(float %x) alwaysinline {
  %root = call float @llvm.sqrt.f32(float %x)
  ret float %root
}
declare float @llvm.sqrt.f32(float)

define i32 @numba_attempt_nocopy_reshape(i64 %axes, ptr %shape, ptr %strides,
    i64 %new_axes, ptr %new_shape, ptr %new_strides, i64 %size, i32 %fortran) alwaysinline {
start:
  br label %head
head:
  %left = phi i64 [ %new_axes, %start ], [ %axis, %body ]
  %stride = phi i64 [ %size, %start ], [ %next, %body ]
  %more = icmp sgt i64 %left, 0
  br i1 %more, label %body, label %end
body:
  %axis = sub i64 %left, 1
  %place = getelementptr i64, ptr %new_strides, i64 %axis
  store i64 %stride, ptr %place
  %length_place = getelementptr i64, ptr %new_shape, i64 %axis
  %length = load i64, ptr %length_place
  %next = mul i64 %stride, %length
  br label %head
end:
  ret i32 1
}
"""


class _Called(FusedEngine):
    """An engine that keeps what it would call compiled code with, instead of compiling."""

    arguments: tuple[Any, ...]

    def train(self, draws: Draws) -> Any:
        episodes = Episodes(draws.trials.numpy(), draws.noise.numpy(), np.zeros((0, 1, 5), "f4"))
        self.arguments = (self.task, self.rule, self.population, episodes, self.work)


def functions() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """The functions of the module by name, in Python, and the Numba types of their arguments."""
    arguments = _Called((TrainConfig(),)).arguments
    return {
        "train": (kernel.train.py_func, tuple(numba.typeof(each) for each in arguments)),
        "make_key": (streams.make_key.py_func, (PLACES,) * 3),
        "draw_uniform": (streams.draw_uniform.py_func, (PLACES, types.int64, FLOATS)),
        "draw_index": (streams.draw_index.py_func, (PLACES, types.int64, types.int64, INTEGERS)),
    }


def build(out: Path) -> None:
    """Compiles the module; Numba must not optimise, which it knows only if told at its import."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    machine = binding.Target.from_triple(TRIPLE).create_target_machine(
        cpu="generic", features=FEATURES, opt=3, reloc="static"
    )
    module = _for_target(LIBRARY, machine)
    tables = {}
    for name, (function, kinds) in functions().items():
        dispatcher: Any = compiled_apart(function)
        dispatcher.compile(kinds)
        overload = dispatcher.overloads[kinds]
        tables[name] = calls.table(function, overload, machine.target_data)
        for code in (overload.library.get_llvm_str(), calls.entry(name, overload)):
            module.link_in(_for_target(code, machine))
    _optimise(module, machine, set(tables))
    linked = _link(machine.emit_object(module), list(tables))
    described = json.dumps(about() | {"functions": tables}, separators=(",", ":"))
    write_atomically(out, linked + _section(described.encode()))


def _for_target(code: str, machine: Any) -> Any:
    """LLVM code as a module for another machine than the one that Numba compiled it for."""
    module = binding.parse_assembly(re.sub("(?m)^target .*$", "", code))
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    return module


def _optimise(module: Any, machine: Any, exported: set[str]) -> None:
    """Optimises a module; what is not exported is inlined or left out."""
    for value in [*module.functions, *module.global_variables]:
        if not value.is_declaration and value.name not in exported:
            value.linkage = "internal"
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = True
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)


def _link(code: bytes, exported: list[str]) -> bytes:
    with TemporaryDirectory() as folder:
        source, linked = Path(folder) / "engine.o", Path(folder) / "engine.wasm"
        source.write_bytes(code)
        exports = [f"--export={name}" for name in [*exported, "__heap_base"]]
        options = ["--no-entry", "--strip-all", "--gc-sections", "--stack-first"]
        command = [LINKER, *options, "-z", f"stack-size={STACK}", *exports]
        subprocess.run([*command, "-o", linked, source], check=True)
        return linked.read_bytes()


def _section(content: bytes) -> bytes:
    """A custom section of WebAssembly's binary format, with the name `SECTION`."""
    name = SECTION.encode()
    body = _length(len(name)) + name + content
    return b"\0" + _length(len(body)) + body


def _length(number: int) -> bytes:
    """A number in LEB128: seven bits per byte, the lowest first."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _length(rest) if rest else bytes([low])
