"""`python -m pwm.digests`: compares the stored runs with the published ones, bit for bit.

The fused engine gives the same bits on every machine, so runs of any machine can be compared with
the published ones. `paper/outcomes.npz` holds a `Record` of each experiment: digests (hashes of the
runs' histories), outcomes, some curves. Runs are stored in shards (`pwm.runs.shards`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pwm.analysis.published import FILE, Published, Record, plan_of
from pwm.core.errors import require
from pwm.experiments import EXPERIMENTS, chosen
from pwm.io.cli import ExperimentNames, PublishedPath, errors_in_one_line, parse, progress_bar
from pwm.io.files import folder_errors
from pwm.io.inherited import say
from pwm.io.repository import published
from pwm.runs.experiment import Experiment
from pwm.runs.shards import plan
from pwm.runs.storage import Store

DIFFERENT = 1  # exit status


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.digests`."""

    names: ExperimentNames = ()
    """Experiments to compare, which must have stored runs; if none is named, all that have any."""
    results: Path = Path("results")
    """Folder of stored runs."""
    published: PublishedPath = None
    """File of the published digests and outcomes."""
    write: bool = False
    """Publish the digests and outcomes of these experiments (without names, of all), all of whose
    runs must be stored, and keep those of other experiments."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; without `--write`, exits with status 1 if any run differs, else with 0."""
    about = "Compares the stored runs with the published ones, bit for bit."
    arguments = parse(Arguments, "python -m pwm.digests", about, argv)
    with errors_in_one_line():
        path = arguments.published or published(FILE)
        is_first = arguments.write and not path.exists()
        publication = Published(path, {}, {}) if is_first else Published.read(path)
        store = Store(arguments.results)
        experiments = chosen(arguments.names, known=EXPERIMENTS)
        if arguments.write:
            _write(experiments, store, publication)
        else:
            sys.exit(_compare(experiments, store, publication, named=bool(arguments.names)))


def stored_records(experiment: Experiment, store: Store) -> tuple[list[int], list[Record]]:
    """Indices of an experiment's stored runs, and the records of its stored shards, in order.

    Raises:
        FileError: a stored file is damaged, or a history's provenance is missing.
    """
    indices: list[int] = []
    records: list[Record] = []
    first = 0
    for shard in plan(experiment):
        end = first + len(shard.members)
        if store.path(shard).exists():
            indices += range(first, end)
            records.append(Record.of(store.read(shard.key).history, shard.setting.task))
        first = end
    return indices, records


def _write(experiments: Sequence[Experiment], store: Store, publication: Published) -> None:
    """Publishes the records of `experiments`; keeps those of all others in `EXPERIMENTS`."""
    records, plans = dict(publication.records), dict(publication.plans)
    for experiment in progress_bar(experiments, " experiments"):
        indices, parts = stored_records(experiment, store)
        accepted = f"a folder that holds every run of {experiment.name}"
        require(len(indices) == experiment.num_runs, "results", store.folder, accepted)
        records[experiment.name] = Record.joined(parts)
        plans[experiment.name] = plan_of(experiment)
    names = [name for name in EXPERIMENTS if name in records]  # in the order of the experiments
    ordered_records = {name: records[name] for name in names}
    ordered_plans = {name: plans[name] for name in names}
    path = publication.path
    with folder_errors("published", path, kind="file"):
        Published(path, ordered_records, ordered_plans).write(path)
    runs = sum(experiment.num_runs for experiment in experiments)
    say(f"Published the digests and outcomes of {runs} runs in {path}.")


def _compare(
    experiments: Sequence[Experiment], store: Store, publication: Published, *, named: bool
) -> int:
    """Prints how many stored runs match the published ones; returns the exit status.

    If the user named experiments (`named`), each must have stored runs; otherwise, at least one.
    Runs of an unpublished experiment count as different; `Published.record` raises a `FileError` if
    an experiment was published as another version.
    """
    stored = different = 0  # numbers of runs
    missing = []  # names of experiments
    for experiment in progress_bar(experiments, " experiments"):
        name = experiment.name
        indices, parts = stored_records(experiment, store)
        stored += len(indices)
        if not indices:
            missing.append(name)
        elif name not in publication.plans:
            different += len(indices)
            say(f"{name}: not published yet; `python -m pwm.digests --write {name}` does that")
        else:
            reference = publication.record(experiment).select(indices)
            different += _report(name, Record.joined(parts), reference)
    accepted = f"a folder that holds runs of {', '.join(missing)}; there is nothing to compare"
    can_compare = not missing if named else stored > 0
    require(can_compare, "results", store.folder, accepted)
    not_stored = sum(experiment.num_runs for experiment in experiments) - stored
    text = f"; {not_stored} runs are not stored" if not_stored else ""
    say(f"{stored - different} of {stored} stored runs are bit-identical to the published{text}.")
    return DIFFERENT if different else 0


def _report(name: str, stored: Record, reference: Record) -> int:
    """Returns how many stored runs differ from the published ones; prints the number unless 0."""
    differences = stored.differences(reference)  # whether each run differs, by array: (runs,)
    differs = np.any(list(differences.values()), axis=0)  # (runs,)
    count = int(differs.sum())
    if count:
        arrays = ", ".join(array for array, by_run in differences.items() if by_run.any())
        say(f"{name}: {count} of {len(differs)} runs differ from the published, in {arrays}")
    return count


if __name__ == "__main__":
    main()
