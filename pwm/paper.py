"""`python -m pwm.paper`: compiles the paper to PDF.

With one version of the compiler, the same source gives the same bytes on every machine and day:
fonts come with it, all other input is in the repository, and the date in the file is fixed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import typst

from pwm.core.errors import InputError, require
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.files import folder_errors, write_if_changed
from pwm.io.inherited import say
from pwm.io.repository import PAPER, published

SOURCE = "paper.typ"
MADE = datetime(2026, 11, 22, tzinfo=UTC)  # creation date in the PDF
LOCATION = re.compile(r"┌─ (\S+)")  # file, line and column in the compiler's diagnostics


def compile_paper(folder: Path = PAPER) -> bytes:
    """Compiles the paper and returns the PDF.

    Args:
        folder: folder of the source; the source may read files below the folder's parent.
    Raises:
        InputError: there is no source, or compiling it gives an error or a warning.
    """
    # For the paper's own folder, `published` says if there is no checkout.
    source = published(SOURCE) if folder == PAPER else folder.resolve() / SOURCE
    require(source.is_file(), "folder", folder, f"a folder that holds {SOURCE}")
    try:
        pdf, warnings = typst.compile_with_warnings(
            source, root=source.parent.parent, ignore_system_fonts=True, timestamp=MADE
        )
    except typst.TypstError as error:
        raise _error_of(source, error) from error
    if warnings:
        raise _error_of(source, warnings[0])
    return pdf


def _error_of(source: Path, problem: typst.TypstError | typst.TypstWarning) -> InputError:
    """Makes an `InputError` from a compiler error or warning, with its location if known."""
    place = LOCATION.search(problem.diagnostic)
    where = f" at {place[1]}" if place else ""
    message = " ".join(problem.message.split())
    return InputError("folder", source, f"a source without errors and warnings ({message}{where})")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Flags of `python -m pwm.paper`."""

    folder: Path = PAPER
    """Folder of the paper's source."""
    out: Path = PAPER / "paper.pdf"
    """File to write."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; on bad input, exits with one line and status 2."""
    arguments = parse(Arguments, "python -m pwm.paper", "Compiles the paper to PDF.", argv)
    with errors_in_one_line():
        pdf = compile_paper(arguments.folder)
        require(not arguments.out.is_dir(), "out", arguments.out, "a file, not a folder")
        with folder_errors("out", arguments.out, kind="file"):
            written = write_if_changed(arguments.out, pdf)
        say(f"{arguments.out}: {'written' if written else 'unchanged'}.")


if __name__ == "__main__":
    main()
