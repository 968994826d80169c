"""Prepares a command before its slow imports: `pwm/__init__.py` calls `start_command`."""

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
from typing import NoReturn

from pwm.core.errors import InputError
from pwm.io.errors import FileError, require_file

BAD_INPUT = 2  # exit status
LEAST_MEMORY = 1_500_000  # KiB of address space to import everything and to compile
PACKAGE = str(Path(__file__).parents[1])


def start_command() -> None:
    """Makes a command end with one line if its slow imports fail or are interrupted.

    Ends it at once, also with one line, if it cannot succeed: with too small a limit on
    memory (`ulimit -v`), in a removed working folder, or with invalid tqdm settings.
    """
    sys.excepthook = _in_one_line
    # An ignored Ctrl-C, as in a background process, stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)  # bytes
    try:
        enough = limit == resource.RLIM_INFINITY or limit >= LEAST_MEMORY * 1024
        accepted = f"unlimited, or at least {LEAST_MEMORY}"
        require_file(enough, f"ulimit -v {limit // 1024}", accepted)
        _require_current_folder()
        _require_settings_of_tqdm()
    except InputError as error:
        _fail(error)


def end_imports() -> None:
    """Makes Ctrl-C raise `KeyboardInterrupt` again; the `excepthook` of `start_command` stays."""
    if signal.getsignal(signal.SIGINT) is _interrupted:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@cache
def require_versions() -> None:
    """If `pwm` is installed, checks the libraries' versions: `PYTHONPATH` may bring in old ones.

    Raises:
        FileError: a library is missing or too old.
    """
    import importlib.metadata  # noqa: PLC0415, slow

    try:
        requirements = importlib.metadata.requires("pwm") or []
    except ModuleNotFoundError:  # the repository is used without being installed
        return
    for requirement in requirements:
        bound = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement)
        if bound is None:  # of an optional extra
            continue
        name, least = bound.groups()
        loaded = sys.modules.get(name)
        try:
            installed = getattr(loaded, "__version__", None) or importlib.metadata.version(name)
        except ModuleNotFoundError:
            installed = "(none)"
        is_new_enough = _numbers(installed) >= _numbers(least)
        require_file(is_new_enough, f"{name} {installed}", f"{least} or later")


def _numbers(version: str) -> list[int]:
    """The numbers in a version, to compare versions: [2, 6, 0] for "2.6.0"."""
    return [int(number) for number in re.findall(r"\d+", version)]


def _require_current_folder() -> None:
    """Raises `FileError` in a working folder that was removed, where importing PyTorch fails."""
    try:
        Path.cwd()
    except OSError as error:
        accepted = f"a folder that exists; cd to one ({error.strerror})"
        raise FileError("the current folder", accepted) from error


def _require_settings_of_tqdm() -> None:
    """Raises `FileError` for environment variables with which tqdm's progress bars would fail."""
    environment = sorted(os.environ.items())
    given = [f"{name}={value}" for name, value in environment if name.startswith("TQDM_")]
    if not given:
        return
    try:
        from tqdm import tqdm  # noqa: PLC0415, which reads them when it is imported

        # Otherwise TQDM_DELAY and TQDM_DISABLE would hide the fault, though not from all bars.
        tqdm(total=1, delay=0, disable=False, file=io.StringIO()).close()
    except ImportError:  # for `_in_one_line`
        raise
    except Exception as error:  # tqdm does not check them
        accepted = f"settings that tqdm can use ({_described(error)})"
        raise FileError(" ".join(given), accepted) from error


def _interrupted(number: int, _frame: object) -> None:
    """Ends the process at once, since libraries may catch a `KeyboardInterrupt` during import."""
    os.write(2, b"Interrupted.\n")
    os._exit(128 + number)


def _in_one_line(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Prints an uncaught exception: on one line if a library failed to import, else in full."""
    library = _failed_import(error, trace)
    if library is None:
        sys.__excepthook__(kind, error, trace)
        return
    try:
        require_versions()  # if one is too old, this is the cause to show
        raise FileError(library, f"a library that can be imported ({_described(error)})")
    except InputError as cause:
        _fail(cause)


def _failed_import(error: BaseException, trace: TracebackType | None) -> str | None:
    """File or name of the library that failed to import; None if the error has another cause."""
    frames = traceback.extract_tb(trace)
    # Frames outside this package and Python's frozen modules (the import system, runpy)
    foreign = [frame for frame in frames if not frame.filename.startswith((PACKAGE, "<frozen"))]
    if foreign and foreign[0].name == "<module>":  # raised while a library was imported
        # The innermost module is at fault: the library or a dependency, not a function it called.
        return [frame.filename for frame in foreign if frame.name == "<module>"][-1]
    if isinstance(error, ImportError) and error.name and not error.name.startswith("pwm"):
        return error.name
    return None


def _described(error: BaseException) -> str:
    """The type of an exception and the first line of its message."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _fail(error: InputError) -> NoReturn:
    """Prints the error on one line and ends the process."""
    print(f"error: {error}", file=sys.stderr)
    raise SystemExit(BAD_INPUT)
