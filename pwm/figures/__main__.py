"""`python -m pwm.figures`: draws the figures, and writes the numbers behind them as CSV.

A file is written only if its content changes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from pwm.core.errors import require
from pwm.engines import EngineName
from pwm.figures.outputs import NAMES, Recorded, drawn, write
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.files import folder_errors
from pwm.io.inherited import Forgiving, say
from pwm.runs.experiment import Size
from pwm.runs.storage import Store


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Flags of `python -m pwm.figures`."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Figures to draw, by name; all of them by default."""
    size: Size = "paper"
    """Size of the experiments."""
    results: Path = Path("results")
    """Folder of the stored runs."""
    engine: EngineName = "fused"
    """Engine that trained the runs."""
    out: Path = Path("figures")
    """Folder to write to."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and ends the program."""
    description = "Draws the figures from the stored runs. Figures: " + ", ".join(NAMES) + "."
    arguments = parse(Arguments, "python -m pwm.figures", description, argv)
    with errors_in_one_line():
        for name in arguments.names:
            require(name in NAMES, "NAMES", name, "some of " + ", ".join(NAMES))
        evidence = Recorded(Store(arguments.results), arguments.size, arguments.engine)
        names, written = arguments.names or NAMES, []
        with tqdm(
            names, unit=" names", file=Forgiving(sys.stderr), leave=False, disable=None
        ) as shown:
            for files in (files for name in shown for files in drawn(name, evidence)):
                with folder_errors("out", arguments.out):
                    written.append(write(files, arguments.out))
        say(
            f"{len(written)} figures: {sum(written)} written to {arguments.out}/, the rest "
            "unchanged."
        )


if __name__ == "__main__":
    main()
