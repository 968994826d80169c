"""`python -m pwm.audit`: trains a random sample of the published runs again, and compares the bits.

Every run can be made again bit for bit, so that a random sample bounds how many of all published
runs could be wrong. A run of the sample must have the published digest and outcomes; then every
claim is computed again from the published outcomes. The sample is drawn without replacement, every
run with the same probability, from all runs or from those of one experiment, claim or figure.
"""

from __future__ import annotations

import secrets
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import tyro
from numpy.typing import NDArray
from tqdm import tqdm

from pwm.analysis.evidence import Evidence
from pwm.analysis.published import Published, Record
from pwm.analysis.sampling import CONFIDENCE, drawn, most_wrong, power
from pwm.claims.every import NUMBERS, claims, disagreements, numbers, read_numbers
from pwm.claims.resting import known_claims, runs_behind
from pwm.core.config import TrainConfig
from pwm.core.errors import InputError, require, require_integer
from pwm.engines import require_numba
from pwm.experiments import EXPERIMENTS, chosen
from pwm.figures.outputs import ANSWERS, NAMES
from pwm.io.cli import errors_in_one_line, fail, parse
from pwm.io.inherited import Forgiving, counted, note, say, stop_signals
from pwm.io.repository import published
from pwm.runs.digests import trail_ends
from pwm.runs.fields import flat
from pwm.runs.progress import cost_of
from pwm.runs.scheduler import CORES, processes
from pwm.runs.shards import Member, Shard, plan
from pwm.runs.worker import train_alone

DIFFERENT = 1  # exit status
TOGETHER = 16  # runs that are trained together, at most
SUSPECTED = 0.01  # fraction of wrong runs for which the power is stated
OptionalName = Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")]


class Place(NamedTuple):
    """A place at which a run is published: an experiment, and the number of the run in it."""

    experiment: str
    number: int


