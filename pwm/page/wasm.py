"""`python -m pwm.page.wasm`: compiles the fused engine to WebAssembly, into paper/page/engine.wasm.

Numba compiles the same Python source as for this machine, but leaves its LLVM code unoptimised, and
so independent of the machine. LLVM then optimises it for WebAssembly, with 128-bit vectors, and
`wasm-ld` links it. Operations follow IEEE 754, in a fixed order, so results are bit-identical to
those of native code. A JSON section of engine.wasm, `pwm`, describes it (`pwm.page.about`).
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any

import numba
import numpy as np
from llvmlite import binding
from numba.core import types

from pwm.core.rollout import Draws
from pwm.fused import kernel
from pwm.fused.buffers import Episodes
from pwm.fused.compilation import VERSIONS, compiled_apart
from pwm.fused.engine import FusedEngine
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.errors import require_file
from pwm.io.files import folder_errors, write_atomically
from pwm.io.inherited import note
from pwm.page import calls, streams
from pwm.page.about import about
from pwm.training.config import TrainConfig

TRIPLE, FEATURES = "wasm32-unknown-unknown", "+simd128,+bulk-memory"
LINKER = "wasm-ld"
STACK = 2**18  # bytes
SECTION = "pwm"
OPERATOR_BLOCKS = 2  # most basic blocks in the LLVM code of a vector operator
# Numba settings for machine-independent code, and a fixed order of sets for the same bytes.
SETTINGS = {
    "NUMBA_OPT": "0",
    "NUMBA_CPU_NAME": "generic",
    "NUMBA_CPU_FEATURES": "",
    "PYTHONHASHSEED": "0",
}
FLOATS, INTEGERS, WORDS = (
    types.Array(kind, 1, "C") for kind in (types.float32, types.int64, types.uint64)
)
# Functions of libm and of Numba that compiled code calls; arrays that it reshapes are contiguous.
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


class _UncompiledEngine(FusedEngine):
    """Fused engine that, instead of training, keeps the arguments for the compiled `train`."""

    def train(self, draws: Draws) -> Any:
        """Keeps the arguments, whose types `functions` needs; the constructor calls this once."""
        metrics = np.zeros((0, 0, 0), "f4")  # only the number of axes and the dtype matter
        episodes = Episodes(draws.trials.numpy(), draws.noise.numpy(), metrics)
        self.arguments = (self.task, self.rule, self.population, episodes, self.work)


def functions() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """The WebAssembly module's functions by name: Python function, Numba types of arguments."""
    arguments = _UncompiledEngine((TrainConfig(),)).arguments  # of the same types for every run
    compiled: dict[Any, tuple[Any, ...]] = {
        kernel.train: tuple(numba.typeof(each) for each in arguments),
        streams.make_key: (WORDS,) * 3,
        streams.draw_uniform: (WORDS, types.int64, FLOATS),
        streams.draw_index: (WORDS, types.int64, types.int64, INTEGERS),
    }
    return {each.py_func.__name__: (each.py_func, kinds) for each, kinds in compiled.items()}


def target() -> Any:
    """LLVM's target machine: WebAssembly with vectors."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    return binding.Target.from_triple(TRIPLE).create_target_machine(
        cpu="generic", features=FEATURES, opt=3, reloc="static"
    )


def described() -> dict[str, Any]:
    """The module's description of itself, without `tools`: `about`, and tables of arguments."""
    layout = target().target_data
    tables = {name: calls.argument_table(*each, layout) for name, each in functions().items()}
    return about() | {"functions": tables}


def tools() -> dict[str, str]:
    """Versions of the tools that, with the source, determine the module's bytes."""
    version = subprocess.run([LINKER, "--version"], capture_output=True, text=True, check=True)
    python = ".".join(platform.python_version_tuple()[:2])
    libraries = dict(zip(("numba", "llvmlite", "numpy"), VERSIONS, strict=True))
    return {"python": python, **libraries, LINKER: version.stdout.strip()}


