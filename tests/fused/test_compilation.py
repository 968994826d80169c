"""Losing the cache of compiled code costs only time, and damaged code is never run."""

from __future__ import annotations

import gc
import os
import pickle
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from pwm.fused import compilation, kernel, vectors

FUSED = Path(compilation.__file__).parent
HERE = "numba.core.caching.UserProvidedCacheLocator"
PER_USER = "numba.core.caching.UserWideCacheLocator"


def doubling() -> Any:
    """A doubling function as in a new process: not compiled, and no cached code loaded."""

    def double(number: float) -> float:
        return 2 * number

    return compilation.cached(double)


def test_no_two_functions_of_the_engine_share_a_name() -> None:
    # A process may load what two others compiled; a name must mean one function in both.
    functions = [
        each.py_func
        for each in gc.get_objects()
        # Not isinstance, which makes other packages' lazy objects import
        if issubclass(type(each), Dispatcher) and each.py_func.__module__.startswith("pwm.fused.")
    ]
    train: Any = kernel.train
    assert train.py_func in functions
    names = [(each.__module__, each.__qualname__) for each in functions]
    # The types of their operands tell an operator's functions apart.
    named = [name for name in names if "operate_" not in name[1]]
    assert len(set(named)) == len(named)


def test_operators_of_the_same_operands_have_different_names() -> None:
    @numba.njit(error_model="numpy")
    def sum_and_difference(number: Any) -> Any:
        lanes = vectors.broadcast(number)
        return vectors.first(lanes + lanes), vectors.first(lanes - lanes)

    assert sum_and_difference(np.float32(3)) == (6, 0)
    names = {
        each.py_func.__qualname__.rpartition(".")[2]
        for each in gc.get_objects()
        if issubclass(type(each), Dispatcher) and each.py_func.__module__ == "pwm.fused.vectors"
    }
    assert {"operate_add", "operate_sub"} <= names
    assert "operate" not in names


