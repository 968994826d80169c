"""`python -m pwm.store`: lists and verifies stored runs, and explains why a shard is missing.

A shard is a group of runs that are stored together, as two files: their history and its provenance.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pwm.core.errors import require
from pwm.experiments import EXPERIMENTS
from pwm.io.cli import OptionalPath, errors_in_one_line, parse
from pwm.io.files import folder_errors
from pwm.io.inherited import say
from pwm.runs.gridfile import experiments_in
from pwm.runs.inventory import damaged_files, explain, known_shards, listed
from pwm.runs.storage import UNFINISHED, Store

DAMAGED = 1  # exit status


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.store`."""

    action: tyro.conf.Positional[Literal["ls", "verify", "why"]]
    """List the stored shards, verify every file, or explain why a shard is missing."""
    key: tyro.conf.Positional[
        Annotated[str, tyro.conf.arg(metavar="[KEY]", help_behavior_hint="")]
    ] = ""
    """For why: a shard's key, as `python -m pwm.sweep --dry-run --keys` prints it, or a unique
    prefix of it."""
    grid: OptionalPath = None
    """Python file that defines experiments of your own, for ls and why."""
    results: Path = Path("results")
    """Folder of stored runs."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; `verify` exits with 1 if any file is damaged, else 0; bad input with 2."""
    about = "Lists and verifies the stored runs, and explains why a shard is missing."
    arguments = parse(Arguments, "python -m pwm.store", about, argv)
    action, key, folder = arguments.action, arguments.key, arguments.results
    with errors_in_one_line(), folder_errors("results", folder, "read"):
        require(folder.is_dir(), "results", folder, "a folder of stored runs")
        accepted = "the key of a shard" if action == "why" else f"no key with {action}"
        require(bool(key) == (action == "why"), "KEY", key or "(none)", accepted)
        store = Store(folder)
        if action == "verify":
            sys.exit(_verify(store))
        own = experiments_in(arguments.grid) if arguments.grid else {}
        known = known_shards([*own.values(), *EXPERIMENTS.values()])
        lines = explain(key, store, known) if action == "why" else listed(store, known)
        for line in lines:
            say(line)


def _verify(store: Store) -> int:
    """Prints the damaged files of a store and a summary; returns the exit status.

    If a shard has only one of its two files, the missing one counts as damaged. Shards with a
    history count as stored, those with a checkpoint as unfinished, even if these are damaged.
    """
    damaged = damaged_files(store)
    for path in damaged:
        say(f"damaged: {path}")
    stored, unfinished = len(store.all_keys()), len(store.all_keys(UNFINISHED))
    accepted = "a folder of stored runs; there is nothing to verify"
    require(stored + unfinished + len(damaged) > 0, "results", store.folder, accepted)
    say(f"{stored} stored, {unfinished} unfinished, {len(damaged)} damaged.")
    return DAMAGED if damaged else 0


if __name__ == "__main__":
    main()
