"""`python -m pwm.figures`: draws the figures, and writes the numbers behind them as CSV.

The numbers come from the published outcomes or, with `--results`, from stored runs. Learning curves
are not published, and need stored runs. A file is written only if its content changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from pwm.analysis.evidence import Evidence
from pwm.analysis.published import Published
from pwm.core.errors import require
from pwm.experiments import NOTES
from pwm.figures.outputs import ANSWERS, NAMES, draw, write
from pwm.io.cli import OptionalPath, errors_in_one_line, parse, progress_bar
from pwm.io.files import folder_errors
from pwm.io.inherited import say
from pwm.runs.engines import EngineName
from pwm.runs.experiment import Size
from pwm.runs.storage import Store


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Flags of `python -m pwm.figures`."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Figures to draw, by name; all by default (without --results, not the learning curves)."""
    size: Size = "paper"
    """Size of the experiments."""
    results: OptionalPath = None
    """Folder of stored runs to draw from, in place of the published outcomes."""
    engine: EngineName = "fused"
    """Engine that trained the runs."""
    out: Path = Path("figures")
    """Folder to write to."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    description = "Draws the figures. Figures: " + ", ".join(NAMES) + "."
    arguments = parse(Arguments, "python -m pwm.figures", description, argv)
    with errors_in_one_line():
        for name in arguments.names:
            require(name in NAMES, "NAMES", name, "some of " + ", ".join(NAMES))
        evidence, out = _evidence(arguments), arguments.out
        # Each once: a second drawing would read from a cache, and not name all its experiments.
        names = dict.fromkeys(arguments.names or (NAMES if arguments.results else tuple(ANSWERS)))
        written = []  # whether each figure had to be written
        with progress_bar(names, " names") as bar:
            for name in bar:
                for files in draw(name, evidence):
                    with folder_errors("out", out):
                        written.append(write(files, out))
        say(f"{len(written)} figures: {sum(written)} written to {out}/, the rest unchanged.")
        if not arguments.names and arguments.results is None:
            say(
                f"The learning curves need stored runs: `python -m pwm.sweep {' '.join(NOTES)}` "
                "trains them, and --results results reads them."
            )


def _evidence(arguments: Arguments) -> Evidence:
    """The evidence to draw: stored runs of the given size and engine, or the published outcomes.

    Raises:
        InputError: the published outcomes cannot be read, or are of another size or engine.
    """
    if arguments.results is not None:
        return Evidence(Store(arguments.results), arguments.size, arguments.engine)
    stored = "or stored runs with --results"
    require(arguments.size == "paper", "size", arguments.size, f"paper, {stored}")
    require(arguments.engine == "fused", "engine", arguments.engine, f"fused, {stored}")
    return Evidence(Published.read())


if __name__ == "__main__":
    main()
