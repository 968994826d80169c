"""`python -m pwm.digests`: compares the stored runs with the published ones, bit for bit.

The fused engine gives the same bits on every machine. `paper/digests.json` holds a digest of every
run of every experiment, so that any machine can check its own runs against the published ones.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from tqdm import tqdm

from pwm.core.errors import FileError, require
from pwm.core.history import History
from pwm.experiments import EXPERIMENTS, chosen
from pwm.io.cli import ExperimentNames, errors_in_one_line, parse
from pwm.io.files import folder_errors, write_json
from pwm.io.inherited import Forgiving, say
from pwm.io.repository import published
from pwm.runs.experiment import Experiment
from pwm.runs.shards import plan
from pwm.runs.storage import Store

LENGTH = 16  # hexadecimal digits: 64 bits
DIFFERENT = 1  # exit status


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.digests`."""

    names: ExperimentNames = ()
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
        bar = tqdm(
            experiments, unit=" experiments", leave=False, disable=None, file=Forgiving(sys.stderr)
        )
        found = {experiment.name: stored_digests(experiment, store) for experiment in bar}
        complete = all if arguments.write else any
        missing = [name for name, ours in found.items() if not complete(ours)]
        some_suffice = not arguments.write and not arguments.names and len(missing) < len(found)
        accepted = f"a folder that holds every run of {', '.join(missing)}"
        if not arguments.write:
            accepted = accepted.replace("every run", "runs") + "; there is nothing to compare"
        require(some_suffice or not missing, "results", arguments.results, accepted)
        if arguments.write:
            every = {**expected, **found}
            with folder_errors("published", path):
                write_json(path, {name: every[name] for name in EXPERIMENTS if name in every})
            say(f"Published the digests of {sum(map(len, found.values()))} runs in {path}.")
        else:
            sys.exit(_compare(found, expected))


def digests_of(history: History) -> list[str]:
    """A digest of each run: the beginning of a SHA-256 of its history, [R]."""
    axes = history.axes.values()
    shared = hashlib.sha256(b"".join(axis.astype("<i8").tobytes() for axis in axes))
    found = []
    for replica in range(len(history.reward)):
        content = shared.copy()
        for curves in history.curves.values():
            curve = curves[replica]
            # the bits of a NaN depend on the machine
            content.update(np.where(np.isnan(curve), np.nan, curve).astype("<f4").tobytes())
        found.append(content.hexdigest()[:LENGTH])
    return found


def stored_digests(experiment: Experiment, store: Store) -> list[str | None]:
    """Digests of an experiment's runs, in order; None for each that is not stored.

    Raises:
        FileError: a stored file is damaged.
    """
    found: list[str | None] = []
    for shard in plan(experiment):
        if store.path(shard).exists():
            found += digests_of(store.read(shard.key).history)
        else:
            found += [None] * len(shard.members)
    return found


def read_digests(path: Path) -> dict[str, list[str]]:
    """Published digests by experiment.

    Raises:
        FileError: the file is missing or damaged.
    """
    try:
        content: dict[str, list[str]] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise FileError(path, "a file of digests") from error
    return content


def _compare(found: Mapping[str, list[str | None]], expected: Mapping[str, list[str]]) -> int:
    """Prints how many stored runs are as published; returns the exit status."""
    stored = differing = missing = 0
    for name, ours in found.items():
        pairs = zip_longest(ours, expected.get(name, []))
        here = [one == other for one, other in pairs if one is not None]
        stored += len(here)
        differing += here.count(False)
        missing += len(ours) - len(here)
        if here and name not in expected:
            say(f"{name}: not published yet; `python -m pwm.digests --write {name}` does that")
        elif not all(here):
            say(f"{name}: {here.count(False)} of {len(here)} runs differ from the published")
    left = f"; {missing} runs are not stored" if missing else ""
    say(f"{stored - differing} of {stored} stored runs are bit-identical to the published{left}.")
    return DIFFERENT if differing else 0


if __name__ == "__main__":
    main()
