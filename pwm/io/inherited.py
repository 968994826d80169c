"""Standard streams, paths with `~` and signals: inherited from the caller, and perhaps unusable."""

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

from pwm.core.errors import FileError, InputError

Arguments = TypeVar("Arguments")
STOPPING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Signals that ask a process to stop: Ctrl-C; SLURM, Docker, systemd; a terminal that closes."""


def open_streams() -> None:
    """Makes standard output and error usable, even if closed or of an encoding such as ASCII."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # `>&-`
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115, for all the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def expand_paths(arguments: Arguments) -> Arguments:
    """Expands `~` in the paths of a command's arguments; shells leave it in `--out=~/x`.

    Args:
        arguments: a dataclass of flags.
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
        BrokenPipeError: the reader, such as `head`, has stopped reading.
        FileError: standard output cannot be written.
    """
    try:
        if text or end:
            print(text, end=end)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        mute(sys.stdout)
        raise FileError("standard output", f"space for the results ({error.strerror})") from error


def counted(number: int, noun: str) -> str:
    """A number and its noun, such as "1 run" or "2 runs"."""
    return f"{number} {noun}{'s' * (number != 1)}"


class Forgiving:
    """Wraps a stream for progress and notes; once it cannot be written, the rest is discarded."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> None:
        """Writes and flushes a text, if possible."""
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            mute(self._stream)

    def flush(self) -> None:
        """Does nothing, because `write` flushes."""


def note(text: str) -> None:
    """Prints a line to standard error, if possible."""
    print(text, file=Forgiving(sys.stderr))


def mute(stream: TextIO) -> None:
    """Discards the rest of a stream that cannot be written, so that the flush at exit succeeds."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def stop_signals(*, interrupt: bool = False) -> Iterator[list[int]]:
    """Catches the first signal that asks to stop; a second one ends the process at once.

    A signal that is ignored, as SIGHUP is under `nohup`, stays ignored.

    Args:
        interrupt: whether the signal also raises `KeyboardInterrupt`, with its number.
    Yields:
        A list that holds the number of the signal once it is caught.
    """
    handlers = {number: signal.getsignal(number) for number in STOPPING}
    handlers = {number: old for number, old in handlers.items() if old != signal.SIG_IGN}
    caught: list[int] = []

    def catch(number: int, _frame: FrameType | None) -> None:
        """Records the signal, and lets the next one end the process, as is the default."""
        caught.append(number)
        for other in handlers:
            signal.signal(other, signal.SIG_DFL)
        if interrupt:
            raise KeyboardInterrupt(number)

    for number in handlers:
        signal.signal(number, catch)
    try:
        yield caught
    finally:
        for number, old in handlers.items():
            signal.signal(number, old or signal.SIG_DFL)