Places = Mapping[TrainConfig, Sequence[Place]]
"""Distinct runs, each with all places at which it is published."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Flags of `python -m pwm.audit`."""

    runs: int = 300
    """Runs to draw; all there are, if there are fewer."""
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
    published: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: paper/outcomes.npz)"),
    ] = None
    """File of the published outcomes."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and ends the program."""
    arguments = parse(
        Arguments,
        "python -m pwm.audit",
        "Trains a random sample of the published runs again, and compares the bits.",
        argv,
    )
    with errors_in_one_line():
        require_integer("runs", arguments.runs, 1)
        require_integer("workers", arguments.workers, 1)
        seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
        require_integer("seed", seed, 0)
        source = Published.read(arguments.published)
        places = published_runs(_selected(arguments, source))
        total = len(places)
        sample = drawn(list(places), arguments.runs, seed)
        shown = power(total, len(sample), -(-total // round(1 / SUSPECTED)))
        say(
            f"Drew {len(sample)} of {total:,} runs with --seed {seed}. If {SUSPECTED:.0%} of them "
            f"were wrong, {shown:.0%} of such samples would show it."
        )
        trained, interrupted = _trained(sample, arguments.workers)
        if not trained:
            sys.exit(128 + signal.SIGINT)
        wrong = _report(trained, places, source)
        claimed = interrupted or _claims_hold(source)
    failed = wrong or not claimed
    sys.exit(DIFFERENT if failed else 128 + signal.SIGINT if interrupted else 0)


def _selected(arguments: Arguments, source: Published) -> Mapping[str, NDArray[np.bool_]]:
    """The runs to draw from: a mask [runs] for each experiment.

    Raises:
        InputError: a name is unknown, or several of experiment, claim and figure are given.
    """
    sources = {name: getattr(arguments, name) for name in ("experiment", "claim", "figure")}
    given = [(name, value) for name, value in sources.items() if value is not None]
    if len(given) > 1:
        raise InputError(*given[1], "at most one of --experiment, --claim and --figure")
    if arguments.claim:
        (claim,) = known_claims([arguments.claim])
        return runs_behind(claim, source)[1]
    if arguments.figure:
        figure = arguments.figure
        require(figure in NAMES, "figure", figure, "one of " + ", ".join(NAMES))
        if figure in ANSWERS:
            evidence = Evidence(source)
            ANSWERS[figure](evidence)
            return evidence.read
    names = [name for name in (arguments.experiment, arguments.figure) if name]
    return {each.name: np.ones(each.num_runs, bool) for each in chosen(names, known=EXPERIMENTS)}


def published_runs(selected: Mapping[str, NDArray[np.bool_]]) -> Places:
    """The distinct runs among those selected, each with its places."""
    found = dict[TrainConfig, list[Place]]()
    for name, chosen_runs in selected.items():
        runs = [run for shard in plan(EXPERIMENTS[name]) for run in shard.runs]
        for number in np.flatnonzero(chosen_runs).tolist():
            found.setdefault(runs[number], []).append(Place(name, number))
    return found


def populations(runs: Iterable[TrainConfig]) -> list[Shard]:
    """Groups runs that can share a population into shards of at most `TOGETHER` runs."""
    found = dict[TrainConfig, list[Member]]()
    for run in runs:
        member = Member(run.critic_weight, run.learning_rate, run.seed)
        found.setdefault(run.shared, []).append(member)
    return [
        Shard(setting, tuple(members[first : first + TOGETHER]))
        for setting, members in found.items()
        for first in range(0, len(members), TOGETHER)
    ]


def _trained(sample: Sequence[TrainConfig], workers: int) -> tuple[dict[TrainConfig, Record], bool]:
    """Trains runs with a progress bar.

    Returns:
        The record of each run, and whether training was interrupted. If it was, only the runs
        before the first that was not trained are returned. They are a random sample too; among all
        that were trained, short runs would be too frequent.
    """
    require_numba()
    found, interrupted = dict[TrainConfig, Record](), False
    try:
        with stop_signals(interrupt=True):
            for run, record in _records(populations(sample), workers):
                found[run] = record
    except KeyboardInterrupt:
        interrupted = True
        note("Interrupted.")
    except BrokenExecutor as error:
        fail(str(error))
    first = next((place for place, run in enumerate(sample) if run not in found), len(sample))
    return {run: found[run] for run in sample[:first]}, interrupted


def _records(shards: Sequence[Shard], workers: int) -> Iterator[tuple[TrainConfig, Record]]:
    """Trains shards in processes; yields each run with its record."""
    runs = sum(len(shard.members) for shard in shards)
    with (
        tqdm(
            file=Forgiving(sys.stderr),
            total=sum(map(cost_of, shards)),
            bar_format="{percentage:3.0f}%|{bar}| {desc} [{elapsed}, {remaining} left]",
            dynamic_ncols=True,
        ) as bar,
        processes(min(workers, len(shards))) as executor,
    ):
        bar.set_description_str(f"0 of {runs} runs")
        futures = {executor.submit(train_alone, shard): shard for shard in shards}
        trained = 0
        for future in as_completed(futures):
            shard, history = futures[future], future.result()
            trained += len(shard.members)
            bar.set_description_str(f"{trained} of {runs} runs", refresh=False)
            bar.update(cost_of(shard))
            for replica, run in enumerate(shard.runs):
                yield run, Record.of(history.select([replica]), run.task)


def _report(trained: Mapping[TrainConfig, Record], places: Places, source: Published) -> int:
    """Prints which runs differ from the published ones, and a bound on how many of all do.

    Args:
        trained: records of the runs trained here.
        places: all runs that they were drawn from, with their places.
        source: the published records.
    Returns:
        Number of trained runs that differ.
    """
    wrong, total = 0, len(places)
    for run, record in trained.items():
        differences = [_difference(run, place, record, source) for place in places[run]]
        wrong += any(differences)
        for text in filter(None, differences):
            say(text)
    bound = most_wrong(total, len(trained), wrong)
    say(
        f"{len(trained) - wrong} of {len(trained)} runs are identical to the published ones, bit "
        f"for bit; with {CONFIDENCE:.0%} confidence, at most {bound / total:.2%} of all {total:,} "
        "differ."
    )
    return wrong


def _difference(run: TrainConfig, place: Place, ours: Record, source: Published) -> str:
    """Describes how a run differs from the published one; empty if it does not."""
    theirs = source.record(EXPERIMENTS[place.experiment]).select([place.number])
    columns = [name for name, differs in ours.differences(theirs).items() if differs.any()]
    if not columns:
        return ""
    return (
        f"{place.experiment}, run {place.number} differs in {', '.join(columns)}; "
        f"{_parting(run, ours, theirs)}. To train it: {command_of(run)}"
    )


def _parting(run: TrainConfig, ours: Record, theirs: Record) -> str:
    """Says in which episodes two histories of a run begin to differ, as far as trails tell."""
    ends = [run.log_every * end for end in trail_ends(-(-run.num_episodes // run.log_every))]
    (parted,) = np.nonzero(ours.trail[0] != theirs.trail[0])
    if len(parted):
        last = ends[parted[0]]
        first = ([0] + [end for end in ends if end < last])[-1] + 1
        return f"the histories part in episodes {first} to {last}"
    if ours.digest[0] != theirs.digest[0]:
        return f"the histories part after episode {ends[-1]}, or the published digest is wrong"
    return "the histories are the same"


def command_of(run: TrainConfig) -> str:
    """The command that trains a run."""
    words, usual = ["python -m pwm.train"], flat(TrainConfig())
    for name, value in flat(run).items():
        if value != usual[name]:
            flag = "seeds" if name == "seed" else name.replace("_", "-")
            if isinstance(value, bool):
                words.append(f"--{flag}" if value else f"--no-{flag}")
            else:
                values = value if isinstance(value, tuple) else (value,)
                words.append(" ".join([f"--{flag}", *map(str, values)]))
    return " ".join(words)


def _claims_hold(source: Published) -> bool:
    """Computes every claim again; prints which do not hold or differ from the paper's numbers.

    Returns:
        Whether all hold and none differs.
    """
    found = list(claims(Evidence(source)))
    ours = numbers(found)
    failing = [claim.name for claim in found if not claim.holds]
    wrong = disagreements(ours, read_numbers(published(NUMBERS)))
    for name in failing:
        say(f"claim.{name} is outside its band.")
    for name in wrong:
        say(f"{name} is not as in paper/{NUMBERS}.")
    say(
        f"{len(found) - len(failing)} of {counted(len(found), 'claim')}, computed again from the "
        f"published outcomes, hold; {len(ours) - len(wrong)} of {len(ours)} numbers are as in "
        f"paper/{NUMBERS}."
    )
    return not failing and not wrong


if __name__ == "__main__":
    main()
