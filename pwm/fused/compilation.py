"""How the fused engine is compiled, and how what was compiled is kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])
# Modules that are compiled together.
SOURCES = (
    *("compilation", "scalar", "buffers", "vectors", "products", "forward", "backward", "kernel"),
)
OPTIONS: dict[str, Any] = {
    "error_model": "numpy",  # a division by zero is infinite
    "_nrt": False,  # without Numba's runtime: nothing is allocated, no references are counted
}
WITHOUT_ENTRY: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def compiled(function: Function) -> Function:
    """Compiles a function for other compiled code to call, with nothing relaxed of IEEE."""
    return cast(Function, numba.njit(**OPTIONS, **WITHOUT_ENTRY)(function))


def cached(function: Function) -> Function:
    """Compiles a function for Python to call, and keeps its code on disk for other processes.

    Numba asks whether the function's own file has changed. Here the function's name says what
    all files were that its code is made of.
    """
    folder = Path(__file__).parent
    sources = b"".join((folder / f"{module}.py").read_bytes() for module in SOURCES)
    function.__qualname__ += "_" + hashlib.sha256(sources).hexdigest()[:16]
    dispatcher = numba.njit(**OPTIONS)(function)
    with suppress(RuntimeError):  # there is no folder to write to: each process compiles
        dispatcher.enable_caching()
    return cast(Function, dispatcher)
