"""`python -m pwm.paper`: compiles the paper, with the same bytes from the same source.

What it is compiled of lies in the project's folder, fonts come with the compiler, and the time
that the file says it was made is fixed, so that neither the machine nor the day can show.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import typst

from pwm.core.errors import InputError
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.files import folder_errors, write_atomically

PAPER = Path(__file__).resolve().parent.parent / "paper"
SOURCE = "paper.typ"
MADE = datetime(2026, 11, 22, tzinfo=UTC)
LOCATION = re.compile(r"┌─ (\S+)")


def compiled(folder: Path = PAPER) -> bytes:
    """The paper as PDF.

    Args:
        folder: of its source; what it reads lies in there or in the folder that holds it.
    Raises:
        InputError: it does not compile, or not without a warning.
    """
    source = _source(folder)
    try:
        pdf, warnings = typst.compile_with_warnings(
            source, root=source.parent.parent, ignore_system_fonts=True, timestamp=MADE
        )
    except typst.TypstError as error:
        raise _complaint(source, error) from error
    if warnings:
        raise _complaint(source, warnings[0])
    return pdf


def numbers_used(folder: Path = PAPER) -> list[str]:
    """Names of the numbers that the paper prints, as often and in the order that it does.

    Args:
        folder: of its source.
    Raises:
        InputError: it does not compile.
    """
    source = _source(folder)
    try:
        names = typst.query(
            source,
            "<number>",
            field="value",
            format="json",
            root=source.parent.parent,
            ignore_system_fonts=True,
        )
    except typst.TypstError as error:
        raise _complaint(source, error) from error
    return [str(name) for name in json.loads(names)]


def _source(folder: Path) -> Path:
    source = folder.resolve() / SOURCE
    if not source.is_file():
        raise InputError("folder", folder, f"a folder that holds {SOURCE}")
    return source


def _complaint(source: Path, problem: typst.TypstError | typst.TypstWarning) -> InputError:
    """What the compiler has against a source, in one line."""
    place = LOCATION.search(problem.diagnostic)
    where = f" at {place[1]}" if place else ""
    message = " ".join(problem.message.split())
    return InputError("folder", source, f"a source without errors and warnings ({message}{where})")


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.paper`."""

    folder: Path = Path("paper")
    """Folder of the paper's source."""
    out: Path = Path("paper/paper.pdf")
    """File to write."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and ends the program."""
    arguments = parse(Arguments, "python -m pwm.paper", "Compiles the paper.", argv)
    with errors_in_one_line():
        pdf = compiled(arguments.folder)
        with folder_errors("out", arguments.out):
            if arguments.out.is_file() and arguments.out.read_bytes() == pdf:
                print(f"{arguments.out} was there, and is the same.")
            else:
                write_atomically(arguments.out, pdf)
                print(f"{arguments.out} is written anew.")


if __name__ == "__main__":
    main()
