"""`python -m pwm.audit`: the draw, the differences that it finds, and its output."""

from __future__ import annotations

import re
import secrets
import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pwm.analysis.published import Published, Record
from pwm.analysis.sampling import drawn, most_wrong
from pwm.audit import __main__ as audit
from pwm.audit import retraining
from pwm.audit.comparison import command_of, published_runs
from pwm.experiments import EXPERIMENTS
from pwm.io.cli import parse
from pwm.runs import worker
from pwm.runs.engines import make_trainer
from pwm.runs.fields import flat
from pwm.runs.shards import plan
from pwm.runs.storage import Store
from pwm.train import Arguments
from pwm.training.config import TrainConfig
from pwm.training.trainer import Trainer
from tests.support.histories import session
from tests.support.outcomes import published_from
from tests.support.refusals import assert_refused
from tests.support.sweeps import TINY

WINDOWS = 128
SMALL = replace(
    TINY,
    name="small",
    base=replace(TINY.base, num_episodes=WINDOWS, log_every=1),
    axes={"baseline": ("attached", "detached"), "critic_weight": (2.0, 3.0), "seed": range(3)},
)
OVERLAPPING = replace(SMALL, name="overlapping", axes={**SMALL.axes, "seed": (2, 3)})
GRIDS = {grid.name: grid for grid in (SMALL, OVERLAPPING)}
DIFFERENT = 16  # distinct runs among the 12 and 8 of the two experiments


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of the published outcomes of all runs, which the engine reproduces."""
    folder = tmp_path_factory.mktemp("audit")
    store = Store(folder / "results")
    for shard in (shard for grid in GRIDS.values() for shard in plan(grid)):
        trainer = make_trainer(shard.runs)
        trainer.advance(WINDOWS)
        store.put(shard, trainer.history(), [session(1, WINDOWS)])
    return published_from(GRIDS.values(), store, folder / "outcomes.npz").path


@pytest.fixture(autouse=True)
def small_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """Audits the runs of `GRIDS`, in threads, without any claims."""
    monkeypatch.setattr(audit, "EXPERIMENTS", GRIDS)
    monkeypatch.setattr(retraining, "processes", ThreadPoolExecutor)
    monkeypatch.setattr(audit, "claims", lambda _evidence: [])
    monkeypatch.setattr(audit, "numbers", lambda _claims: {})
    monkeypatch.setattr(audit, "read_numbers", lambda _path: {})


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """A function that runs the command, checks its exit status and returns its output's lines."""

    def run(path: Path, *flags: str, status: int = 0) -> list[str]:
        with pytest.raises(SystemExit) as stop:
            audit.main(["--published", str(path), *flags])
        assert stop.value.code == status
        return capsys.readouterr().out.splitlines()

    return run


Lines = Callable[..., list[str]]


def altered(path: Path, folder: Path, name: str, change: Callable[[Record], Record]) -> Path:
    """Writes a published file in which one experiment's record is changed; returns its path."""
    read = Published.read(path)
    records = {**read.records, name: change(read.records[name])}
    Published(path, records, read.plans).write(folder / "altered.npz")
    return folder / "altered.npz"


# Sound runs


def test_identical_runs_bound_the_rest(published: Path, lines: Lines) -> None:
    first, second, third = lines(published, "--runs", "6", "--seed", "7")
    drawn = f"Drew 6 of {DIFFERENT} runs with --seed 7."
    # One of 16 is wrong: 6 of 16 samples, 38%, contain it.
    assert first == f"{drawn} If 1 of the 16 were wrong, 38% of such samples would show it."
    bound = most_wrong(DIFFERENT, 6, 0) / DIFFERENT
    assert second == (
        "6 of 6 runs are identical to the published ones, bit for bit; with 95% confidence, at "
        f"most {bound:.2%} of all {DIFFERENT} differ."
    )
    assert third.startswith("0 of 0 claims, computed again from the published outcomes, hold; ")


def test_every_run_is_drawn_once_though_two_experiments_have_it(
    published: Path, lines: Lines
) -> None:
    first, second, _ = lines(published)
    assert first.startswith(f"Drew {DIFFERENT} of {DIFFERENT} runs")
    assert f"at most 0.00% of all {DIFFERENT} differ" in second


