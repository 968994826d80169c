"""The published digests: equal bits and nothing else are equal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwm import digests as module
from pwm.core.diagnostics import DIAGNOSTICS
from pwm.core.history import METRICS, History
from pwm.digests import compare, digests, main
from pwm.experiments import EXPERIMENTS, chosen
from tests.support.histories import made_up


def test_a_digest_is_of_one_replica_alone() -> None:
    history = made_up(5, 8)
    whole = digests(history)
    assert len(set(whole)) == 5
    assert all(len(digest) == 16 for digest in whole)
    for replica in range(5):
        assert digests(history.select([replica])) == [whole[replica]]


@given(
    st.sampled_from(METRICS + DIAGNOSTICS),
    st.integers(0, 2),
    st.integers(0, 7),
    st.integers(0, 31),
)
def test_every_bit_of_every_metric_counts(name: str, replica: int, window: int, bit: int) -> None:
    history = made_up(3, 8, diagnosed=True)
    curve = history.curves[name].copy()
    curve.view(np.uint32)[replica, window] ^= np.uint32(1 << bit)
    changed = digests(History.of_curves(history.episode, history.curves | {name: curve}))
    assert [one == other for one, other in zip(changed, digests(history), strict=True)] == [
        place != replica for place in range(3)
    ]


def test_the_episodes_count_too() -> None:
    history = made_up(2, 3)
    later = History(history.episode + 1, *(getattr(history, name) for name in METRICS))
    assert not set(digests(later)) & set(digests(history))


def test_all_nans_are_one() -> None:
    history = made_up(1, 2)
    for bits in (0x7FC00000, 0xFFC00001):
        reward = np.array([[0, bits]], np.uint32).view(np.float32)
        assert digests(replace(history, reward=reward)) == digests(
            replace(history, reward=np.array([[0, np.nan]], np.float32))
        )


def test_what_is_not_stored_does_not_count_and_what_differs_is_named() -> None:
    expected = {"a": ["1", "2", "3"], "b": ["4"]}
    assert compare({"a": ["1", "2", "3"], "b": ["4"]}, expected) == (4, 4, [])
    assert compare({"a": ["1", None, "3"], "b": [None]}, expected) == (2, 2, [])
    same, there, lines = compare({"a": ["1", "x", None], "b": ["4"]}, expected)
    assert (same, there) == (2, 3)
    assert lines == ["a: 1 of 2 runs differ from the published"]
    assert compare({"c": ["5"]}, expected)[:2] == (0, 1)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Digests of runs that the store is made to hold."""
    held = {name: [f"{name}{number}" for number in range(3)] for name in EXPERIMENTS}
    monkeypatch.setattr(module, "stored", lambda experiment, _store: held[experiment.name])
    path = tmp_path / "published.json"
    path.write_text(json.dumps(held))
    return path


def test_the_command_counts(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count = 3 * len(EXPERIMENTS)
    with pytest.raises(SystemExit) as stop:
        main(["--published", str(published)])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert said == f"{count} of {count} stored runs are bit-identical to the published.\n"
    content = json.loads(published.read_text())
    content["eplen15"][1] = "other"
    published.write_text(json.dumps(content))
    with pytest.raises(SystemExit) as stop:
        main(["--published", str(published)])
    assert stop.value.code == 1
    said = capsys.readouterr().out
    assert f"{count - 1} of {count} stored runs" in said
    assert "eplen15: 1 of 3 runs differ" in said


def test_what_is_not_all_there_is_not_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "published.json"
    with pytest.raises(SystemExit) as stop:
        main(["--write", "--published", str(path), "--results", str(tmp_path / "none")])
    assert stop.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(
        f"error: --results {tmp_path / 'none'}: expected a folder that holds all"
    )
    assert not path.exists()


def test_every_run_of_every_experiment_is_published() -> None:
    content = module.published(module.PUBLISHED)
    assert {name: len(runs) for name, runs in content.items()} == {
        experiment.name: experiment.num_runs for experiment in chosen((), "paper")
    }
    every = [digest for runs in content.values() for digest in runs]
    assert all(len(digest) == 16 for digest in every)
