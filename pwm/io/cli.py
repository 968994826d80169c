"""Command lines: dataclasses as flags, and errors on one line."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import tyro
from tqdm import tqdm

from pwm.core.errors import InputError
from pwm.io.inherited import expanded, mute, note, open_streams, say
from pwm.io.start import BAD_INPUT, end_imports, require_versions

CLOSED_PIPE = 141  # exit status
WIDE = "1000"  # columns, so that tyro breaks no line of an error
# What tyro says about bad input.
CHOICE = re.compile(
    r"invalid choice '(?P<value>.*)' for argument '(?P<flag>.*)'\. .* \((?P<all>.*)\)"
)
MISSING_VALUE = re.compile(r"Missing value for argument '(?P<flag>.*)'\. Expected 1 values")
SIMILAR = re.compile(r"Perhaps you meant:|Arguments similar to ")
FLAG = re.compile(r"(?:^|, )(--[\w-]+)")
NOUNS = {"INT": "an integer", "FLOAT": "a number"}
Arguments = TypeVar("Arguments")
ExperimentNames = tyro.conf.Positional[
    Annotated[tuple[str, ...], tyro.conf.arg(metavar="[EXPERIMENT ...]", help_behavior_hint="")]
]
OptionalPath = Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="")]


def parse(
    arguments: type[Arguments], prog: str, description: str, argv: Sequence[str] | None = None
) -> Arguments:
    """Parses flags into a dataclass; the fields of nested dataclasses are flat flags.

    Bad input ends the program with one line on standard error and status 2.

    Args:
        arguments: the dataclass, whose docstrings are the help texts.
        prog: the command, for the help.
        description: first lines of the help.
        argv: words after the command; by default those of this process.
    """
    open_streams()
    typed = sys.argv[1:] if argv is None else argv
    helping = "-h" in typed or "--help" in typed
    complaint = io.StringIO()
    with errors_in_one_line():
        end_imports()
        try:
            with (
                contextlib.redirect_stderr(complaint),
                contextlib.nullcontext() if helping else _wide_terminal(),
            ):
                found = tyro.cli(
                    arguments,
                    prog=prog,
                    description=description,
                    args=typed,
                    config=(tyro.conf.OmitArgPrefixes,),
                )
        except SystemExit as stop:
            if stop.code == BAD_INPUT:
                fail(_input_error(stop) or _message(complaint.getvalue(), typed))
            raise
        require_versions()
        return expanded(found)


def fail(message: str) -> NoReturn:
    """Ends the program with an error message and status 2; removes unfinished progress bars."""
    for bar in list(getattr(tqdm, "_instances", ())):
        bar.leave = False
        bar.close()
    note(f"error: {message}")
    raise SystemExit(BAD_INPUT)


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Ends the program with one line and status 2 if the block raises `InputError`.

    If the reader of standard output, such as `head`, has stopped reading, the status is 141; after
    Ctrl-C, it is 130.
    """
    try:
        try:
            yield
        finally:
            say("", end="")  # flushes, before an error is shown
    except InputError as error:
        fail(str(error))
    except KeyboardInterrupt:
        note("Interrupted.")
        raise SystemExit(128 + signal.SIGINT) from None
    except BrokenPipeError:
        mute(sys.stdout)
        raise SystemExit(CLOSED_PIPE) from None


@contextlib.contextmanager
def _wide_terminal() -> Iterator[None]:
    """Makes the terminal appear so wide that tyro does not break the lines of its errors."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = WIDE
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def _input_error(stop: BaseException) -> str:
    """The message of the `InputError` that made tyro stop; empty if there was none."""
    cause: BaseException | None = stop
    while cause is not None and not isinstance(cause, InputError):
        cause = cause.__context__
    return "" if cause is None else str(cause)


def _message(box: str, typed: Sequence[str]) -> str:
    """Rewrites an error of tyro on one line, such as "--seeds 1 x: expected an integer each".

    Args:
        box: the error as tyro prints it, in a box whose parts are divided by rules.
        typed: the words of the command line.
    """
    _title, *lines = (line.strip("│ ") for line in box.splitlines())
    parts = [list(part) for rule, part in itertools.groupby(lines, _is_rule) if not rule]
    message = " ".join(parts[0][:2])  # it takes one line or two
    similar: list[str] = []
    if choice := CHOICE.match(message):
        accepted = sorted(set(re.findall(r"'(.*?)'", choice["all"])) - {"None"})
        return f"{choice['flag']} {choice['value']}: expected {_one_of(accepted)}"
    if missing := MISSING_VALUE.match(message):
        return f"{missing['flag']} (none): expected a value"
    for title, *rest in parts[1:]:
        if title == "Argument helptext:":
            flag, _, metavar = rest[0].partition(" ")
            return f"{flag} {_value(flag, typed)}: expected {_described(metavar)}"
        if SIMILAR.match(title):
            similar += [flag for line in rest for flag in FLAG.findall(line)]
    asked = f"did you mean {_one_of(sorted(similar))}? " if similar else ""
    return f"{message.removesuffix('.')}; {asked}--help lists what is accepted"


def _value(flag: str, typed: Sequence[str]) -> str:
    """The words typed after a flag, quoted for a shell; the last ones if it was repeated."""
    found, here = list[str](), False
    for word in typed:
        name, _, value = word.partition("=")
        if name.startswith("--"):
            here = name.replace("_", "-") == flag
            if here:
                found = [value] if value else []
        elif here:
            found.append(word)
    return shlex.join(found)


def _described(metavar: str) -> str:
    """The values that a flag accepts, in words: "[INT [INT ...]]" is "an integer each"."""
    several = re.fullmatch(r"\[(.*) \[\1 \.\.\.\]\]", metavar)
    parts = re.findall(r"[^|{},]+", several[1] if several else metavar)
    accepted = _one_of([NOUNS.get(part, part) for part in parts if part != "None"])
    return f"{accepted} each" if several else accepted


def _one_of(names: Sequence[str]) -> str:
    """Names as alternatives, such as "a, b or c"."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def _is_rule(line: str) -> bool:
    """Whether a line of tyro's box is a horizontal rule."""
    return not line.strip("─-╰╯")
