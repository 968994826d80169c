"""Published outcomes, compared with those of the store that they come from."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pwm.analysis.outcomes import Outcomes
from pwm.analysis.published import CURVES, Published, Record, plan_of
from pwm.analysis.stored import FIELDS
from pwm.core.errors import InputError
from pwm.core.task import TaskConfig
from pwm.experiments import EXPERIMENTS
from pwm.io.errors import FileError
from pwm.io.files import write_arrays
from pwm.io.repository import published
from pwm.runs.experiment import Experiment
from pwm.runs.shards import plan
from pwm.runs.storage import Store
from pwm.training.config import TrainConfig
from tests.support.histories import made_up, session
from tests.support.outcomes import published_from

TASK = TaskConfig(stimulus_set="pwm0", episode_length=6)
AXES = {"baseline": ("attached", "detached"), "critic_weight": (0.1, 5.0), "seed": (0, 1, 2)}
PLAIN = Experiment(
    name="plain", base=TrainConfig(task=TASK, num_episodes=1200, log_every=100), axes=AXES
)
DIAGNOSED = replace(PLAIN, name="diagnosed", base=replace(PLAIN.base, probe_episodes=4))
SCHEDULED = replace(
    PLAIN,
    name="scheduled",
    base=replace(PLAIN.base, probe_episodes=4, probe_at=(0, 10, 1000)),
    axes={"critic_weight": (0.1, 5.0), "seed": (0, 1)},
)
ALL = (PLAIN, DIAGNOSED, SCHEDULED)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("results"))
    for number, shard in enumerate(shard for each in ALL for shard in plan(each)):
        run = shard.setting
        diagnosed = run.probe_episodes > 0 and not run.probe_at
        history = made_up(
            len(shard.members), 12, log_every=100, seed=number,
            diagnosed=diagnosed, probe_at=run.probe_at,
        )  # fmt: skip
        if diagnosed:
            history.diagnostics["policy_norm"][0, 0] = np.nan
        store.put(shard, history, [session(1, 1200)])
    return store


@pytest.fixture(scope="module")
def path(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_from(ALL, store, tmp_path_factory.mktemp("paper") / "outcomes.npz").path


@pytest.mark.parametrize("experiment", ALL, ids=lambda each: each.name)
def test_both_roads_give_the_same_outcomes(
    experiment: Experiment, store: Store, path: Path
) -> None:
    ours, theirs = Outcomes.of(experiment, store), Outcomes.of(experiment, Published.read(path))
    assert dict(ours.axes) == dict(theirs.axes)
    assert ours.configs == theirs.configs
    for name in FIELDS:
        one, other = getattr(ours, name), getattr(theirs, name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other), name
    part, same_part = ours.at(critic_weight=5.0), theirs.at(critic_weight=5.0)
    assert np.array_equal(part.probed, same_part.probed)
    assert np.array_equal(part.probed, part.history.probed)
    kinds = {"diagnosed": "windows", "scheduled": "probes"}
    for name in CURVES.get(kinds.get(experiment.name, ""), ()):
        one, other = part.curve(name), same_part.curve(name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other, equal_nan=True), name


def test_what_is_not_published_is_named_with_the_command_that_trains_it(path: Path) -> None:
    runs = Outcomes.of(PLAIN, Published.read(path))
    reads: list[Callable[[], object]] = [lambda: runs.history, lambda: runs.curve("reward")]
    for read in reads:
        with pytest.raises(InputError, match=r"^--results \(none\): .*`python -m pwm.sweep plain`"):
            read()
    diagnosed = Outcomes.of(DIAGNOSED, Published.read(path))
    with pytest.raises(InputError, match="runs of diagnosed, whose curves are not all published"):
        diagnosed.curve("entropy")


def test_an_experiment_that_changed_since_is_not_read(path: Path) -> None:
    read = Published.read(path)
    changed = replace(PLAIN, base=replace(PLAIN.base, num_episodes=1300))
    for experiment in (changed, replace(PLAIN, name="other"), replace(PLAIN, engine="torch")):
        with pytest.raises(FileError, match=f"pwm.digests --write {experiment.name}"):
            read.runs(experiment)


def test_a_damaged_file_or_another_version_is_refused(path: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "outcomes.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    for missing in (damaged, tmp_path / "none.npz"):
        with pytest.raises(FileError, match="expected the published outcomes, undamaged"):
            Published.read(missing)
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    write_arrays(damaged, arrays | {"version": np.array(2)})
    with pytest.raises(FileError, match=r"version 1$"):
        Published.read(damaged)


def changed(record: Record, name: str) -> Record:
    """Copy of a record in which the second run has another value in the column `name`."""
    copy = deepcopy(record)
    values = copy.columns[name]  # a view
    values[1] = ~values[1] if values.dtype == bool else values[1] + 1
    return copy


@pytest.mark.parametrize("name", ["digest", "trail", *FIELDS, "curve.reward", "curve.policy_norm"])
def test_a_difference_is_found_in_its_run_and_column(name: str, path: Path) -> None:
    record = Published.read(path).records["diagnosed"]
    record.outcome["time"] = 100.0  # finite, so that adding 1 changes it
    record.outcome["collapse"] = 100.0
    assert not any(found.any() for found in record.differences(record).values())
    for found, differs in record.differences(changed(record, name)).items():
        assert differs.tolist() == [found == name and run == 1 for run in range(12)], found


def test_runs_with_unequal_curves_are_not_one_record() -> None:
    histories = [made_up(2, windows, diagnosed=True) for windows in (3, 4)]
    with pytest.raises(ValueError, match="dimension"):
        Record.joined([Record.of(history, TASK) for history in histories])


def test_evidence_notes_which_runs_are_read(path: Path) -> None:
    outcomes = Outcomes.of(PLAIN, Published.read(path), (noted := list[Any]()).append)
    assert not noted
    _ = outcomes.at(baseline="detached", critic_weight=0.1).learned
    assert [numbers.tolist() for numbers in noted] == [[6, 7, 8]]


def test_the_paper_publishes_every_experiment_as_it_is_now() -> None:
    read = Published.read()
    assert list(read.records) == list(EXPERIMENTS)
    for name, experiment in EXPERIMENTS.items():
        command = f"train it, then `python -m pwm.digests --write {name}`"
        assert read.plans[name] == plan_of(experiment), command
        assert len(read.record(experiment).digest) == experiment.num_runs, command


def test_the_paper_publishes_at_most_three_megabytes() -> None:
    assert published("outcomes.npz").stat().st_size <= 3_000_000


def test_other_programs_can_read_the_file() -> None:
    with np.load(published("outcomes.npz")) as columns:
        place = columns["experiment"].tolist().index("eplen15")
        first = int(columns["runs"][:place].sum())
        learned = columns["learned"][first : first + int(columns["runs"][place])]
    assert np.array_equal(learned, Outcomes.published("eplen15").learned.ravel())
