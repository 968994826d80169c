"""Compiles the fused engine, and caches the compiled code on disk."""

from __future__ import annotations

import hashlib
import logging
import pickle
import warnings
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite
import numba
import numpy as np
from numba.core.caching import FunctionCache
from numba.core.serialize import dumps

Function = TypeVar("Function", bound=Callable[..., object])
# The modules of the compiled code.
SOURCES = (
    "compilation", "vectors", "elementary", "layout", "buffers", "products", "forward",
    "advantages", "backward", "balance", "optimiser", "kernel",
)  # fmt: skip
OPTIONS: dict[str, Any] = {
    "error_model": "numpy",  # division by zero follows IEEE 754 and raises nothing
    "_nrt": False,  # without Numba's runtime: no allocation, no reference counting
}
# For functions that only compiled code calls.
WITHOUT_ENTRY: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_NAMED = Counter[tuple[str, str]]()  # functions named so far, by module and name
CONFIG: Any = numba.config
VERSIONS = (numba.__version__, llvmlite.__version__, np.__version__)
# Numba settings that change the code's speed but not its results; the cache tells them apart.
SETTINGS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")


def compiled(function: Function) -> Function:
    """Makes Numba compile, in strict IEEE arithmetic, a function that only compiled code can call.

    It is inlined: a call would copy the shape and strides of every array, and `Work` has dozens.
    """
    number_name(function)
    return cast(Function, numba.njit(**OPTIONS, **WITHOUT_ENTRY, forceinline=True)(function))


def compiled_apart(function: Function) -> Function:
    """Makes Numba compile a function as `compiled` does, but does not make LLVM inline it.

    Only compiled code can call it; a call from Python crashes. For inner loops over few arrays,
    which would run out of registers for addresses if they were inlined into a large caller.
    """
    number_name(function)
    # Explicit, because Numba otherwise takes the caller's option.
    return cast(Function, numba.njit(**OPTIONS, **WITHOUT_ENTRY, forceinline=False)(function))


def number_name(function: Callable[..., object]) -> None:
    """Appends a number to a function's name, which then differs from those of all other functions.

    A process may load code that two others compiled. In each, Numba tells functions of one name
    apart by counting, so the same name can mean different functions in the two; LLVM then silently
    uses one of them in both places. The numbers here are the same in every process, as each module
    defines its functions in one order.
    """
    key = function.__module__, function.__qualname__
    function.__qualname__ += f"_{_NAMED[key]}"
    _NAMED[key] += 1


def cached(function: Function) -> Function:
    """Makes Numba compile a function at its first call from Python, and cache its code on disk.

    Numba by itself recompiles only if the function's own file has changed. Here a hash of all
    `SOURCES` becomes part of the function's name, so a change of any of them recompiles it; the old
    code stays on disk. If code cannot be cached, each process compiles it, with a warning.
    """
    package = Path(__file__).parent
    sources = b"".join((package / f"{module}.py").read_bytes() for module in SOURCES)
    function.__qualname__ += "_" + hashlib.sha256(sources).hexdigest()[:16]
    dispatcher = numba.njit(**OPTIONS)(function)
    folder = CONFIG.CACHE_DIR or str(package / "__pycache__")
    try:
        dispatcher._cache = _Cache(function)
    except (RuntimeError, OSError):
        _warn(f"{folder}: compiled code cannot be cached here; each process compiles it again.")
    else:
        used = dispatcher._cache.cache_path  # elsewhere, if Numba cannot write to `folder`
        if CONFIG.CACHE_DIR and not Path(used).is_relative_to(folder):  # the user chose `folder`
            _warn(f"{folder}: compiled code cannot be cached here; it is cached in {used}.")
    return cast(Function, dispatcher)


@cache
def _warn(line: str) -> None:
    """Logs a warning, each line once per process; by default it appears on standard error."""
    logging.getLogger(__name__).warning(line)


def _reason(error: Exception) -> str:
    """First line of an exception's message, or its type's name; of an `OSError`, its reason."""
    message = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(message).splitlines()[0]


class _Cache:
    """Numba's cache, which warns instead of raising if code cannot be loaded or saved."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.cache = cast(Any, FunctionCache(function))
        self.cache._cache_file = _CodeFiles(self.cache._cache_file)
        self.cache_path: str = self.cache.cache_path  # a folder

    def load_overload(self, *arguments: object) -> Any:
        """Loads the code for a signature; None if it must be compiled."""
        try:
            return self.cache.load_overload(*arguments)
        except Exception as error:  # unpickling may raise anything
            _warn(f"{self.cache_path}: ignoring unusable compiled code ({_reason(error)}).")
            return None

    def save_overload(self, *arguments: object) -> None:
        """Saves the code for a signature, if possible."""
        try:
            # For some kinds of code that it cannot save, Numba only warns.
            with warnings.catch_warnings(action="error"):
                self.cache.save_overload(*arguments)
        except Exception as error:
            _warn(
                f"{self.cache_path}: compiled code cannot be cached here ({_reason(error)}); "
                "each process compiles it again."
            )


class _CodeFiles:
    """Stores the code for each signature and processor in a file that begins with its SHA-256.

    Numba's own files have no checksums. They share an index, which two processes may write at once;
    one of them may then load code that was compiled for the other's processor.
    """

    def __init__(self, files: Any) -> None:
        self.files = files  # Numba's own, which know where and how to write

    def load(self, key: object) -> Any:
        """Loads the code for `key` (signature, processor, bytecode); None if there is none.

        Raises:
            ValueError: the checksum is wrong.
        """
        try:
            content = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        checksum, code = content[:32], content[32:]
        if hashlib.sha256(code).digest() != checksum:
            raise ValueError("wrong checksum")
        return pickle.loads(code)

    def save(self, key: object, data: object) -> None:
        """Saves the code for a key, atomically."""
        code = dumps(data)
        with self.files._open_for_write(str(self._path(key))) as file:
            file.write(hashlib.sha256(code).digest() + code)

    def _path(self, key: object) -> Path:
        """File for a key; its name also depends on `VERSIONS` and Numba's current `SETTINGS`."""
        identity = repr((key, VERSIONS, [getattr(CONFIG, name) for name in SETTINGS]))
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        return Path(self.files._index_path).with_suffix(f".{digest}.nbc")
