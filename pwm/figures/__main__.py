"""`python -m pwm.figures`: draws the figures, and writes the numbers behind them as CSV.

They are drawn from the published outcomes, or from stored runs with `--results`; learning curves
are not published, and need stored runs. A file is written only if its content changes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from pwm.analysis.evidence import Evidence
from pwm.analysis.published import Published
from pwm.core.errors import require
from pwm.engines import EngineName
from pwm.experiments import NOTES
from pwm.figures.outputs import ANSWERS, NAMES, drawn, write
from pwm.io.cli import OptionalPath, errors_in_one_line, parse
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
    results: OptionalPath = None
    """Folder of stored runs to draw them from, in place of the published outcomes."""
    engine: EngineName = "fused"
    """Engine that trained the runs."""
    out: Path = Path("figures")
    """Folder to write to."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and ends the program."""
    description = "Draws the figures. Figures: " + ", ".join(NAMES) + "."
    arguments = parse(Arguments, "python -m pwm.figures", description, argv)
    with errors_in_one_line():
        for name in arguments.names:
            require(name in NAMES, "NAMES", name, "some of " + ", ".join(NAMES))
        results = arguments.results
        for name, value in (("size", arguments.size), ("engine", arguments.engine)):
            accepted = f"{getattr(Arguments, name)}, or stored runs with --results"
            require(results is not None or value == getattr(Arguments, name), name, value, accepted)
        source = Published.read() if results is None else Store(results)
        evidence = Evidence(source, arguments.size, arguments.engine)
        names = arguments.names or (NAMES if results else tuple(ANSWERS))
        written = []
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
        if not arguments.names and results is None:
            say(
                f"The learning curves need stored runs: `python -m pwm.sweep {' '.join(NOTES)}` "
                "trains them, and --results results reads them."
            )


if __name__ == "__main__":
    main()
