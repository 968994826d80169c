"""`python -m tests.tools.faults`: runs commands under adverse conditions, and prints a table."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import tyro

from pwm.core.errors import require
from pwm.io.cli import errors_in_one_line, parse
from tests.tools.faults.conditions import FAULTS
from tests.tools.faults.laboratory import Laboratory
from tests.tools.faults.rows import Fault, Outcome, problems

SHOWN = 90  # characters of a line
WIDTH = max(len(fault.name) for fault in FAULTS)
FAULTY = 1  # exit status


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m tests.tools.faults`."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Conditions to try, such as full-disk-sweep; all by default."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with status 1 if any condition shows a fault, else with 0."""
    about = "Runs commands under adverse conditions."
    chosen = parse(Arguments, "python -m tests.tools.faults", about, argv).names
    with errors_in_one_line():
        known = [fault.name for fault in FAULTS]
        for name in chosen:
            require(name in known, "NAMES", name, f"some of {', '.join(known)}")
        with TemporaryDirectory(prefix="faults-") as folder:
            faulty = table([each for each in FAULTS if each.name in (chosen or known)], folder)
        sys.exit(FAULTY if faulty else 0)


def table(faults: Sequence[Fault], folder: str) -> int:
    """Runs each condition that is possible here, and prints its line; returns how many fail."""
    laboratory, faulty = Laboratory(Path(folder)), 0
    possible = [
        fault
        for fault in faults
        if which(fault.tool) and (os.geteuid() == 0 or not fault.needs_root)
    ]
    for fault in possible:
        outcome = laboratory.run(fault)
        found = problems(fault, outcome)
        faulty += bool(found)
        print(_row(fault, outcome, found), flush=True)
    skipped = len(faults) - len(possible)
    left_out = f"; {skipped} need root or strace" if skipped else ""
    print(f"{len(possible)} conditions, {faulty} faults{left_out}")
    return faulty


def _row(fault: Fault, outcome: Outcome, found: Sequence[str]) -> str:
    """A fault's line in the table; if there are problems, the end of standard error follows it."""
    status = "-" if outcome.status is None else outcome.status
    said = outcome.said[0][:SHOWN] if outcome.said else ""
    verdict = "FAULT: " + "; ".join(found) if found else "ok"
    line = f"{fault.name:{WIDTH}}  {fault.command.name:7}  {status:>4}  {verdict}; {said}"
    details = outcome.said[-6:] if found else []
    return "\n".join([line, *(f"{'':{WIDTH}}  | {detail}" for detail in details)])


if __name__ == "__main__":
    main()
