"""Digests of runs: equal if and only if the histories are equal, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pwm.runs.digests import digests_of, trail_ends, trails_of
from pwm.training.history import AGENT_DIAGNOSTICS, DIAGNOSTICS, METRICS, History
from tests.support.histories import made_up


def test_a_digest_depends_on_its_replica_alone() -> None:
    history = made_up(5, 8)
    whole, trails = digests_of(history), trails_of(history)
    assert len(set(whole.tolist())) == 5
    for replica in range(5):
        assert digests_of(history.select([replica])) == [whole[replica]]
        assert np.array_equal(trails_of(history.select([replica])), trails[[replica]])


def test_a_digest_is_pinned() -> None:
    # If it changed, every published digest would change.
    history = History.of_curves(
        np.array([10, 20]), {name: np.array([[1, np.nan]], np.float32) for name in METRICS}
    )
    assert [f"{digest:016x}" for digest in digests_of(history).tolist()] == ["9d2e165d8aaf8744"]


@given(
    st.sampled_from(METRICS + DIAGNOSTICS + AGENT_DIAGNOSTICS),
    st.integers(0, 2),
    st.integers(0, 7),
    st.integers(0, 31),
)
def test_a_digest_depends_on_every_bit_of_every_curve(
    name: str, replica: int, window: int, bit: int
) -> None:
    history = made_up(3, 8, probe_at=range(8))
    changed = flipped(history, name, replica, window, bit)
    differs = digests_of(changed) != digests_of(history)
    assert differs.tolist() == [place == replica for place in range(3)]


def flipped(history: History, name: str, replica: int, window: int, bit: int = 20) -> History:
    """The history with one bit of a curve changed."""
    curve = history.curves[name].copy()
    curve.view(np.uint32)[replica, window] ^= np.uint32(1 << bit)
    curves = history.curves | {name: curve}
    return History.of_curves(history.episode, curves, history.probe_episode)


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
        nan = replace(history, reward=np.array([[0, np.nan]], np.float32))
        assert digests_of(replace(history, reward=reward)) == digests_of(nan)


def test_a_trail_differs_from_the_window_on_in_which_the_histories_part() -> None:
    assert trail_ends(200) == [1, 4, 7, 13, 25, 50, 100]
    assert trail_ends(3) == [1, 1, 1, 1, 1, 1, 2]
    history, after = made_up(1, 200, diagnosed=True), list[bool]()
    for window in (0, 3, 4, 99, 100, 199):
        for name in history.curves:
            differs = trails_of(flipped(history, name, 0, window)) != trails_of(history)
            reached = [end > window for end in trail_ends(200)]
            assert not differs[0, np.logical_not(reached)].any()
            after += differs[0, reached].tolist()
    assert sum(after) / len(after) > 0.98  # bytes agree by accident once in 256 times


def test_a_trail_holds_the_probes_up_to_each_window() -> None:
    history = made_up(1, 8, probe_at=(0, 10, 11, 40))
    for probe, episode in enumerate((0, 10, 11, 40)):
        changed = flipped(history, "trace", 0, probe)
        differs = (trails_of(changed) != trails_of(history))[0].tolist()
        assert differs == [10 * end >= episode for end in trail_ends(8)]