def build(out: Path) -> None:
    """Compiles the module into a file; Numba must not optimise, so it must run under `SETTINGS`."""
    machine = target()
    module = _for_target(LIBRARY, machine)
    exported = functions()
    for name, (function, kinds) in exported.items():
        dispatcher: Any = compiled_apart(function)  # anew, without an entry for Python
        dispatcher.compile(kinds)
        overload = dispatcher.overloads[kinds]
        for code in (overload.library.get_llvm_str(), calls.entry_function(name, overload)):
            module.link_in(_for_target(code, machine))
    _optimise(module, machine, set(exported))
    linked = _link(machine.emit_object(module), list(exported))
    content = json.dumps(described() | {"tools": tools()}, separators=(",", ":"))
    write_atomically(out, linked + _section(content.encode()))


def _for_target(code: str, machine: Any) -> Any:
    """Parses LLVM code and makes `machine` its target, which sets the size of its pointers."""
    module = binding.parse_assembly(_without_exceptions(re.sub("(?m)^target .*$", "", code)))
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    return module


def _without_exceptions(code: str) -> str:
    """Removes pickled exceptions, which only Python needs, from LLVM IR.

    They contain the path of the library that would raise them, so the module would depend on where
    that library is installed. The constants `pickledata` are the pickle and its hash; `picklebuf`
    contains the length of the pickle.
    """
    data = r"(?m)^(@\.const\.pickledata\.\S+ = internal constant )\[\d+ x i8\] c\"[^\"]*\""
    size = r"(?m)^(@\.const\.picklebuf\.[^\n]*?, i32 )\d+"
    return re.sub(size, r"\g<1>0", re.sub(data, r"\g<1>[1 x i8] zeroinitializer", code))


def _optimise(module: Any, machine: Any, exported: set[str]) -> None:
    """Optimises a module in which only the exported functions are called from outside.

    Functions marked `alwaysinline` are inlined. LLVM may inline others only if they are as small as
    a vector operator: with larger ones inlined, browsers' compilers make slower code.
    """
    for value in [*module.functions, *module.global_variables]:
        if not value.is_declaration and value.name not in exported:
            value.linkage = "internal"
    for function in module.functions:
        is_large = len(list(function.blocks)) > OPERATOR_BLOCKS
        if is_large and b"alwaysinline" not in b"".join(function.attributes):
            function.add_function_attribute("noinline")
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization, options.loop_unrolling = True, False
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)


def _link(code: bytes, exported: list[str]) -> bytes:
    """Links object code into a WebAssembly module that exports functions and `__heap_base`."""
    with TemporaryDirectory() as folder:
        source, linked = Path(folder) / "engine.o", Path(folder) / "engine.wasm"
        source.write_bytes(code)
        exports = [f"--export={name}" for name in [*exported, "__heap_base"]]
        # The stack comes first, so that its overflow is an error and does not overwrite data.
        options = ["--no-entry", "--strip-all", "--gc-sections", "--stack-first"]
        command = [LINKER, *options, "-z", f"stack-size={STACK}", *exports]
        subprocess.run([*command, "-o", linked, source], check=True)
        return linked.read_bytes()


def _section(content: bytes) -> bytes:
    """Encodes a custom section of WebAssembly's binary format, named `SECTION`."""
    name = SECTION.encode()
    body = _length(len(name)) + name + content
    return b"\0" + _length(len(body)) + body


def _length(number: int) -> bytes:
    """Encodes a number in LEB128: 7 bits per byte, lowest first; the 8th says if more follow."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _length(rest) if rest else bytes([low])


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.page.wasm`."""

    out: Path = Path("paper/page/engine.wasm")
    """File to write."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command, restarted under `SETTINGS`; bad input ends the program with one line."""
    arguments = parse(Arguments, "python -m pwm.page.wasm", (__doc__ or "").splitlines()[0], argv)
    with errors_in_one_line():
        accepted = "Debian's package lld, or LLVM's"
        require_file(which(LINKER) is not None, f"{LINKER} (not found)", accepted)
        if not SETTINGS.items() <= os.environ.items():
            # Numba reads its settings when it is imported, so the command starts again.
            environment = {
                name: value for name, value in os.environ.items() if not name.startswith("NUMBA")
            }
            command = [sys.executable, "-m", "pwm.page.wasm", "--out", str(arguments.out)]
            note("Compiling the engine to WebAssembly: about 30 s.")
            os.execve(sys.executable, command, environment | SETTINGS)
        with folder_errors("out", arguments.out, kind="file"):
            build(arguments.out)


if __name__ == "__main__":
    main()
