"""A row of the table: a command under a fault, and what is expected of it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

SHORT, LONG = 2_000, 100_000  # episodes
Process = subprocess.Popen[bytes]


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of the package."""

    name: str
    line: str
    """Module and flags, with fields of `Place` in braces."""
    product: str = r"(?!)"
    """Pattern of the files in `Place.out` whose bytes the command determines; by default, none."""
    files: str = r".*"
    """Pattern of all files that a finished command leaves in `Place.out`."""
    reads: Command | None = None
    """Command whose undisturbed results are in `Place.stored`."""


SWEEP = Command(
    name="sweep",
    line="pwm.sweep --grid {grid} --results {out} --workers 1",
    product=r"[0-9a-f]{32}\.npz",
    files=r"[0-9a-f]{32}\.(npz|json)|notes\.txt",
)
TRAIN = Command(
    name="train",
    line="pwm.train --episode-length 6 --hidden-size 3 --seeds 0 1 --log-every 500 "
    "--num-episodes {episodes} --out {out}",
    product=r"history\.npz|curves\.png",
    files=r"(config|provenance)\.json|(state|history)\.npz|curves\.png|notes\.txt",
)
VERIFY = Command(name="verify", line="pwm.store verify --results {stored}", reads=SWEEP)


@dataclass(frozen=True, kw_only=True)
class Place:
    """The folder of one row."""

    folder: Path
    out: Path
    """Folder that the command writes to."""
    stored: Path
    """Folder of the results of `Command.reads`."""
    grid: Path
    """Python file that defines the experiment to sweep."""
    episodes: int
    undisturbed: Path
    """`out` of the same command without a fault."""

    def filled(self, text: str) -> str:
        """Replaces field names in braces by the values of the fields."""
        return text.format(**vars(self))


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A condition under which a command runs, and what is expected of it."""

    name: str
    command: Command
    arrange: Callable[[Place], None] = lambda _place: None
    """Prepares the folder."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables to set."""
    flags: str = ""
    """Further flags."""
    shell: str = 'exec "$@"'
    """Bash script that runs the command, given as "$@"."""
    disturb: Callable[[Place, Process], str] = lambda _place, _process: ""
    """Acts while the command runs; returns what went wrong, "" if nothing."""
    repair: Callable[[Place], None] = lambda _place: None
    """Ends the fault, so that the command can be run again."""
    out: str = "out"
    """Name of the folder to write to."""
    episodes: int = SHORT
    finishes: bool = True
    """Whether the same command must finish once the fault has ended."""
    needs_root: bool = False
    tool: str = "bash"
    """Program that must be installed."""
    expect_status: tuple[int, ...] = (0,)
    """Accepted exit statuses; 128 + n for an end by signal n."""
    expect_line: str = r"^$"
    """Pattern of the only line on standard error, which is empty if there is none."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Observations of one row."""

    status: int | None
    """Exit status; None if the command ran out of time."""
    said: Sequence[str]
    """Distinct lines on standard error, without progress bars and ordinary messages."""
    wrong: Sequence[str] = ()
    """Failed checks of files and processes."""


def problems(fault: Fault, outcome: Outcome) -> list[str]:
    """Reasons why an outcome is a fault; empty if it is as expected."""
    line = outcome.said[0] if outcome.said else ""
    checks = {
        "ran out of time": outcome.status is not None,
        "a traceback": "Traceback" not in "\n".join(outcome.said),
        f"exit status not in {fault.expect_status}": outcome.status in fault.expect_status,
        f"{len(outcome.said)} lines said": len(outcome.said) <= 1,
        f"the line is not {fault.expect_line!r}": bool(re.search(fault.expect_line, line)),
    }
    return [problem for problem, right in checks.items() if not right] + list(outcome.wrong)


def products(command: Command, folder: Path) -> dict[str, bytes]:
    """Contents of the files that match `Command.product`, by name; empty if there is no folder."""
    with suppress(OSError):
        return {path.name: path.read_bytes() for path in folder.iterdir()
                if re.fullmatch(command.product, path.name)}  # fmt: skip
    return {}
