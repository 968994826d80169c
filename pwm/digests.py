"""`python -m pwm.digests`: how many of the stored runs have, bit for bit, the published history.

The fused engine makes the same bits on every machine. The digests in `paper/digests.json` are of
every run of every experiment, so that a stranger's machine can say so of its own runs.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pwm.core.errors import InputError
from pwm.core.history import History
from pwm.experiments import chosen
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.files import folder_errors, write_json
from pwm.runs.experiment import Experiment
from pwm.runs.shards import plan
from pwm.runs.storage import Store

PUBLISHED = Path(__file__).resolve().parent.parent / "paper" / "digests.json"
LENGTH = 16  # hexadecimal digits: 64 bits
DIFFERENT = 1  # exit status


def digests(history: History) -> list[str]:
    """A digest of each replica's history: the beginning of a SHA-256, [R]."""
    shared = hashlib.sha256(history.episode.astype("<i8").tobytes())
    found = []
    for replica in range(len(history.reward)):
        content = shared.copy()
        for curves in history.curves.values():
            curve = curves[replica]
            # how a NaN is written down depends on the machine
            content.update(np.where(np.isnan(curve), np.nan, curve).astype("<f4").tobytes())
        found.append(content.hexdigest()[:LENGTH])
    return found


def stored(experiment: Experiment, store: Store) -> list[str | None]:
    """Digests of an experiment's runs in order; None for each that is not stored."""
    found: list[str | None] = []
    for shard in plan(experiment):
        history = store.get(shard)
        found += [None] * len(shard.members) if history is None else digests(history)
    return found


def published(path: Path) -> dict[str, list[str]]:
    """The published digests, by experiment.

    Raises:
        InputError: the file is not there, or damaged.
    """
    try:
        content: dict[str, list[str]] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError("published", path, "a file of digests") from error
    return content


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.digests`."""

    results: Path = Path("results")
    """Folder that histories are kept in."""
    published: Path = PUBLISHED
    """File of the published digests."""
    write: bool = False
    """Publish the digests of the stored runs, all of which must be there."""


def compare(
    found: Mapping[str, Sequence[str | None]], expected: Mapping[str, Sequence[str]]
) -> tuple[int, int, list[str]]:
    """How many runs are the same, how many are stored, and a line on each experiment that differs.

    Args:
        found: digests of stored runs by experiment, None where a run is not stored.
        expected: published digests by experiment.
    """
    same = there = 0
    lines = []
    for name, ours in found.items():
        theirs = expected.get(name, [])
        equal = sum(one == other for one, other in zip(ours, theirs, strict=False))
        present = sum(one is not None for one in ours)
        same += equal
        there += present
        if equal < present:
            lines.append(f"{name}: {present - equal} of {present} runs differ from the published")
    return same, there, lines


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and ends the program."""
    arguments = parse(
        Arguments,
        "python -m pwm.digests",
        "Compares the stored runs with the published ones, bit for bit.",
        argv,
    )
    with errors_in_one_line():
        store = Store(arguments.results)
        experiments = chosen((), "paper")
        found = {
            experiment.name: stored(experiment, store)
            for experiment in tqdm(experiments, unit=" experiments", file=sys.stderr, leave=False)
        }
        if arguments.write:
            missing = [name for name, ours in found.items() if None in ours]
            if missing:
                accepted = "a folder that holds all runs; missing are some of " + ", ".join(missing)
                raise InputError("results", arguments.results, accepted)
            with folder_errors("published", arguments.published):
                write_json(arguments.published, found)
        same, there, lines = compare(found, published(arguments.published))
        print(
            *lines, f"{same} of {there} stored runs are bit-identical to the published.", sep="\n"
        )
        sys.exit(0 if same == there else DIFFERENT)


if __name__ == "__main__":
    main()
