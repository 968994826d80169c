"""`python -m pwm.digests`: compares the stored runs with the published ones, bit for bit.

The fused engine gives the same bits on every machine. `paper/digests.json` holds a digest of every
run of every experiment, so that any machine can check its own runs against the published ones.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from pwm.core.errors import InputError
from pwm.experiments import EXPERIMENTS, chosen
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.files import folder_errors, write_json
from pwm.io.repository import published
from pwm.runs.digests import compared, read_digests, stored_digests
from pwm.runs.storage import Store

DIFFERENT = 1  # exit status
Published = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.digests`."""

    names: tyro.conf.Positional[
        Annotated[tuple[str, ...], tyro.conf.arg(metavar="[EXPERIMENT ...]")]
    ] = ()
    """Experiments to compare; all if none is named."""
    results: Path = Path("results")
    """Folder of stored runs."""
    published: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: paper/digests.json)"),
    ] = None
    """File of the published digests."""
    write: bool = False
    """Publish the digests of these experiments, all of whose runs must be stored, and keep those
    of other experiments."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and ends the program."""
    arguments = parse(
        Arguments,
        "python -m pwm.digests",
        "Compares the stored runs with the published ones, bit for bit.",
        argv,
    )
    with errors_in_one_line():
        path = arguments.published or published("digests.json")
        expected = {} if arguments.write and not path.exists() else read_digests(path)
        store = Store(arguments.results)
        experiments = chosen(arguments.names, known=EXPERIMENTS)
        bar = tqdm(experiments, unit=" experiments", leave=False, disable=None)
        found = {experiment.name: stored_digests(experiment, store) for experiment in bar}
        if arguments.write:
            _write(path, found, expected, arguments.results)
        else:
            sys.exit(_compare(found, expected, arguments.results))


def _write(
    path: Path, found: Mapping[str, Sequence[str | None]], kept: Published, results: Path
) -> None:
    """Writes the digests of some experiments, and keeps those of others."""
    missing = [name for name, ours in found.items() if None in ours]
    if missing:
        accepted = "a folder that holds every run of " + ", ".join(missing)
        raise InputError("results", results, accepted)
    every = {**kept, **found}
    with folder_errors("published", path):
        write_json(path, {name: every[name] for name in EXPERIMENTS if name in every})
    print(f"Published the digests of {sum(map(len, found.values()))} runs in {path}.")


def _compare(found: Mapping[str, Sequence[str | None]], expected: Published, results: Path) -> int:
    """Prints how many stored runs are as published; returns the exit status."""
    stored = identical = 0
    for name, ours in found.items():
        here = compared(ours, expected.get(name, []))
        stored += here.stored
        identical += here.identical
        if here.stored and name not in expected:
            print(f"{name}: not published yet; `python -m pwm.digests --write {name}` does that")
        elif here.identical < here.stored:
            differing = here.stored - here.identical
            print(f"{name}: {differing} of {here.stored} runs differ from the published")
    if not stored:
        accepted = "a folder that holds runs of these experiments; there is nothing to compare"
        raise InputError("results", results, accepted)
    print(f"{identical} of {stored} stored runs are bit-identical to the published.")
    return 0 if identical == stored else DIFFERENT


if __name__ == "__main__":
    main()
