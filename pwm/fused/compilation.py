"""Compiles the fused engine, and caches the compiled code on disk."""

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
    "compilation", "scalar", "layout", "buffers", "vectors", "products", "forward", "backward",
    "kernel",
)  # fmt: skip
OPTIONS: dict[str, Any] = {
    "error_model": "numpy",  # a division by zero is infinite
    "_nrt": False,  # without Numba's runtime: no allocation, no reference counting
}
WITHOUT_ENTRY: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def compiled(function: Function) -> Function:
    """Compiles a function to be called by other compiled code, in strict IEEE arithmetic."""
    return cast(Function, numba.njit(**OPTIONS, **WITHOUT_ENTRY)(function))


def cached(function: Function) -> Function:
    """Compiles a function to be called by Python, and caches its code on disk.

    Numba only checks whether the function's own file has changed. Here a hash of all sources is
    part of the function's name.
    """
    folder = Path(__file__).parent
    sources = b"".join((folder / f"{module}.py").read_bytes() for module in SOURCES)
    function.__qualname__ += "_" + hashlib.sha256(sources).hexdigest()[:16]
    dispatcher = numba.njit(**OPTIONS)(function)
    with suppress(RuntimeError):  # no writable folder: each process compiles
        dispatcher.enable_caching()
    return cast(Function, dispatcher)
