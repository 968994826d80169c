"""`python -m pwm.claims`: where it reads, what it prints, and when it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pwm.analysis.estimates import Estimate
from pwm.analysis.evidence import Evidence
from pwm.claims import __main__ as command
from pwm.claims.claim import Claim
from pwm.experiments import EXPERIMENTS
from pwm.runs.shards import plan
from pwm.runs.storage import Store
from tests.support.histories import made_up, session
from tests.support.refusals import assert_refused

SMALL = "start-mean-trial-2"  # of 24 runs
ABSENT = "fourth-above"


def claims(evidence: Evidence, shift: float = 0.0) -> Iterator[Claim]:
    """One claim on each of two experiments, and one on both."""
    for name, experiments in (("one", [SMALL]), ("other", [ABSENT]), ("both", [SMALL, ABSENT])):
        mean = sum(evidence.of(each).learned.mean() for each in experiments)
        yield Claim(
            name=name,
            says="it is so",
            estimate=Estimate(mean + shift, mean - 1 + shift, mean + 1 + shift),
            band=(0.0, 2.0),
            experiments=tuple(experiments),
        )


@pytest.fixture(autouse=True)
def few_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "claims", claims)


@pytest.fixture
def path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """File with the numbers of these claims, computed from the published outcomes."""
    path = tmp_path / "numbers.json"
    assert output(capsys, path) == [
        "claim.one", "claim.other", "claim.both",
        "3 claims computed from the published outcomes, 3 in their bands.",
    ]  # fmt: skip
    return path


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    """A store that holds one of the two experiments, in which no run learned."""
    store = Store(tmp_path / "results")
    for shard in plan(EXPERIMENTS[SMALL]):
        store.put(shard, made_up(len(shard.members), 200, log_every=100), [session(1, 20_000)])
    return store.folder


def output(
    capsys: pytest.CaptureFixture[str], path: Path, *flags: str, status: int = 0
) -> list[str]:
    """Runs the command; returns the names of the claims that it prints, and its other lines."""
    with pytest.raises(SystemExit) as stop:
        command.main(["--out", str(path), *flags])
    assert stop.value.code == status
    lines = capsys.readouterr().out.splitlines()
    return [line.split()[0] if " in [" in line or " NOT in [" in line else line for line in lines]


def test_numbers_that_are_as_published_pass_the_check(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = path.read_bytes()
    count = len(json.loads(before))
    assert output(capsys, path, "--check")[-1] == f"{count} of {count} numbers are as in {path}."
    assert path.read_bytes() == before


def test_a_number_that_is_not_as_published_fails_the_check_and_is_named(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(path.read_bytes())
    count = len(content)
    content["claim.other"]["interval"][0] += 1e-6
    del content["setting.seeds"]
    path.write_text(json.dumps(content))
    *_, one, two, last = output(capsys, path, "--check", status=1)
    assert [one, two] == [f"claim.other: not as in {path}", f"setting.seeds: not as in {path}"]
    assert last == f"{count - 2} of {count} numbers are as in {path}."
    content["claim.stale"] = content["claim.other"]  # which is no longer computed
    path.write_text(json.dumps(content))
    assert output(capsys, path, "--check", status=1)[-1] == last


def test_a_claim_outside_its_band_fails(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "claims", lambda evidence: claims(evidence, shift=0.5))
    lines = output(capsys, path, status=1)
    assert lines[-1] == "3 claims computed from the published outcomes, 2 in their bands."


def test_a_partial_store_is_checked_as_far_as_it_goes(
    path: Path, partial: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = output(capsys, path, "--check", "--results", str(partial), status=1)
    others = " ".join(name for name in EXPERIMENTS if name != SMALL)
    name, first, second, wrong, last = lines
    assert name == "claim.one"
    assert first == f"1 claims computed from {partial}, 1 in their bands."
    assert second == (
        f"2 claims need runs that are missing; `python -m pwm.sweep {others}` trains them."
    )
    assert wrong == f"claim.one: not as in {path}"  # the runs are made up
    assert last.endswith(f" numbers are as in {path}.")


def test_numbers_are_not_written_from_a_partial_store(
    path: Path, partial: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = path.read_bytes()
    for folder, trains in ((partial, "pwm.sweep eplen60 "), (tmp_path / "none", "pwm.sweep`")):
        flags = ["--out", str(path), "--results", str(folder)]
        mentioned = f"--results {folder}: expected a folder that holds all runs; ", trains
        assert_refused(command.main, flags, capsys, *mentioned)
    assert path.read_bytes() == before


def test_a_folder_without_runs_is_not_checked(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "none"
    flags = ["--check", "--out", str(path), "--results", str(folder)]
    assert_refused(command.main, flags, capsys, f"--results {folder}: expected a folder that holds")


def test_an_unknown_claim_is_refused_with_similar_ones(capsys: pytest.CaptureFixture[str]) -> None:
    mentioned = "CLAIM bias-0.01: expected the name of a claim", "bias-0.001, bias-0.005"
    assert_refused(command.main, ["bias-0.01"], capsys, *mentioned)


def test_a_number_that_is_no_claim_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    mentioned = "CLAIM setting.seeds: expected the name of a claim"
    assert_refused(command.main, ["setting.seeds"], capsys, mentioned)


def test_flags_that_a_shown_claim_would_ignore_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "numbers.json")
    for flags in (["--results", path], ["--out", path], ["--check"]):
        mentioned = f"{flags[0]} {(*flags, True)[1]}: expected none with CLAIM"
        assert_refused(command.main, ["bias-0.001", *flags], capsys, mentioned)


def test_a_claim_is_shown_with_the_runs_that_it_rests_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stop:
        command.main(["claim.low-attached-15-0.001"])
    assert stop.value.code == 0
    claim, count, runs, commands = capsys.readouterr().out.splitlines()
    assert claim.startswith("claim.low-attached-15-0.001 ")
    assert count == "It rests on 72 runs:"
    assert runs == (
        "  weight-0.001: 72 runs, episode_length 15; baseline attached; "
        "critic_weight 0.02, 0.05, 0.1; seed 0 to 23 (24 values)"
    )
    assert "`python -m pwm.sweep weight-0.001`" in commands
    assert "`./reproduce.sh audit --claim low-attached-15-0.001`" in commands
