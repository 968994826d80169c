"""Standard streams, paths and signals, which a process inherits and may find unusable.

For instance, a stream may be closed, a path may begin with `~`, and a signal may be ignored.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, TextIO, TypeVar, cast

from pwm.core.errors import InputError
from pwm.io.errors import FileError

Arguments = TypeVar("Arguments")
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that ask a process to stop: from Ctrl-C, SLURM, Docker, systemd or a closing terminal."""


def open_streams() -> None:
    """Opens `os.devnull` for closed standard streams; escapes what the streams cannot encode."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell's `>&-`
            nowhere = Path(os.devnull).open("w", errors="backslashreplace")  # noqa: SIM115, stays
            setattr(sys, name, nowhere)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def expand_paths(arguments: Arguments) -> Arguments:
    """Returns a command's arguments with `~` expanded in paths: shells leave it in `--out=~/x`.

    Args:
        arguments: the parsed arguments, an instance of a dataclass; nested ones stay as they are.
    Raises:
        InputError: a path such as `~name` names a user that does not exist.
    """
    changes = {}
    for name, value in vars(arguments).items():
        if isinstance(value, Path):
            try:
                changes[name] = value.expanduser()
            except RuntimeError as error:
                raise InputError(name, value, "a path of a user that exists") from error
    return cast(Arguments, replace(cast(Any, arguments), **changes))


def say(text: str, end: str = "\n") -> None:
    """Prints to standard output, and flushes it.

    Raises:
        BrokenPipeError: the process that reads the output, such as `head`, has ended.
        FileError: standard output cannot be written to, as on a full disk; later output is lost.
    """
    try:
        if text or end:  # on a full disk, even printing nothing fails
            print(text, end=end)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        mute(sys.stdout)
        raise FileError("standard output", f"space for the results ({error.strerror})") from error


def counted(number: int, noun: str) -> str:
    """A number with a noun in the singular or plural, such as "1 run" or "2 runs"."""
    return f"{number} {noun}{'s' * (number != 1)}"


class Forgiving:
    """Wraps a stream so that writing raises no `OSError`: what cannot be written is discarded."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> None:
        """Writes and flushes text; if this fails, discards it and everything written later."""
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            mute(self._stream)

    def flush(self) -> None:
        """Does nothing, because `write` flushes."""


def note(text: str) -> None:
    """Prints a line to standard error, or discards it if standard error cannot be written to."""
    print(text, file=Forgiving(sys.stderr))


def mute(stream: TextIO) -> None:
    """Redirects an unwritable stream to the null device, so that Python can flush it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def stop_signals(*, interrupt: bool = False) -> Iterator[list[int]]:
    """Catches the first of the `STOPPING` signals that comes; a second ends the process at once.

    Signals that are already ignored, such as SIGHUP under `nohup`, stay ignored.

    Args:
        interrupt: whether the caught signal also raises `KeyboardInterrupt(number)`.
    Yields:
        A list, to which the number of the signal is appended when it is caught.
    """
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    handlers = {number: old for number, old in handlers.items() if old != signal.SIG_IGN}
    caught: list[int] = []

    def catch(number: int, _frame: FrameType | None) -> None:
        """Records the signal, and restores the defaults, so that the next one ends the process."""
        caught.append(number)
        for each in handlers:
            signal.signal(each, signal.SIG_DFL)
        if interrupt:
            raise KeyboardInterrupt(number)

    for number in handlers:
        signal.signal(number, catch)
    try:
        yield caught
    finally:
        for number, old in handlers.items():
            signal.signal(number, old or signal.SIG_DFL)  # None: not installed from Python
