"""`python -m pwm.digests`: compares stored runs with published ones, and publishes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pwm import digests as command
from pwm.digests import digests_of, read_digests
from pwm.experiments import EXPERIMENTS
from pwm.io.repository import published
from pwm.runs.experiment import Experiment
from pwm.runs.shards import plan
from pwm.runs.storage import Store
from tests.support.folders import contents
from tests.support.histories import made_up, session
from tests.support.refusals import assert_refused

GRIDS = {
    name: Experiment(name=name, axes={"seed": range(first, first + 3)})
    for name, first in (("one", 0), ("two", 3), ("three", 6))
}
DIGESTS = {name: digests_of(made_up(3, 4, seed=seed)) for seed, name in enumerate(GRIDS)}


@pytest.fixture(autouse=True)
def experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "EXPERIMENTS", GRIDS)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A store that holds every run."""
    store = Store(tmp_path / "results")
    for seed, experiment in enumerate(GRIDS.values()):
        (shard,) = plan(experiment)
        store.put(shard, made_up(3, 4, seed=seed), [session(0, 10_000)])
    return store.folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The published digests of every run."""
    path = tmp_path / "published.json"
    path.write_text(json.dumps(DIGESTS))
    return path


def remove(results: Path, name: str) -> None:
    (shard,) = plan(GRIDS[name])
    Store(results).path(shard).unlink()


def output(
    capsys: pytest.CaptureFixture[str], path: Path, results: Path, *flags: str, status: int = 0
) -> list[str]:
    """Runs the command, expects its status, and returns the lines of its output."""
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
    path.write_text(json.dumps(DIGESTS | {"two": [DIGESTS["two"][0], "other", "other"]}))
    assert output(capsys, path, results, status=1) == [
        "two: 2 of 3 runs differ from the published",
        "7 of 9 stored runs are bit-identical to the published.",
    ]
    assert output(capsys, path, results, "one", "three")[-1].startswith("6 of 6 ")


def test_an_experiment_that_is_not_published_yet_is_named_with_the_command(
    path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(json.dumps({name: DIGESTS[name] for name in ("one", "two")}))
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


def test_more_runs_than_published_are_not_identical(
    path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(json.dumps(DIGESTS | {"two": DIGESTS["two"][:2]}))
    assert output(capsys, path, results, "two", status=1)[-1].startswith("2 of 3 ")


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
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new.json"
    command.main(["--write", "--published", str(path), "--results", str(results)])
    assert capsys.readouterr().out == f"Published the digests of 9 runs in {path}.\n"
    assert list(read_digests(path).items()) == list(DIGESTS.items())


def test_publishing_one_experiment_needs_its_runs_alone_and_keeps_the_others(
    path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(json.dumps({"three": ["kept"], "one": ["kept"]}))
    remove(results, "one")
    command.main(["--write", "two", "--published", str(path), "--results", str(results)])
    assert capsys.readouterr().out == f"Published the digests of 3 runs in {path}.\n"
    expected = {"one": ["kept"], "two": DIGESTS["two"], "three": ["kept"]}
    assert list(read_digests(path).items()) == list(expected.items())


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
def test_a_damaged_file_of_digests_is_one_line(
    write: list[str], path: Path, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text("{")
    flags = ["one", *write, "--published", str(path), "--results", str(results)]
    assert_refused(command.main, flags, capsys, f"error: {path}: expected a file of digests\n")


def test_a_file_that_cannot_be_written_is_one_line(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "digests.json"
    flags = ["--write", "--published", str(path), "--results", str(results)]
    assert_refused(command.main, flags, capsys, f"--published {path}: expected a folder that can")
    assert contents(tmp_path / "results").keys() == contents(results).keys()


def test_the_published_digests_are_those_of_the_paper(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "EXPERIMENTS", EXPERIMENTS)
    name = "budget-lower"
    store = Store(tmp_path)
    for shard in plan(EXPERIMENTS[name]):
        store.put(shard, made_up(len(shard.members), 4), [session(0, 100_000)])
    with pytest.raises(SystemExit) as stop:
        command.main([name, "--results", str(tmp_path)])
    assert stop.value.code == 1
    assert "budget-lower: 48 of 48 runs differ from the published\n" in capsys.readouterr().out
    assert name in read_digests(published("digests.json"))
