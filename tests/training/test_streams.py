"""The random streams never change, and no two overlap."""

from __future__ import annotations

from itertools import combinations
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pwm.core.task import TaskConfig
from pwm.training.draws import DrawSource
from pwm.training.streams import StreamName, Streams, to_index, to_uniform

NAMES: tuple[StreamName, ...] = get_args(StreamName)
TOP = 2**64 - 1


def integers(*values: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(values, np.uint64)


PINNED: dict[tuple[int, StreamName], list[int]] = {
    (0, "initialisation"): [0x7D3653FCED2FC103, 0x3817DA7B29148908, 0x8EDB64EFAC1F3927],
    (0, "trials"): [0x9B3F31B4EDECA43C, 0x6F3E755663AAA02B, 0xA1B191F924B77E60],
    (0, "actions"): [0x41EAA2B9B28E37FA, 0xF4B06F76E21B8E8B, 0x23ED4E79D82F354B],
    (1, "initialisation"): [0x312555FB9BB42129, 0x8B067B9D908BF5D0, 0x88CDAE55FA4064A6],
    (2**40, "trials"): [0x33BB7DF801ADE4D2, 0x726D7B3901F8A3AC, 0x620BD515E255805C],
}


@pytest.mark.parametrize(("seed", "name"), PINNED)
def test_streams_never_change(seed: int, name: StreamName) -> None:
    assert Streams([seed], name).draw(3).tolist() == [PINNED[seed, name]]


def test_episodes_never_change() -> None:
    draws = DrawSource(TaskConfig(trial_length=2, episode_length=8), seeds=(0, 1)).next(2)
    assert draws.trials.tolist() == [
        [[4, 3, 5, 7], [3, 3, 5, 1]],
        [[4, 4, 1, 2], [2, 6, 7, 4]],
    ]
    first_step, second_step = (draws.noise[0, 0, 0] * 2**24).tolist()
    assert (first_step, second_step) == (0x41EAA2, 0xF4B06F)


@given(seed=st.integers(0, 2**70), pieces=st.lists(st.integers(0, 9), min_size=1))
def test_drawing_in_pieces_gives_the_same_stream(seed: int, pieces: list[int]) -> None:
    for name in NAMES:
        stream = Streams([seed], name)
        in_pieces = np.concatenate([stream.draw(count) for count in pieces], axis=1)
        at_once = Streams([seed], name).draw(sum(pieces))
        assert np.array_equal(in_pieces, at_once)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 7, 1001])
def test_skipping_continues_where_drawing_would(count: int) -> None:
    skipping = Streams([0, 1], "trials")
    skipping.skip(count)
    drawn = Streams([0, 1], "trials").draw(count + 6)
    assert np.array_equal(skipping.draw(6), drawn[:, count:])


def test_drawing_in_pieces_gives_the_same_episodes() -> None:
    task = TaskConfig(trial_length=2, episode_length=5)
    at_once = DrawSource(task, (3, 4)).next(7)
    source = DrawSource(task, (3, 4))
    pieces = [source.next(count) for count in (1, 4, 2)]
    for whole, parts in zip(at_once, zip(*pieces, strict=True), strict=True):
        assert np.array_equal(whole, np.concatenate(parts))


def test_a_stream_does_not_depend_on_the_other_seeds() -> None:
    together = Streams([5, 6, 5], "trials").draw(4)
    for row, seed in zip(together, (5, 6, 5), strict=True):
        assert np.array_equal(Streams([seed], "trials").draw(4)[0], row)


def test_streams_of_different_seeds_or_names_share_nothing() -> None:
    rows = [Streams(range(50), name).draw(4) for name in NAMES]
    for one, other in combinations(np.concatenate(rows), 2):
        assert not np.intersect1d(one, other).size


def test_uniform_numbers_are_multiples_of_two_to_the_minus_24() -> None:
    edges = to_uniform(integers(0, 2**40 - 1, 2**40, TOP))
    assert edges.tolist() == [0, 0, 2**-24, 1 - 2**-24]
    drawn = to_uniform(Streams([0], "actions").draw(20_000)[0])
    assert drawn.dtype == np.float32
    assert np.array_equal(drawn * 2**24, np.round(drawn * 2**24))
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3


@given(st.integers(0, TOP), st.integers(1, 2**20))
def test_indices_are_scaled_integers(integer: int, size: int) -> None:
    (index,) = to_index(integers(integer), size).tolist()
    assert index == (integer >> 32) * size >> 32
    assert 0 <= index < size


@pytest.mark.parametrize("bits", [0, 1, 3, 8])
def test_indices_below_a_power_of_two_are_the_top_bits(bits: int) -> None:
    drawn = Streams([1], "trials").draw(1000)[0]
    expected = [int(integer) >> (64 - bits) for integer in drawn]
    assert to_index(drawn, 2**bits).tolist() == expected


@pytest.mark.parametrize("size", [1, 2, 3, 8, 11])
def test_indices_reach_both_ends(size: int) -> None:
    assert to_index(integers(0, TOP), size).tolist() == [0, size - 1]
