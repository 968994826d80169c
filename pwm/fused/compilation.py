"""Compiles the fused engine, and caches the compiled code on disk."""

from __future__ import annotations

import hashlib
import logging
import pickle
import warnings
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
# Modules that are compiled together.
SOURCES = (
    "compilation", "vectors", "elementary", "layout", "buffers", "products", "forward", "backward",
    "balance", "optimiser", "kernel",
)  # fmt: skip
OPTIONS: dict[str, Any] = {
    "error_model": "numpy",  # a division by zero is infinite
    "_nrt": False,  # without Numba's runtime: no allocation, no reference counting
}
WITHOUT_ENTRY: dict[str, Any] = {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
CONFIG: Any = numba.config
VERSIONS = (numba.__version__, llvmlite.__version__, np.__version__)
# Numba's settings that change the code's speed, though not its results.
SETTINGS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")


def compiled(function: Function) -> Function:
    """Compiles a function to be called by other compiled code, in strict IEEE arithmetic.

    It becomes a part of its callers, since a call copies the description of every array, of which
    `Work` has many.
    """
    return cast(Function, numba.njit(**OPTIONS, **WITHOUT_ENTRY, forceinline=True)(function))


def compiled_apart(function: Function) -> Function:
    """Compiles a function like `compiled`, but to be called.

    For inner loops with few arrays: within the large function that calls them, there are not
    enough registers for addresses.
    """
    return cast(Function, numba.njit(**OPTIONS, **WITHOUT_ENTRY, forceinline=False)(function))


def cached(function: Function) -> Function:
    """Compiles a function to be called by Python, and caches its code on disk.

    Numba only checks whether the function's own file has changed. Here a hash of all sources is
    part of the function's name. Where nothing can be cached, each process compiles.
    """
    folder = Path(__file__).parent
    sources = b"".join((folder / f"{module}.py").read_bytes() for module in SOURCES)
    function.__qualname__ += "_" + hashlib.sha256(sources).hexdigest()[:16]
    dispatcher = numba.njit(**OPTIONS)(function)
    wanted = CONFIG.CACHE_DIR or str(folder / "__pycache__")
    try:
        dispatcher._cache = _Cache(function)
    except (RuntimeError, OSError):
        _say(f"{wanted}: compiled code cannot be cached here; each process compiles it again.")
    else:
        used = dispatcher._cache.cache_path
        if CONFIG.CACHE_DIR and not Path(used).is_relative_to(wanted):
            _say(f"{wanted}: compiled code cannot be cached here; it is cached in {used}.")
    return cast(Function, dispatcher)


@cache
def _say(line: str) -> None:
    """Prints a line on standard error, once, unless logging is configured otherwise."""
    logging.getLogger(__name__).warning(line)


def _reason(error: Exception) -> str:
    """The message of an exception, on one line."""
    described = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(described).splitlines()[0]


class _Cache:
    """Numba's cache, except that a failure to load or save code is reported, not raised."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.numba = cast(Any, FunctionCache(function))
        self.numba._cache_file = _CodeFiles(self.numba._cache_file)
        self.cache_path: str = self.numba.cache_path

    def load_overload(self, *arguments: object) -> Any:
        """Loads the code for a signature; None if it must be compiled."""
        try:
            return self.numba.load_overload(*arguments)
        except Exception as error:  # unpickling may raise any
            _say(f"{self.cache_path}: ignoring damaged compiled code ({_reason(error)}).")
            return None

    def save_overload(self, *arguments: object) -> None:
        """Saves the code for a signature, if possible."""
        try:
            with warnings.catch_warnings(action="error"):  # that it is not saved
                self.numba.save_overload(*arguments)
        except Exception as error:
            _say(
                f"{self.cache_path}: compiled code cannot be cached here ({_reason(error)}); "
                "each process compiles it again."
            )


class _CodeFiles:
    """One file per signature and processor, which starts with the SHA-256 of the rest.

    Numba's own files have no checksum, and an index that two processes may write at once, after
    which each may find the code of the other's processor.
    """

    def __init__(self, files: Any) -> None:
        self.files = files

    def load(self, key: object) -> Any:
        """Loads the code with that key; None if there is none.

        Raises:
            ValueError: the file is damaged.
        """
        try:
            content = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        digest, code = content[:32], content[32:]
        if hashlib.sha256(code).digest() != digest:
            raise ValueError("wrong checksum")
        return pickle.loads(code)

    def save(self, key: object, data: object) -> None:
        """Saves code under a key, atomically."""
        code = dumps(data)
        with self.files._open_for_write(str(self._path(key))) as file:
            file.write(hashlib.sha256(code).digest() + code)

    def _path(self, key: object) -> Path:
        """The file for a key, with these versions and settings of Numba."""
        identity = repr((key, VERSIONS, [getattr(CONFIG, name) for name in SETTINGS]))
        digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
        return Path(self.files._index_path).with_suffix(f".{digest}.nbc")
