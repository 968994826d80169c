"""The numbers behind the figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pwm.figures.tables import as_csv, coarsened, learned_table, quartiles
from pwm.training.history import METRICS
from tests.figures.made_up import (
    LEARNED,
    SOLVED,
    histories,
    quantile,
    quartiles_by_hand,
    stored_runs,
)
from tests.support.histories import made_up, same


def test_numbers_have_six_digits_and_text_is_quoted_where_needed() -> None:
    table = [("a", "b"), ("x, y", 1 / 3), (np.float32(2), np.int64(123456789)), (5.0, np.inf)]
    assert as_csv(table).decode() == 'a,b\n"x, y",0.333333\n2,123456789\n5,inf\n'


def test_the_table_of_seeds_that_learned_has_counts_and_intervals(tmp_path: Path) -> None:
    header, *rows = learned_table(stored_runs(tmp_path))
    table = {name: list(column) for name, *column in zip(header, *rows, strict=True)}
    expected: dict[str, list[float]] = {
        "critic_weight": [2, 10],
        "learned": [1, 3],
        "seeds": [4, 4],
        "rate": [0.25, 0.75],
        "wilson_low": [0.045587, 0.300642],  # by hand
        "wilson_high": [0.699358, 0.954413],
        "heaviest_gain": [0.5, 0],
        "heaviest_gain_low": [0, 0],
        "heaviest_gain_high": [1, 0],
        "reward": [],
        # At weight 2, fewer than half learn; at weight 10, half learn by episode 500.
        "episodes": [np.inf, 500],
        "episodes_low": [500, 500],
        "episodes_high": [np.inf, np.inf],
        "peak_value_loss": [],
        "solved": [SOLVED[2.0], SOLVED[10.0]],
        "solved_value_loss": [],
    }
    for place, (weight, history) in enumerate(histories().items()):
        final = sorted(np.mean(curve[150:]) for curve in history.reward.astype(np.float64))
        expected["reward"].append(float(np.mean(final[1:3])))  # the middle half
        peaks = [max(curve) for curve in history.value_loss.tolist()]
        expected["peak_value_loss"].append(quantile(peaks, 0.5))
        # Of the seeds that solved the task, over the last 500 of 2000 episodes; none at weight 2.
        settled = [np.mean(curve[150:]) for curve in history.value_loss[2:]]
        expected["solved_value_loss"].append(float(np.mean(settled)) if SOLVED[weight] else np.nan)
        assert final[0] - 1e-5 <= table["reward_low"][place] < table["reward"][place]
        assert table["reward"][place] < table["reward_high"][place] <= final[-1] + 1e-5
    assert set(header) == {*expected, "reward_low", "reward_high"}
    for name, column in expected.items():
        np.testing.assert_allclose(table[name], column, rtol=1e-5, err_msg=name)
    assert table["learned"] == list(LEARNED.values())


@given(arrays(np.float32, (5, 3), elements=st.floats(-1e6, 1e6, width=32)))
def test_quartiles_are_those_of_each_window(values: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(quartiles(values), quartiles_by_hand(values), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("diverged", [np.nan, np.inf])
def test_quartiles_leave_out_values_that_diverged(diverged: float) -> None:
    values = np.array([[1, 2, 3, diverged], [diverged] * 4], np.float32).T
    result = quartiles(values)
    assert result[:, 0].tolist() == [1.5, 2.0, 2.5]
    assert np.isnan(result[:, 1]).all()


@given(st.integers(1, 4), st.integers(1, 40), st.integers(1, 12))
def test_coarse_curves_are_means_of_groups(replicas: int, windows: int, points: int) -> None:
    history = made_up(replicas, windows)
    coarse = coarsened(history, points)
    group = max(windows // points, 1)
    starts = range(0, windows - group + 1, group)
    assert min(points, windows) <= len(starts) < max(2 * points, 2)
    assert coarse.episode.tolist() == [history.episode[start + group - 1] for start in starts]
    for name in METRICS:
        fine = history.curves[name]
        expected = [
            [np.mean(fine[replica, start : start + group]) for start in starts]
            for replica in range(replicas)
        ]
        np.testing.assert_allclose(coarse.curves[name], expected, rtol=1e-5)
    if group == 1:
        assert same(coarse, history)
