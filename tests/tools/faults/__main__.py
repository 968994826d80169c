"""`python -m tests.tools.faults`: runs commands under adverse conditions, and prints a table."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory

import tyro
from tqdm import tqdm

from pwm.core.errors import require
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.repository import REPOSITORY
from tests.tools.faults.conditions import FAULTS
from tests.tools.faults.laboratory import Laboratory
from tests.tools.faults.rows import Fault, Outcome, problems

SHOWN = 90  # characters of a line
FAULTY = 1  # exit status


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Flags of `python -m tests.tools.faults`."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Conditions to try, such as full-disk-sweep or 'term-*'; all by default."""
    jobs: int = 1
    """Rows to run at a time."""
    list: bool = False
    """Only list the conditions."""
    user: str | None = None
    """Ordinary user to become first, such as nobody; needs root."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and ends the program."""
    arguments = parse(Arguments, "python -m tests.tools.faults",
                      "Runs commands under adverse conditions.", argv)  # fmt: skip
    with errors_in_one_line():
        for name in arguments.names:
            known = any(fnmatch(fault.name, name) for fault in FAULTS)
            require(known, "NAMES", name, "some of those that --list prints")
        if arguments.user is not None:
            _become(arguments.user, [*arguments.names, f"--jobs={arguments.jobs}"])
        names = arguments.names or ("*",)
        faults = [each for each in FAULTS if any(fnmatch(each.name, name) for name in names)]
        if arguments.list:
            print("\n".join(fault.name for fault in faults))
            return
        with TemporaryDirectory(prefix="faults-") as folder:
            faulty = table(faults, Path(folder), arguments.jobs)
        sys.exit(FAULTY if faulty else 0)


def table(faults: Sequence[Fault], folder: Path, jobs: int = 1) -> list[str]:
    """Runs the rows and prints a line each; returns the names of those with problems."""
    laboratory = Laboratory(folder)
    possible = [fault for fault in faults if os.geteuid() == 0 or not fault.needs_root]
    width = max(len(fault.name) for fault in faults)
    print(f"{'condition':{width}}  command  exit  verdict; line said")
    faulty = []
    with (
        ThreadPoolExecutor(jobs) as pool,
        tqdm(total=len(possible), unit=" rows", dynamic_ncols=True, disable=None) as bar,
    ):
        for fault, outcome in zip(possible, pool.map(laboratory.run, possible), strict=True):
            found = problems(fault, outcome)
            faulty += [fault.name] * bool(found)
            tqdm.write(_row(fault, outcome, found, width), sys.stdout)
            sys.stdout.flush()
            bar.update()
    skipped = len(faults) - len(possible)
    print(
        f"{len(possible)} conditions, {len(faulty)} faults"
        + f"; {skipped} need root" * bool(skipped)
    )
    return faulty


def _row(fault: Fault, outcome: Outcome, found: Sequence[str], width: int) -> str:
    """A line of the table, and below it all that was said if there are problems."""
    status = "-" if outcome.status is None else outcome.status
    said = outcome.said[0][:SHOWN] if outcome.said else ""
    verdict = "FAULT: " + "; ".join(found) if found else "ok"
    line = f"{fault.name:{width}}  {fault.command.name:7}  {status:>4}  {verdict}; {said}"
    details = [*outcome.said[-6:], *outcome.output.splitlines()[-4:]] if found else []
    return "\n".join([line, *(f"{'':{width}}  | {detail}" for detail in details)])


def _become(user: str, flags: Sequence[str]) -> None:
    """Replaces this process by one of another user.

    Raises:
        InputError: that user cannot run this interpreter.
    """
    prefix = ["setpriv", f"--reuid={user}", "--regid=65534", "--clear-groups", sys.executable]
    able = subprocess.run([*prefix, "-c", "import torch"], capture_output=True, check=False)
    accepted = f"a user who can run {sys.executable}, as root"
    require(able.returncode == 0, "user", user, accepted)
    os.chdir(REPOSITORY)
    os.execvp(prefix[0], [*prefix, "-m", "tests.tools.faults", *flags])


if __name__ == "__main__":
    main()
