"""Digests of runs: the same for equal bits, and only for equal bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwm.core.diagnostics import DIAGNOSTICS, MECHANISM
from pwm.core.errors import FileError
from pwm.core.history import METRICS, History
from pwm.digests import digests_of, read_digests, stored_digests
from pwm.runs import shards as planning
from pwm.runs.shards import plan
from pwm.runs.storage import Store
from tests.support.histories import made_up, session
from tests.support.sweeps import TINY


def test_a_digest_depends_on_its_replica_alone() -> None:
    history = made_up(5, 8)
    whole = digests_of(history)
    assert len(set(whole)) == 5
    assert all(len(digest) == 16 for digest in whole)
    for replica in range(5):
        assert digests_of(history.select([replica])) == [whole[replica]]


@given(
    st.sampled_from(METRICS + DIAGNOSTICS + MECHANISM),
    st.integers(0, 2),
    st.integers(0, 7),
    st.integers(0, 31),
)
def test_a_digest_depends_on_every_bit_of_every_curve(
    name: str, replica: int, window: int, bit: int
) -> None:
    history = made_up(3, 8, probe_at=range(8))
    curve = history.curves[name].copy()
    curve.view(np.uint32)[replica, window] ^= np.uint32(1 << bit)
    curves = history.curves | {name: curve}
    changed = digests_of(History.of_curves(history.episode, curves, history.probe_episode))
    assert [one == other for one, other in zip(changed, digests_of(history), strict=True)] == [
        place != replica for place in range(3)
    ]


def test_a_digest_depends_on_the_episodes() -> None:
    history = made_up(2, 3)
    later = History(history.episode + 1, *(getattr(history, name) for name in METRICS))
    assert not set(digests_of(later)) & set(digests_of(history))
    early, late = made_up(2, 3, probe_at=(0, 1)), made_up(2, 3, probe_at=(0, 2))
    assert not set(digests_of(early)) & set(digests_of(late))


def test_all_nans_are_equal() -> None:
    history = made_up(1, 2)
    for bits in (0x7FC00000, 0xFFC00001):
        reward = np.array([[0, bits]], np.uint32).view(np.float32)
        assert digests_of(replace(history, reward=reward)) == digests_of(
            replace(history, reward=np.array([[0, np.nan]], np.float32))
        )


def test_digests_of_an_experiment_are_in_its_order_with_none_for_missing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "SMALLEST", 2)
    monkeypatch.setattr(planning, "LARGEST", 2)
    store = Store(tmp_path)
    first, _, last = plan(TINY)
    for seed, shard in enumerate((first, last)):
        store.put(shard, made_up(2, 3, seed=seed), [session(0, 60)])
    assert stored_digests(TINY, store) == [
        *digests_of(made_up(2, 3, seed=0)),
        *(None, None),
        *digests_of(made_up(2, 3, seed=1)),
    ]


def test_a_damaged_file_of_digests_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "digests.json"
    for content in (None, b"", b"\xff", b"{"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(FileError) as caught:
            read_digests(path)
        assert str(caught.value) == f"{path}: expected a file of digests"
