"""Command lines: dataclasses as flags, and errors on one line."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import tyro
from tqdm import tqdm

from pwm.core.errors import InputError
from pwm.io.inherited import Forgiving, expand_paths, mute, note, open_streams, say
from pwm.io.start import BAD_INPUT, end_imports, require_versions

CLOSED_PIPE = 141  # exit status after a broken pipe, as shells report it: 128 + SIGPIPE
WIDE = "1000"  # columns of a terminal, so that tyro does not wrap its errors
# Patterns in tyro's messages about bad input
CHOICE = re.compile(
    r"invalid choice '(?P<value>.*)' for argument '(?P<flag>.*)'\. .* \((?P<all>.*)\)"
)
MISSING_VALUE = re.compile(r"Missing value for argument '(?P<flag>.*)'\. Expected 1 values")
SIMILAR = re.compile(r"Perhaps you meant:|Arguments similar to ")
FLAG = re.compile(r"(?:^|, )(--[\w-]+)", re.MULTILINE)
TYPES = {"INT": "an integer", "FLOAT": "a number"}  # words for the type names in tyro's errors
Arguments = TypeVar("Arguments")
Item = TypeVar("Item")
ExperimentNames = tyro.conf.Positional[
    Annotated[tuple[str, ...], tyro.conf.arg(metavar="[EXPERIMENT ...]", help_behavior_hint="")]
]
OptionalPath = Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="")]
PublishedPath = Annotated[
    Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: paper/outcomes.npz)")
]


def parse(
    arguments: type[Arguments], prog: str, description: str, argv: Sequence[str] | None = None
) -> Arguments:
    """Parses flags into an instance of a dataclass.

    The fields of nested dataclasses are flags without a prefix. Bad input makes the program exit
    with one line on standard error and status 2. Also makes the standard streams usable, gives
    Ctrl-C back to Python (`end_imports`), checks the libraries' versions, and expands `~` in paths.

    Args:
        arguments: the dataclass; the docstrings of its fields are the help texts.
        prog: the command, as the help shows it.
        description: summary of the command, for the help.
        argv: the command-line arguments; by default, those of this process.
    """
    open_streams()
    typed = sys.argv[1:] if argv is None else argv
    wants_help = "-h" in typed or "--help" in typed
    # tyro wraps lines at the terminal's width; an error must stay on one line, help need not.
    width = contextlib.nullcontext() if wants_help else _wide_terminal()
    errors = io.StringIO()
    with errors_in_one_line():
        end_imports()  # from here on, Ctrl-C raises KeyboardInterrupt
        _require_no_empty_value(typed)
        try:
            with contextlib.redirect_stderr(errors), width:
                parsed = tyro.cli(
                    arguments,
                    prog=prog,
                    description=description,
                    args=typed,
                    config=(tyro.conf.OmitArgPrefixes,),
                )
        except SystemExit as stop:
            if stop.code == BAD_INPUT:
                # Either a dataclass refused a value, or tyro could not parse the arguments.
                fail(_input_error(stop) or _message(errors.getvalue(), typed))
            raise
        require_versions()
        return expand_paths(parsed)


def _require_no_empty_value(typed: Sequence[str]) -> None:
    """Refuses an empty word or value, as of an unset shell variable: as a path, it would be "."."""
    for before, word in pairwise(["", *typed]):
        if not word or re.fullmatch(r"--[\w-]+=", word):
            flag = word.removesuffix("=") or before
            name = flag.removeprefix("--") if re.fullmatch(r"--[\w-]+", flag) else "ARGUMENT"
            raise InputError(name, "''", "a value that is not empty")


def fail(message: str) -> NoReturn:
    """Exits with an error message and status 2; removes unfinished progress bars."""
    for bar in list(getattr(tqdm, "_instances", ())):  # bars that are not closed
        bar.leave = False  # `close` then erases it
        bar.close()
    note(f"error: {message}")
    raise SystemExit(BAD_INPUT)


def progress_bar(items: Iterable[Item], unit: str) -> tqdm[Item]:
    """Wraps items in a progress bar on standard error, in a terminal only; erased at the end."""
    return tqdm(items, unit=unit, leave=False, disable=None, file=Forgiving(sys.stderr))


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Exits with a one-line error message and status 2 if the block raises `InputError`.

    Likewise if standard output cannot be written to. If its reader, such as `head`, has stopped
    reading, the status is 141, without a message; after Ctrl-C, it is 130.
    """
    try:
        try:
            yield
        finally:
            say("", end="")  # flushes standard output before an error is shown
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
    """Makes tyro see a terminal so wide that it does not wrap its errors."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = WIDE
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def _input_error(stop: BaseException) -> str:
    """Message of the `InputError` that made tyro stop; empty if something else did."""
    cause: BaseException | None = stop
    while cause is not None and not isinstance(cause, InputError):
        cause = cause.__context__
    return "" if cause is None else str(cause)


def _message(box: str, typed: Sequence[str]) -> str:
    """Rewrites a tyro error as one line, such as "--seeds 1 x: expected an integer each".

    `box` is the error as tyro prints it, in a box with a title; `typed` are the words typed.
    """
    first, *others = _parts(box)  # the others begin with a title
    message = " ".join(first[:2])  # tyro's message has one line or two
    if choice := CHOICE.match(message):
        accepted = sorted(set(re.findall(r"'(.*?)'", choice["all"])) - {"None"})
        return f"{choice['flag']} {choice['value']}: expected {_one_of(accepted)}"
    if missing := MISSING_VALUE.match(message):
        return f"{missing['flag']} (none): expected a value"
    similar: list[str] = []
    for title, *lines in others:
        if title == "Argument helptext:":
            flag, _, metavar = lines[0].partition(" ")  # of a line like "--seeds [INT [INT ...]]"
            return f"{flag} {_value(flag, typed)}: expected {_described(metavar)}"
        if SIMILAR.match(title):
            similar += FLAG.findall("\n".join(lines))
    question = f"did you mean {_one_of(sorted(similar))}? " if similar else ""
    return f"{message.removesuffix('.')}; {question}--help lists what is accepted"


def _parts(box: str) -> list[list[str]]:
    """Lines of each non-empty part of a box; horizontal rules and empty lines separate parts."""
    parts: list[list[str]] = [[]]
    for line in box.splitlines()[1:]:  # below the title
        # Where standard output is not UTF-8, tyro draws no sides, and rules of hyphens.
        text = line.strip("│ ")
        is_separator = not text.strip("─-╰╯")
        if is_separator:
            parts.append([])
        else:
            parts[-1].append(text)
    return [part for part in parts if part]


def _value(flag: str, typed: Sequence[str]) -> str:
    """The values typed after a flag's last occurrence, as one text, quoted for a shell."""
    words: list[str] = []
    after_flag = False
    for word in typed:
        if word.startswith("--"):
            name, _, value = word.partition("=")
            after_flag = name.replace("_", "-") == flag
            if after_flag:
                words = [value] if value else []
        elif after_flag:
            words.append(word)
    return shlex.join(words)


def _described(metavar: str) -> str:
    """Values that a flag accepts, in words: "an integer each" for the metavar "[INT [INT ...]]"."""
    repeated = re.fullmatch(r"\[(.*) \[\1 \.\.\.\]\]", metavar)
    # A metavar such as "INT|None" or "{a,b}" has alternatives.
    alternatives = re.findall(r"[^|{},]+", repeated[1] if repeated else metavar)
    accepted = _one_of([TYPES.get(name, name) for name in alternatives if name != "None"])
    return f"{accepted} each" if repeated else accepted


def _one_of(names: Sequence[str]) -> str:
    """Joins names as alternatives, such as "a, b or c"."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
