"""`python -m pwm.claims`: every number that the paper claims, with its interval and its band.

A band is the range in which the sentence about the number is true; it follows from the sentence,
not from the number. The command fails if a number is outside its band. It computes all numbers
from the published outcomes, or from stored runs with `--results`, and writes them to
`paper/numbers.json`, the only numbers that the paper's text can quote. With `--check`, it writes
nothing, and fails too if a number is not the one in that file; of a store that lacks runs, it then
checks what it can.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Runs, Source
from pwm.analysis.published import Published
from pwm.analysis.stored import StoredRuns
from pwm.claims.claim import Claim
from pwm.claims.every import NUMBERS, PREFIX, claims, disagreements, numbers, read_numbers
from pwm.claims.resting import described, known_claims, runs_behind
from pwm.core.errors import require
from pwm.experiments import EXPERIMENTS
from pwm.io.cli import OptionalPath, errors_in_one_line, parse
from pwm.io.files import folder_errors, write_json
from pwm.io.inherited import Forgiving, say
from pwm.io.repository import published
from pwm.runs.experiment import Experiment
from pwm.runs.shards import plan
from pwm.runs.storage import Store

WRONG = 1  # exit status: a claim is outside its band, or not the published number


class Completed:
    """Runs from a store, or the published ones of those experiments that the store lacks runs of.

    Args:
        store: runs to use where an experiment is complete.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._published = store, Published.read()
        keys = set(store.all_keys())
        self.lacking = {
            name
            for name, experiment in EXPERIMENTS.items()
            if any(shard.key not in keys for shard in plan(experiment))
        }
        """Experiments of which the store lacks runs."""

    def runs(self, experiment: Experiment) -> Runs:
        """The runs of an experiment."""
        if experiment.name in self.lacking:
            return self._published.runs(experiment)
        return StoredRuns(self._store, plan(experiment))


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.claims`."""

    names: tyro.conf.Positional[
        Annotated[tuple[str, ...], tyro.conf.arg(metavar="[CLAIM ...]", help_behavior_hint="")]
    ] = ()
    """Claims to show, each with the runs that it rests on; by default, all are computed."""
    results: OptionalPath = None
    """Folder of stored runs to compute them from, in place of the published outcomes."""
    out: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: paper/numbers.json)"),
    ] = None
    """File to write the numbers to."""
    check: bool = False
    """Write nothing; compare the numbers with the file."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and exits."""
    arguments = parse(
        Arguments,
        "python -m pwm.claims",
        "Computes every number that the paper claims, by default from the published outcomes.",
        argv,
    )
    with errors_in_one_line():
        path = arguments.out or published(NUMBERS)
        if arguments.names:
            require(arguments.results is None, "results", arguments.results, "none with CLAIM")
            shown = [_show(name) for name in known_claims(arguments.names)]
            right = all(shown)
        elif arguments.results is None:
            right = _compute(Published.read(), set(), path, arguments)
        else:
            with folder_errors("results", arguments.results, "read"):
                completed = Completed(Store(arguments.results))
            right = _compute(completed, completed.lacking, path, arguments)
    sys.exit(0 if right else WRONG)


def _compute(source: Source, lacking: Set[str], path: Path, arguments: Arguments) -> bool:
    """Computes all claims, prints them, and writes or compares the numbers.

    Args:
        source: the outcomes.
        lacking: experiments that lack runs; their claims are skipped.
        path: file of the numbers.
        arguments: the flags.
    Returns:
        Whether every claim is in its band and, with `--check`, as in the file.
    """
    names = [name for name in EXPERIMENTS if name in lacking]
    named = names if len(names) < len(EXPERIMENTS) else []  # the sweep trains all by default
    trains = " ".join(["python -m pwm.sweep", *named])
    accepted = f"a folder that holds all runs; `{trains}` trains those that are missing"
    require(arguments.check or not lacking, "results", arguments.results, accepted)
    bar = Forgiving(sys.stderr)
    every = list(
        tqdm(claims(Evidence(source)), unit=" claims", file=bar, leave=False, disable=None)
    )
    found = [claim for claim in every if lacking.isdisjoint(claim.experiments)]
    for claim in found:
        say(_line(claim))
    holding = sum(claim.holds for claim in found)
    read = arguments.results or "the published outcomes"
    say(f"{len(found)} claims computed from {read}, {holding} in their bands.")
    if lacking:
        say(f"{len(every) - len(found)} claims need runs that are missing; `{trains}` trains them.")
    ours = numbers(found)
    if not arguments.check:
        with folder_errors("out", path):
            write_json(path, ours)
        return holding == len(found)
    theirs = read_numbers(path)
    wrong = disagreements(ours, {name: theirs.get(name) for name in ours} if lacking else theirs)
    for name in wrong:
        say(f"{name}: not as in {path}")
    say(f"{len(ours) - len(wrong)} of {len(ours)} numbers are as in {path}.")
    return holding == len(found) and not wrong


def _line(claim: Claim) -> str:
    """A claim's number, band, sentence and experiments."""
    low, high = claim.band
    verdict = f"{'in' if claim.holds else 'NOT in'} [{low:g}, {high:g}]"
    source = ", ".join(claim.experiments)
    return f"{PREFIX}{claim.name:30} {claim.text:24} {verdict:24} {claim.says} ({source})"


def _show(name: str) -> bool:
    """Prints a claim and the runs that it rests on; returns whether its value is in its band."""
    claim, runs = runs_behind(name, Published.read())
    say(_line(claim))
    count = sum(int(selected.sum()) for selected in runs.values())
    say(f"It rests on {count} runs:")
    for experiment, selected in runs.items():
        say(f"  {experiment}: {described(EXPERIMENTS[experiment], selected)}")
    say(f"`python -m pwm.sweep {' '.join(runs)}` trains them; "
        f"`./reproduce.sh audit --claim {name}` trains a sample of them.")  # fmt: skip
    return claim.holds


if __name__ == "__main__":
    main()