def test_without_a_seed_the_draw_is_a_fresh_one(
    published: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = iter([11, 12])
    monkeypatch.setattr(secrets, "randbits", lambda _bits: next(seeds))
    for seed in (11, 12):
        assert f"with --seed {seed}." in lines(published, "--runs", "1")[0]


def test_runs_can_be_drawn_from_one_experiment(published: Path, lines: Lines) -> None:
    first, *_ = lines(published, "--experiment", "overlapping")
    assert first.startswith("Drew 8 of 8 runs")


# Runs that are not as published


def test_an_altered_digest_is_found_and_named(
    published: Path, lines: Lines, tmp_path: Path
) -> None:
    def change(record: Record) -> Record:
        digest = record.digest.copy()
        digest[4] ^= np.uint64(1)
        return replace(record, digest=digest)

    path = altered(published, tmp_path, "small", change)
    _, named, bound, _ = lines(path, "--runs", "16", status=1)
    run = SMALL.runs()[4]
    assert named == (
        f"small, run 4 differs in digest; the histories part after episode {WINDOWS // 2}, or the "
        f"published digest is wrong. To train it: {command_of(run)}"
    )
    assert bound.startswith("15 of 16 runs are identical ")
    assert "at most 6.25% of all 16 differ" in bound


@pytest.mark.parametrize(("name", "number"), [("small", 11), ("overlapping", 7)])
def test_an_altered_outcome_is_found_and_named(
    name: str, number: int, published: Path, lines: Lines, tmp_path: Path
) -> None:
    def change(record: Record) -> Record:
        outcome = record.outcome.copy()
        outcome["reward"][number] += 1e-15
        return replace(record, outcome=outcome)

    path = altered(published, tmp_path, name, change)
    _, named, _, _ = lines(path, status=1)
    assert named.startswith(f"{name}, run {number} differs in reward; the histories are the same.")


def test_a_run_that_two_experiments_have_must_be_as_both_publish_it(
    published: Path, lines: Lines, tmp_path: Path
) -> None:
    place = OVERLAPPING.runs().index(shared := SMALL.runs()[2])  # seed 2

    def change(record: Record) -> Record:
        outcome = record.outcome.copy()
        outcome["time"][place] = 3.0
        return replace(record, outcome=outcome)

    path = altered(published, tmp_path, "overlapping", change)
    _, named, bound, _ = lines(path, status=1)
    assert named.startswith(f"overlapping, run {place} differs in time; ")
    assert named.endswith(command_of(shared))
    assert bound.startswith("15 of 16 ")


@pytest.mark.parametrize(
    ("from_episode", "parting"),
    [(0, "in episodes 1 to 1"), (20, "in episodes 17 to 32"), (100, "after episode 64, or the ")],
)
def test_an_altered_engine_is_found_with_the_place_where_the_histories_part(
    from_episode: int,
    parting: str,
    published: Path,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Altered(Trainer):
        """Shifts all parameters a little, once, after `from_episode` episodes."""

        nudged = False

        def advance(self, num_episodes: int) -> None:
            for _ in range(min(num_episodes, self.num_episodes - self.episodes_done)):
                if self.episodes_done == from_episode and not self.nudged:
                    self.nudged = True
                    self.parameters += 1e-3
                super().advance(1)

    def make(runs: Sequence[TrainConfig], *_rest: object) -> Trainer:
        return Altered(make_trainer(runs).engine)

    monkeypatch.setattr(worker, "make_trainer", make)
    _, *named, bound, _ = lines(published, status=1)
    assert len(named) == 20
    assert all(" differs in digest, " in text for text in named)
    # A byte of a trail is the same by accident once in 256 times.
    assert sum(f"the histories part {parting}" in text for text in named) >= 19
    assert bound.startswith("0 of 16 runs are identical ")


# Claims


def test_claims_that_fail_or_changed_fail_the_audit(
    published: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        name, holds = "it", False

    monkeypatch.setattr(audit, "claims", lambda _evidence: [Failing])
    monkeypatch.setattr(audit, "numbers", lambda _claims: {"claim.it": 1, "other": 2})
    monkeypatch.setattr(audit, "read_numbers", lambda _: {"claim.it": 1, "old": 0, "other": 3})
    *_, failing, old, wrong, last = lines(published, "--runs", "1", status=1)
    assert failing == "claim.it is outside its band."
    assert old == "old is not as in paper/numbers.json."
    assert wrong == "other is not as in paper/numbers.json."
    assert last == (
        "0 of 1 claim, computed again from the published outcomes, hold; 1 of 2 numbers are as in "
        "paper/numbers.json."
    )


# Signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_gives_the_bound_for_the_first_runs_of_the_draw(
    number: int, published: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    every_run = {name: np.ones(grid.num_runs, bool) for name, grid in GRIDS.items()}
    sample = drawn(list(published_runs(every_run, GRIDS)), 8, 5)
    complete = retraining._records

    def interrupted(shards: Any, workers: int) -> Iterator[tuple[TrainConfig, Record]]:
        every = dict(complete(shards, workers))
        for place in (3, 0, 1, 6):
            yield sample[place], every[sample[place]]
        raise KeyboardInterrupt(number)

    monkeypatch.setattr(retraining, "_records", interrupted)
    drew, bound = lines(published, "--runs", "8", "--seed", "5", status=128 + number)
    assert drew.startswith("Drew 8 ")
    assert bound.startswith("2 of 2 runs are identical ")  # the third was not trained
    assert f"{most_wrong(DIFFERENT, 2, 0) / DIFFERENT:.2%}" in bound


# Bad input


@pytest.mark.parametrize(
    ("flags", "mentioned"),
    [
        (["--runs", "0"], "--runs 0: expected an integer, 1 or above"),
        (["--seed", "-1"], "--seed -1: expected an integer, 0 or above"),
        (["--workers", "0"], "--workers 0: expected an integer, 1 or above"),
        (["--experiment", "none"], "EXPERIMENT none: expected some of small, overlapping"),
        (["--claim", ""], "--claim '': expected a value that is not"),  # as from an unset variable
        (["--claim", "none"], "CLAIM none: expected the name of a claim"),
        (["--figure", "none"], "--figure none: expected one of eplen60, "),
        (["--figure", "law", "--claim", "a"], "--figure law: expected at most one of --experiment"),
    ],
)
def test_bad_input_is_one_line(
    flags: list[str], mentioned: str, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(audit.main, ["--published", str(published), *flags], capsys, mentioned)


# The paper's own runs


def test_a_claim_and_a_figure_lead_to_their_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    source = Published.read()
    claim = audit._selected(audit.Arguments(claim="claim.low-attached-15-0.001"), source)
    assert {name: int(runs.sum()) for name, runs in claim.items()} == {"weight-0.001": 72}
    figure = audit._selected(audit.Arguments(figure="pwm0"), source)
    assert {name: int(runs.sum()) for name, runs in figure.items()} == {"pwm0": 480}
    success = audit._selected(audit.Arguments(figure="success"), source)
    assert {name: int(runs.sum()) for name, runs in success.items()} == {
        "eplen15-edge": 384, "eplen15": 384, "lrate0.005": 384, "eplen60": 384
    }  # fmt: skip


def test_the_command_of_a_run_trains_it() -> None:
    usual = flat(TrainConfig()).items()
    settings = [setting for each in EXPERIMENTS.values() for setting in each.settings()]
    settings = [replace(one, critic_weight=0.5, learning_rate=1e-5, seed=7) for one in settings]
    runs = {run: set(flat(run).items() - usual) for run in settings}
    seen, examples = set[str](), list[TrainConfig]()
    for run in sorted(runs, key=lambda run: -len(runs[run])):
        names = {name for name, _ in runs[run]}
        if names - seen:  # a field that no example has yet
            examples.append(run)
            seen |= names
    assert len(seen) > 15
    for run in examples:
        program, *words = shlex.split(command_of(run).removeprefix("python -m "))
        assert program == "pwm.train"
        assert parse(Arguments, "", "", words).runs() == (run,)
    assert re.fullmatch(r"python -m pwm.train", command_of(TrainConfig()))
