"""Edges of the working range: found where they were put."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pwm.analysis.edges import lower_edge, resampled_edges, upper_edge

WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def made(edge: float, plateau: float, seeds: int, seed: int) -> NDArray[np.bool_]:
    """Outcomes with a known edge, [W, S]."""
    random = np.random.default_rng(seed)
    rate = plateau / (1 + (edge / np.array(WEIGHTS)) ** 3)
    return random.random((len(WEIGHTS), seeds)) < rate[:, None]


@given(st.sampled_from([0.1, 0.7, 2.0, 8.0]), st.sampled_from([0.5, 1.0]), st.integers(0, 99))
def test_the_edge_is_found_where_it_was_put(edge: float, plateau: float, seed: int) -> None:
    found = lower_edge(WEIGHTS, made(edge, plateau, 400, seed), np.random.default_rng(0))
    assert found.value == pytest.approx(edge, rel=0.25)
    assert found.low <= found.value <= found.high


def test_the_interval_covers_the_edge_about_as_often_as_it_says() -> None:
    found = [
        lower_edge(WEIGHTS, made(1.5, 0.9, 24, n), np.random.default_rng(n)) for n in range(60)
    ]
    covered = np.mean([one.low <= 1.5 <= one.high for one in found])
    assert 0.83 <= covered <= 1


def test_the_upper_edge_is_the_lower_one_of_the_inverse_weights() -> None:
    learned = made(2.0, 1.0, 200, 0)
    lower = lower_edge(WEIGHTS, learned, np.random.default_rng(0))
    inverse = tuple(1 / weight for weight in reversed(WEIGHTS))
    upper = upper_edge(inverse, learned[::-1], np.random.default_rng(0))
    assert upper.value == pytest.approx(1 / lower.value, rel=1e-9)
    assert (upper.low, upper.high) == pytest.approx((1 / lower.high, 1 / lower.low), rel=1e-9)


def test_a_factor_on_every_weight_moves_the_edge_by_it() -> None:
    learned = made(2.0, 0.8, 50, 1)
    one, other = (
        resampled_edges([factor * weight for weight in WEIGHTS], learned, np.random.default_rng(0))
        for factor in (1, 4)
    )
    np.testing.assert_allclose(other, 4 * one, rtol=1e-9)
