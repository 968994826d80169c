"""The first steps of a command, before its slow imports; `pwm/__init__.py` takes them.

An interrupted import, or a library that cannot be imported, ends the command with one line.
"""

from __future__ import annotations

import io
import os
import re
import resource
import signal
import sys
import traceback
from functools import cache
from pathlib import Path
from types import TracebackType

from pwm.core.errors import FileError, InputError, require_file

BAD_INPUT = 2
LEAST_MEMORY = 1_500_000  # KiB of address space to import everything and to compile
PACKAGE = str(Path(__file__).parents[1])


def start_command() -> None:
    """Makes errors of imports one line, and refuses conditions in which imports would fail.

    These are too little memory, a removed working folder, and invalid settings of tqdm.
    """
    sys.excepthook = _in_one_line
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    try:
        enough = limit == resource.RLIM_INFINITY or limit >= LEAST_MEMORY * 1024
        accepted = f"unlimited, or at least {LEAST_MEMORY}"
        require_file(enough, f"ulimit -v {limit // 1024}", accepted)
        _require_current_folder()
        _require_settings_of_tqdm()
    except InputError as error:
        _end(f"error: {error}", BAD_INPUT)


def end_imports() -> None:
    """Makes Ctrl-C raise `KeyboardInterrupt` again."""
    if signal.getsignal(signal.SIGINT) is _interrupted:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@cache
def require_versions() -> None:
    """Refuses libraries that are too old, which `PYTHONPATH` may bring in.

    Raises:
        FileError: a library is missing or too old.
    """
    from importlib.metadata import (  # noqa: PLC0415, slow
        PackageNotFoundError,
        requires,
        version,
    )

    try:
        requirements = requires("pwm") or []
    except PackageNotFoundError:  # the repository is used without being installed
        return
    for bound in filter(None, map(re.compile(r"([\w-]+)>=([\d.]+)").fullmatch, requirements)):
        name, least = bound.groups()
        try:
            found = getattr(sys.modules.get(name), "__version__", None) or version(name)
        except PackageNotFoundError:
            found = "(none)"
        require_file(_numbers(found) >= _numbers(least), f"{name} {found}", f"{least} or later")


def _numbers(version: str) -> list[int]:
    """The numbers of a version, for comparison: [2, 6, 0] of "2.6.0"."""
    return list(map(int, re.findall(r"\d+", version)))


def _require_current_folder() -> None:
    """Refuses to start in a removed folder, where PyTorch cannot load its libraries."""
    try:
        Path.cwd()
    except OSError as error:
        accepted = f"a folder that exists; cd to one ({error.strerror})"
        raise FileError("the current folder", accepted) from error


def _require_settings_of_tqdm() -> None:
    """Refuses environment variables with which tqdm's progress bars would fail."""
    given = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("TQDM_")]
    if not given:
        return
    try:
        from tqdm import tqdm  # noqa: PLC0415, which reads them when it is imported

        tqdm(total=1, file=io.StringIO()).close()
    except Exception as error:  # tqdm does not check them
        accepted = f"settings that tqdm can use ({_described(error)})"
        raise FileError(" ".join(given), accepted) from error


def _interrupted(number: int, _frame: object) -> None:
    """Ends the process at once, as libraries hide a `KeyboardInterrupt` raised in an import."""
    os.write(2, b"Interrupted.\n")
    os._exit(128 + number)


def _in_one_line(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Shows an uncaught exception: on one line if a library failed to import, else in full."""
    frames = traceback.extract_tb(trace)
    foreign = [frame for frame in frames if not frame.filename.startswith((PACKAGE, "<frozen"))]
    if foreign and foreign[0].name == "<module>":  # raised while a library is imported
        blamed: str | None = foreign[-1].filename
    else:
        blamed = error.name if isinstance(error, ImportError) else None
    if blamed is None or blamed.startswith("pwm"):
        sys.__excepthook__(kind, error, trace)
        return
    try:
        require_versions()
        accepted = f"a library that can be imported ({_described(error)})"
        raise FileError(blamed, accepted)
    except InputError as found:
        _end(f"error: {found}", BAD_INPUT)


def _described(error: BaseException) -> str:
    """The type of an exception and the first line of its message."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _end(line: str, status: int) -> None:
    """Prints a line to standard error and ends the process."""
    print(line, file=sys.stderr)
    raise SystemExit(status)
