"""How the fused engine is compiled, and how what was compiled is kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import numba

SOURCES = ("compilation", "elementary", "lanes", "kernel")  # modules of compiled functions
Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compiles a function on its first call, with IEEE semantics and nothing relaxed.

    Without Numba's runtime it can allocate nothing, and counts no references.
    """
    return cast(Function, numba.njit(error_model="numpy", _nrt=False)(function))
