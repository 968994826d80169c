"""`python -m pwm.digests`: compares stored runs with published ones, and publishes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pwm import digests as command
from pwm.analysis.published import Published, Record
from pwm.experiments import EXPERIMENTS
from pwm.runs.digests import digests_of
from pwm.runs.experiment import Experiment
from pwm.runs.shards import plan
from pwm.runs.storage import Store
from tests.support.folders import contents
from tests.support.histories import made_up, session
from tests.support.outcomes import published_from
from tests.support.refusals import assert_refused

GRIDS = {
    name: Experiment(name=name, axes={"seed": range(first, first + 3)})
    for name, first in (("one", 0), ("two", 3), ("three", 6))
}


@pytest.fixture(autouse=True)
def experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "EXPERIMENTS", GRIDS)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A store that holds every run."""
    store = Store(tmp_path / "results")
    for seed, experiment in enumerate(GRIDS.values()):
        (shard,) = plan(experiment)
        store.put(shard, made_up(3, 4, seed=seed), [session(1, 10_000)])
    return store.folder


@pytest.fixture
def path(results: Path, tmp_path: Path) -> Path:
    """File of the published outcomes of every run."""
    return published_from(GRIDS.values(), Store(results), tmp_path / "published.npz").path


def republish(path: Path, **records: Record | None) -> None:
    """Replaces the published records of some experiments; None removes an experiment."""
    read = Published.read(path)
    every = {**read.records, **records}
    kept = {name: one for name, one in every.items() if one is not None}
    Published(path, kept, {name: read.plans[name] for name in kept}).write(path)


def record(path: Path, name: str, **columns: Sequence[int]) -> Record:
    """An experiment's published record, with some fields of the outcome or the digests replaced."""
    found = Published.read(path).records[name]
    outcome = found.outcome.copy()
    for column in outcome.dtype.names or ():
        outcome[column] = columns.get(column, outcome[column])
    digest = np.array(columns.get("digest", found.digest), np.uint64)
    return replace(found, digest=digest, outcome=outcome)


def remove(results: Path, name: str) -> None:
    (shard,) = plan(GRIDS[name])
    Store(results).path(shard).unlink()


def output(
    capsys: pytest.CaptureFixture[str], path: Path, results: Path, *flags: str, status: int = 0
) -> list[str]:
    """Runs the command, checks its exit status, and returns the lines of its output."""
    with pytest.raises(SystemExit) as stop:
        command.main([*flags, "--published", str(path), "--results", str(results)])
    assert stop.value.code == status
    return capsys.readouterr().out.splitlines()


# Comparing


