"""`python -m pwm.audit`: trains a random sample of the published runs again, and compares the bits.

Every run can be reproduced bit for bit, so a random sample bounds how many published runs could be
wrong. A sampled run must have the published digest and outcomes; then every claim is recomputed
from the published outcomes. The sample is drawn without replacement, every run with the same
probability, from all runs or from the runs of one experiment, claim or figure.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Annotated

import numpy as np
import tyro
from numpy.typing import NDArray

from pwm.analysis.evidence import Evidence
from pwm.analysis.published import Published, Record
from pwm.analysis.sampling import CONFIDENCE, drawn, most_wrong, power
from pwm.audit.comparison import Places, differences, published_runs
from pwm.audit.retraining import retrain
from pwm.claims.every import NUMBERS, claims, disagreements, numbers, read_numbers
from pwm.claims.resting import known_claims, runs_behind
from pwm.core.errors import InputError, require, require_integer
from pwm.experiments import EXPERIMENTS, chosen
from pwm.figures.outputs import ANSWERS, NAMES
from pwm.io.cli import PublishedPath, errors_in_one_line, parse
from pwm.io.inherited import counted, say
from pwm.io.repository import published
from pwm.runs.scheduler import CORES
from pwm.training.config import TrainConfig

DIFFERENT = 1  # exit status
ONE_IN = 100  # the sample's power is stated for one wrong run in 100
OptionalName = Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")]


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Flags of `python -m pwm.audit`."""

    runs: int = 300
    """Runs to draw; if there are fewer, all are drawn."""
    seed: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="(default: a fresh one)")
    ] = None
    """Seed of the draw."""
    experiment: OptionalName = None
    """Draw from the runs of this experiment."""
    claim: OptionalName = None
    """Draw from the runs that this claim rests on."""
    figure: OptionalName = None
    """Draw from the runs that this figure is made of."""
    workers: int = CORES
    """Processes that train at a time."""
    published: PublishedPath = None
    """File of the published outcomes."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; exits with 1 if a run or number is not as published, or a claim fails.

    Otherwise exits with 128 + a signal's number if that interrupted the audit, or 0.
    """
    about = "Trains a random sample of the published runs again, and compares the bits."
    arguments = parse(Arguments, "python -m pwm.audit", about, argv)
    with errors_in_one_line():
        require_integer("runs", arguments.runs, 1)
        require_integer("workers", arguments.workers, 1)
        seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
        require_integer("seed", seed, 0)
        source = Published.read(arguments.published)
        places = published_runs(_selected(arguments, source), EXPERIMENTS)
        sample = drawn(list(places), arguments.runs, seed)
        total = len(places)
        wrong = ceil(total / ONE_IN)
        probability = power(total, len(sample), wrong)
        say(
            f"Drew {len(sample)} of {total:,} runs with --seed {seed}. If {wrong} of the {total:,} "
            f"were wrong, {probability:.0%} of such samples would show it."
        )
        records, stopped_by = retrain(sample, arguments.workers)
        if not records:  # interrupted before a run was trained
            sys.exit(128 + stopped_by)
        identical = _report(records, places, source)
        confirmed = stopped_by > 0 or claims_hold(source)  # skipped after an interruption
    if not (identical and confirmed):
        sys.exit(DIFFERENT)
    sys.exit(128 + stopped_by if stopped_by else 0)


def _selected(arguments: Arguments, source: Published) -> Mapping[str, NDArray[np.bool_]]:
    """Whether each run of an experiment can be drawn, [runs], by experiment name.

    Raises:
        InputError: a name is unknown, or several of experiment, claim and figure are given.
    """
    named = {name: getattr(arguments, name) for name in ("experiment", "claim", "figure")}
    given = [(name, value) for name, value in named.items() if value is not None]
    if len(given) > 1:
        name, value = given[1]
        raise InputError(name, value, "at most one of --experiment, --claim and --figure")
    if arguments.claim is not None:
        (claim,) = known_claims([arguments.claim])
        _, runs = runs_behind(claim, source)
        return runs
    figure = arguments.figure
    if figure is not None:
        require(figure in NAMES, "figure", figure, "one of " + ", ".join(NAMES))
        if figure in ANSWERS:
            evidence = Evidence(source)
            ANSWERS[figure](evidence)  # `evidence.read` records the runs it reads
            return evidence.read
    # Any other figure shows all runs of the experiment with the same name.
    names = [value for _, value in given]  # of one experiment, or none for all
    return {each.name: np.ones(each.num_runs, bool) for each in chosen(names, known=EXPERIMENTS)}


def _report(records: Mapping[TrainConfig, Record], places: Places, source: Published) -> bool:
    """Prints how the runs trained again differ from the published ones; returns whether none does.

    Also prints an upper bound on the fraction of all runs that differ. `records` has the record of
    each run trained again; `places` has all runs that could be drawn.
    """
    wrong = 0  # number of runs
    for run, record in records.items():
        descriptions = differences(run, record, places[run], source)
        wrong += bool(descriptions)
        for description in descriptions:
            say(description)
    total = len(places)
    bound = most_wrong(total, len(records), wrong)
    say(
        f"{len(records) - wrong} of {len(records)} runs are identical to the published ones, bit "
        f"for bit; with {CONFIDENCE:.0%} confidence, at most {bound / total:.2%} of all {total:,} "
        "differ."
    )
    return wrong == 0


def claims_hold(source: Published) -> bool:
    """Recomputes every claim; returns whether all hold and numbers are as in paper/numbers.json.

    Prints the claims outside their band, the numbers that differ from that file's, and a summary.
    """
    all_claims = list(claims(Evidence(source)))
    recomputed = numbers(all_claims)
    failing = [claim.name for claim in all_claims if not claim.holds]
    changed = disagreements(recomputed, read_numbers(published(NUMBERS)))  # names of numbers
    for name in failing:
        say(f"claim.{name} is outside its band.")
    for name in changed:
        say(f"{name} is not as in paper/{NUMBERS}.")
    num_equal = len(recomputed.keys() - changed)
    say(
        f"{len(all_claims) - len(failing)} of {counted(len(all_claims), 'claim')}, computed again "
        f"from the published outcomes, hold; {num_equal} of {len(recomputed)} numbers are as in "
        f"paper/{NUMBERS}."
    )
    return not failing and not changed


if __name__ == "__main__":
    main()
