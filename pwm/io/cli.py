"""Command lines: dataclasses as flags, and errors of one line."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn, TypeVar
from unittest import mock

import tyro

from pwm.core.errors import InputError

BAD_INPUT = 2
INTERRUPTED = 130
CLOSED_PIPE = 141
Arguments = TypeVar("Arguments")


def parse(
    arguments: type[Arguments], prog: str, description: str, argv: Sequence[str] | None = None
) -> Arguments:
    """Reads flags into a dataclass whose nested dataclasses lend their fields as flat flags.

    Bad input ends the program with one line on standard error and status 2.
    """

    def read() -> Arguments:
        return tyro.cli(
            arguments,
            prog=prog,
            description=description,
            args=argv,
            config=(tyro.conf.OmitArgPrefixes,),
        )

    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return read()
    except SystemExit as stop:
        if stop.code == BAD_INPUT:
            fail(_one_line(_complaint(read)))
        raise


def fail(message: str) -> NoReturn:
    """Ends the program for bad input."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(BAD_INPUT)


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Turns bad input, met anywhere below, into one line and status 2."""
    try:
        yield
        sys.stdout.flush()
    except InputError as error:
        fail(str(error))
    except BrokenPipeError:  # who reads this has had enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(CLOSED_PIPE) from None


def _complaint(read: Callable[[], object]) -> str:
    """What tyro prints about bad input, on a terminal that is wide and speaks UTF-8."""
    complaint = io.StringIO()
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with (
        mock.patch.dict(os.environ, COLUMNS="1000"),
        contextlib.redirect_stdout(terminal),
        contextlib.redirect_stderr(complaint),
        contextlib.suppress(SystemExit),
    ):
        read()
    return complaint.getvalue()


def _one_line(box: str) -> str:
    """The message of one of tyro's boxes, and the form of the flag that it is about."""
    frame = ("╭", "╰", "─", "For full helptext")
    lines = [line.strip("│ ") for line in box.splitlines()]
    lines = [line for line in lines if line and not line.startswith(frame)]
    text = " ".join(lines)
    if ": expected " in text:  # this project's own, from a dataclass that tyro was building
        return text[text.index("--") :]
    if "Argument helptext:" in lines:
        split = lines.index("Argument helptext:")
        message = " ".join(lines[:split]).removeprefix("Error parsing ")
        return f"{message} (expected {lines[split + 1]})"
    return f"{text.partition(' Perhaps you meant:')[0]}; --help lists what is accepted"