def test_identical_runs_are_counted(
    path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = output(capsys, path, results)
    assert lines == ["9 of 9 stored runs are bit-identical to the published."]
    remove(results, "two")
    lines = output(capsys, path, results)
    left = "; 3 runs are not stored."
    assert lines == ["6 of 6 stored runs are bit-identical to the published" + left]
    lines = output(capsys, path, results, "three")
    assert lines == ["3 of 3 stored runs are bit-identical to the published."]


def test_an_experiment_that_differs_is_named(
    path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *_ = record(path, "two").digest
    republish(
        path,
        two=record(path, "two", digest=[first, 1, 2]),
        three=record(path, "three", time=[1, 2, 3]),
    )
    assert output(capsys, path, results, status=1) == [
        "two: 2 of 3 runs differ from the published, in digest",
        "three: 3 of 3 runs differ from the published, in time",
        "4 of 9 stored runs are bit-identical to the published.",
    ]
    assert output(capsys, path, results, "one")[-1].startswith("3 of 3 ")


def test_an_experiment_that_is_not_published_yet_is_named_with_the_command(
    path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    republish(path, three=None)
    assert output(capsys, path, results, status=1) == [
        "three: not published yet; `python -m pwm.digests --write three` does that",
        "6 of 9 stored runs are bit-identical to the published.",
    ]


def test_nothing_to_compare_is_one_line(
    path: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remove(results, "one")
    for folder, names in ((tmp_path / "none", []), (results, ["one"]), (results, ["two", "one"])):
        flags = [*names, "--published", str(path), "--results", str(folder)]
        mentioned = f"error: --results {folder}: expected ", "nothing to compare"
        assert_refused(command.main, flags, capsys, *mentioned)


def test_an_experiment_that_changed_since_is_refused(
    path: Path, results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(GRIDS["one"], axes={"seed": (2, 1, 0)})
    monkeypatch.setattr(command, "EXPERIMENTS", GRIDS | {"one": other})
    (shard,) = plan(other)
    Store(results).put(shard, made_up(3, 4), [session(1, 10_000)])
    flags = ["one", "--published", str(path), "--results", str(results)]
    assert_refused(command.main, flags, capsys, f"error: {path}: expected the outcomes of one as")


def test_a_damaged_file_is_not_passed_over(
    path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shard,) = plan(GRIDS["two"])
    damaged = Store(results).path(shard)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    flags = ["--published", str(path), "--results", str(results)]
    assert_refused(command.main, flags, capsys, f"error: {damaged}: expected an undamaged file")


# Publishing


def test_without_names_every_experiment_is_published(
    path: Path, results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.npz"
    command.main(["--write", "--published", str(new), "--results", str(results)])
    assert capsys.readouterr().out == f"Published the digests and outcomes of 9 runs in {new}.\n"
    assert new.read_bytes() == path.read_bytes()


def test_publishing_one_experiment_needs_its_runs_alone_and_keeps_the_others(
    path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    republish(path, one=record(path, "one", digest=[7, 8, 9]), two=None)
    expected = record(path, "one").digest.tolist()
    remove(results, "one")
    command.main(["--write", "two", "--published", str(path), "--results", str(results)])
    assert capsys.readouterr().out == f"Published the digests and outcomes of 3 runs in {path}.\n"
    assert list(Published.read(path).records) == ["one", "two", "three"]
    assert record(path, "one").digest.tolist() == expected == [7, 8, 9]
    assert record(path, "two").digest.tolist() == digests_of(made_up(3, 4, seed=1)).tolist()


@pytest.mark.parametrize("names", [[], ["one", "two"]])
def test_an_incomplete_experiment_is_not_published(
    names: list[str], path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remove(results, "two")
    before = path.read_bytes()
    flags = ["--write", *names, "--published", str(path), "--results", str(results)]
    mentioned = f"error: --results {results}: expected a folder that holds every run of two\n"
    assert_refused(command.main, flags, capsys, mentioned)
    assert path.read_bytes() == before


# Bad input


def test_an_unknown_experiment_is_one_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mentioned = "error: EXPERIMENT nosuch: expected some of one, two, three\n"
    assert_refused(command.main, ["nosuch", "--published", str(path)], capsys, mentioned)


@pytest.mark.parametrize("write", [[], ["--write"]])
def test_a_damaged_file_of_outcomes_is_one_line(
    write: list[str], path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text("{")
    flags = ["one", *write, "--published", str(path), "--results", str(results)]
    assert_refused(command.main, flags, capsys, f"error: {path}: expected the published outcomes")


def test_a_file_that_cannot_be_written_is_one_line(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "outcomes.npz"
    flags = ["--write", "--published", str(path), "--results", str(results)]
    assert_refused(command.main, flags, capsys, f"--published {path}: expected a file that can")
    assert contents(tmp_path / "results").keys() == contents(results).keys()


def test_the_published_outcomes_are_those_of_the_paper(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "EXPERIMENTS", EXPERIMENTS)
    name = "budget-lower"
    store = Store(tmp_path)
    for shard in plan(EXPERIMENTS[name]):
        store.put(shard, made_up(len(shard.members), 4), [session(1, 100_000)])
    with pytest.raises(SystemExit) as stop:
        command.main([name, "--results", str(tmp_path)])
    assert stop.value.code == 1
    assert "budget-lower: 48 of 48 runs differ from the published, in " in capsys.readouterr().out