def hits(function: Any) -> int:
    """Number of times that a function's compiled code was found in the cache."""
    return sum(function.stats.cache_hits.values())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder where Numba may cache code; it does not exist yet."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", HERE)
    return tmp_path / "cache"


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def flipped(content: bytes, position: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1
    return bytes(changed)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _content: b"",
    "one byte": lambda content: content[:1],
    "half": lambda content: content[: len(content) // 2],
    "without its last byte": lambda content: content[:-1],
    "longer": lambda content: content + b"\0",
    "another file": lambda _content: b"%PDF-1.7",
    "zeros": lambda content: bytes(len(content)),
    "first bit flipped": lambda content: flipped(content, 0),
    "a bit flipped in the code": lambda content: flipped(content, len(content) // 2),
    "last bit flipped": lambda content: flipped(content, -1),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_code_is_compiled_anew(
    damage: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    doubling()(1.5)
    for path in files(folder):
        path.write_bytes(DAMAGE[damage](path.read_bytes()))

    damaged = doubling()
    assert damaged(1.5) == 3
    assert hits(damaged) == 0
    [line] = caplog.messages
    assert line.startswith(str(folder))
    assert line.endswith(": ignoring unusable compiled code (wrong checksum).")

    mended = doubling()
    assert mended(1.5) == 3
    assert hits(mended) == 1
    assert len(caplog.messages) == 1


@pytest.mark.usefixtures("folder")
def test_code_with_a_right_checksum_that_cannot_be_loaded_is_compiled_anew(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubling()(1.5)
    with monkeypatch.context() as patch:
        patch.setattr(pickle, "loads", lambda _code: 1 / 0)
        assert doubling()(1.5) == 3
    assert "ignoring unusable compiled code (division by zero)" in caplog.text


def test_a_folder_in_the_place_of_code_is_left_alone(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    doubling()(1.5)
    for path in files(folder):
        path.unlink()
        path.mkdir()
    assert doubling()(1.5) == 3
    ignored, not_cached = caplog.messages
    assert ignored.endswith(": ignoring unusable compiled code (Is a directory).")
    assert not_cached.startswith(str(folder))
    assert not_cached.endswith(
        "cannot be cached here (Is a directory); each process compiles it again."
    )


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_full_disk_costs_the_cache_alone(
    size: int, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    function = doubling()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        assert function(1.5) == 3
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    [line] = caplog.messages
    assert line.startswith(str(folder))
    assert "compiled code cannot be cached here (File too large); each process" in line
    assert files(folder) == []  # no partial file
    assert doubling()(1.5) == 3
    assert len(files(folder)) == 1


def test_a_file_in_the_place_of_the_cache_folder_costs_the_cache_alone(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("mine")
    assert doubling()(1.5) == 3
    assert doubling()(2.5) == 5
    [line] = caplog.messages  # only one warning
    assert line == f"{folder}: compiled code cannot be cached here; each process compiles it again."
    assert folder.read_text() == "mine"


def test_another_folder_serves_where_the_chosen_one_cannot_be_written(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_text("mine")
    home = folder.with_name("home")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", f"{HERE},{PER_USER}")
    assert doubling()(1.5) == 3
    [line] = caplog.messages
    assert line.startswith(f"{folder}: compiled code cannot be cached here; it is cached in {home}")
    assert len(files(home)) == 1


@pytest.mark.parametrize("locators", ["Nonsense", "no.such.module.Locator"])
def test_unknown_places_for_the_cache_cost_the_cache_alone(
    locators: str, folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", locators)
    assert doubling()(1.5) == 3
    assert caplog.messages == [
        f"{folder}: compiled code cannot be cached here; each process compiles it again."
    ]


def test_code_that_numba_cannot_cache_is_compiled_by_each_process(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = numba.core.codegen.CPUCodeLibrary
    monkeypatch.setattr(library, "has_dynamic_globals", True)
    assert doubling()(1.5) == 3
    [line] = caplog.messages
    assert line.startswith(f"{folder}")
    assert "as it uses dynamic globals" in line


@pytest.mark.usefixtures("folder")
def test_code_of_a_process_that_compiles_at_the_same_time_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replace = os.replace

    def interrupted(source: str, destination: str) -> None:
        monkeypatch.setattr(os, "replace", replace)
        assert doubling()(3) == 6  # as another process would, for other arguments
        replace(source, destination)

    monkeypatch.setattr(os, "replace", interrupted)
    assert doubling()(1.5) == 3
    first, second = doubling(), doubling()
    assert (first(1.5), second(3)) == (3, 6)
    assert (hits(first), hits(second)) == (1, 1)


@pytest.mark.parametrize(
    ("name", "value"), [("OPT", 0), ("LOOP_VECTORIZE", 0), ("BOUNDSCHECK", 1), ("SLP_VECTORIZE", 1)]
)
def test_slow_code_for_other_settings_is_not_reused(
    name: str, value: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(numba.config, name, value)
        doubling()(1.5)
    usual = doubling()
    assert usual(1.5) == 3
    assert hits(usual) == 0
    assert files(folder)


@pytest.mark.parametrize("module", compilation.SOURCES)
def test_compiled_code_depends_on_no_other_module(module: str) -> None:
    # The name of the cached code changes only with the modules in `SOURCES`.
    source = (FUSED / f"{module}.py").read_text()
    imported = re.findall(r"^\s*(?:from|import) (pwm\S*)", source, re.MULTILINE)
    assert set(imported) <= {f"pwm.fused.{name}" for name in compilation.SOURCES}


def test_the_name_of_cached_code_changes_with_its_sources(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubling()(1.5)
    doubling()(1.5)
    assert len(files(folder)) == 1
    read = Path.read_bytes
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda path: read(path) + b" " * (path.suffix == ".py"))
        doubling()(1.5)
    assert len(files(folder)) == 2
