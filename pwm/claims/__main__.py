"""`python -m pwm.claims`: every number that the paper claims, with its interval and its band.

A band is the range in which the sentence about the number is true; it follows from the sentence,
not from the number. The command fails if a number is outside its band. It computes all claims from
the published outcomes or, with `--results`, from stored runs, and writes them and the numbers that
are not claims to `paper/numbers.json`, the only source of numbers in the paper's text. With
`--check`, it writes nothing, and also fails if a number differs from the file's. A store that lacks
runs is then accepted: the claims that need the missing runs are left out. With names of claims, it
shows only these, from the published outcomes, each with the runs that it rests on.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Runs, Source
from pwm.analysis.published import Published
from pwm.analysis.stored import StoredRuns
from pwm.claims.claim import Claim, Number
from pwm.claims.every import NUMBERS, PREFIX, claims, disagreements, numbers, read_numbers
from pwm.claims.resting import described, known_claims, runs_behind
from pwm.core.errors import require
from pwm.experiments import EXPERIMENTS
from pwm.io.cli import OptionalPath, errors_in_one_line, parse, progress_bar
from pwm.io.files import folder_errors, write_json
from pwm.io.inherited import counted, say
from pwm.io.repository import published
from pwm.runs.experiment import Experiment
from pwm.runs.shards import plan
from pwm.runs.storage import Store

WRONG = 1  # exit status: a claim is outside its band, or a number differs from the published one


class StoreOrPublished:
    """Source of outcomes: a store or, for experiments that are incomplete in it, `Published`.

    Published outcomes only keep claims from failing: `_compute` leaves out claims that use them.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._published = store, Published.read()
        stored_shards = set(store.all_keys())  # shard: runs that are trained and stored together
        self.incomplete = [
            name
            for name, experiment in EXPERIMENTS.items()
            if any(shard.key not in stored_shards for shard in plan(experiment))
        ]
        """Names of the experiments of which the store lacks runs; damaged files count as runs."""

    def runs(self, experiment: Experiment) -> Runs:
        """An experiment's runs, from the store if it has them all."""
        if experiment.name in self.incomplete:
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
    """Folder of stored runs to compute the numbers from, in place of the published outcomes."""
    out: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: paper/numbers.json)"),
    ] = None
    """File to write the numbers to."""
    check: bool = False
    """Write nothing; compare the numbers with the file."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with status 1 if a claim fails or, with `--check`, a number differs.

    Other statuses are those of `errors_in_one_line`, or 0.
    """
    about = "Computes every number that the paper claims, by default from the published outcomes."
    arguments = parse(Arguments, "python -m pwm.claims", about, argv)
    with errors_in_one_line():
        if arguments.names:
            for flag in ("results", "out", "check"):
                value = getattr(arguments, flag)
                require(not value, flag, value, "none with CLAIM")
            shown = [_show(name) for name in known_claims(arguments.names)]
            passed = all(claim.holds for claim in shown)
        elif arguments.results is None:
            passed = _compute(arguments, Published.read(), incomplete=[])
        else:
            with folder_errors("results", arguments.results, "read"):
                source = StoreOrPublished(Store(arguments.results))
            passed = _compute(arguments, source, source.incomplete)
    sys.exit(0 if passed else WRONG)


def _show(name: str) -> Claim:
    """Prints a claim and the runs that it rests on; returns the claim."""
    claim, runs = runs_behind(name, Published.read())
    say(_line(claim))
    count = sum(int(selected.sum()) for selected in runs.values())
    say(f"It rests on {counted(count, 'run')}:")
    for experiment, selected in runs.items():
        say(f"  {experiment}: {described(EXPERIMENTS[experiment], selected)}")
    say(f"`python -m pwm.sweep {' '.join(runs)}` trains these experiments; "
        f"`./reproduce.sh audit --claim {name}` trains a sample of the runs.")  # fmt: skip
    return claim


def _compute(arguments: Arguments, source: Source, incomplete: Sequence[str]) -> bool:
    """Computes all claims, prints them, and writes all numbers or compares them with the file.

    Leaves out claims that need an experiment in `incomplete`, as runs of these are missing. Returns
    whether all other claims are in their bands and, with `--check`, all numbers equal the file's.

    Raises:
        InputError: a run is damaged, or runs are missing; with `--check`, of every experiment.
    """
    path = arguments.out or published(NUMBERS)
    named = incomplete if len(incomplete) < len(EXPERIMENTS) else ()  # no name stands for all
    command = " ".join(["python -m pwm.sweep", *named])
    accepted = f"a folder that holds all runs; `{command}` trains those that are missing"
    # Only --check accepts a store that lacks runs, if at least one experiment is complete.
    can_go_on = not incomplete or (arguments.check and len(named) > 0)
    require(can_go_on, "results", arguments.results, accepted)
    all_claims = list(progress_bar(claims(Evidence(source)), " claims"))
    computed = [claim for claim in all_claims if set(incomplete).isdisjoint(claim.experiments)]
    for claim in computed:
        say(_line(claim))
    num_holding = sum(claim.holds for claim in computed)
    origin = arguments.results or "the published outcomes"
    say(f"{len(computed)} claims computed from {origin}, {num_holding} in their bands.")
    if incomplete:
        num_left_out = len(all_claims) - len(computed)
        say(f"{num_left_out} claims need runs that are missing; `{command}` trains them.")
    all_hold = num_holding == len(computed)
    if arguments.check:
        return _compare(numbers(computed), path, partial=bool(incomplete)) and all_hold
    with folder_errors("out", path, kind="file"):
        write_json(path, numbers(computed))
    return all_hold


def _line(claim: Claim) -> str:
    """Formats a claim as a line: name, number, verdict with band, sentence and experiments."""
    low, high = claim.band
    verdict = f"{'in' if claim.holds else 'NOT in'} [{low:g}, {high:g}]"
    experiments = ", ".join(claim.experiments)
    return f"{PREFIX}{claim.name:30} {claim.text:24} {verdict:24} {claim.says} ({experiments})"


def _compare(ours: Mapping[str, Number], path: Path, *, partial: bool) -> bool:
    """Prints which numbers differ from those in a file; returns whether none does.

    If `partial`, only some numbers were computed, and all others in the file are ignored.
    """
    theirs = read_numbers(path)
    if partial:
        theirs = {name: number for name, number in theirs.items() if name in ours}
    differing_names = disagreements(ours, theirs)
    for name in differing_names:
        say(f"{name}: not as in {path}")
    same = len(ours.keys() - differing_names)
    say(f"{same} of {len(ours)} numbers are as in {path}.")
    return not differing_names


if __name__ == "__main__":
    main()
