"""Edges of the working range, recovered from runs drawn from the model."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pwm.analysis.edges import LEAST_RATE, PLATEAUS, SLOPES, _models, lower_edges, upper_edges
from pwm.analysis.estimates import RESAMPLES, interval, resampled

WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def drawn(edge: float, plateau: float, seeds: int, seed: int) -> NDArray[np.bool_]:
    """Whether made-up runs of S seeds learn, [W, S], drawn from the model with this edge."""
    random = np.random.default_rng(seed)
    rate = plateau / (1 + (edge / np.array(WEIGHTS)) ** 3)
    return random.random((len(WEIGHTS), seeds)) < rate[:, None]


@given(st.sampled_from([0.1, 0.7, 2.0, 8.0]), st.sampled_from([0.5, 1.0]), st.integers(0, 99))
def test_a_known_edge_is_recovered(edge: float, plateau: float, seed: int) -> None:
    found = interval(lower_edges(WEIGHTS, drawn(edge, plateau, 400, seed)))
    assert found.value == pytest.approx(edge, rel=0.25)
    assert found.low <= found.value <= found.high


def test_the_interval_covers_the_edge_about_as_often_as_it_says() -> None:
    found = [interval(lower_edges(WEIGHTS, drawn(1.5, 0.9, 24, seed))) for seed in range(40)]
    covered = np.mean([one.low <= 1.5 <= one.high for one in found])
    assert 0.83 <= covered <= 1


def test_edges_agree_with_a_search_of_the_grid_one_model_at_a_time() -> None:
    weights, learned = (0.5, 1.0, 3.0, 4.0), drawn(1.5, 0.9, 24, 3)[4:8]
    logs = np.linspace(np.log(0.5), np.log(4), 1 + int(12 * np.log(8)))
    found = lower_edges(weights, learned)
    assert found.shape == (1 + RESAMPLES,)
    for number in (0, 1, 100, RESAMPLES):
        runs = learned[:, resampled(24)[number]]
        likelihoods = {}
        for plateau, slope, log_edge in itertools.product(PLATEAUS, SLOPES, logs):
            edge = float(np.exp(log_edge))
            rates = plateau / (1 + (edge / np.array(weights)) ** slope)
            rates = np.clip(rates, LEAST_RATE, 1 - LEAST_RATE)[:, None]
            likelihoods[plateau, slope, edge] = np.log(np.where(runs, rates, 1 - rates)).sum()
        best = max(likelihoods.values())
        edges = [edge for (_, _, edge), one in likelihoods.items() if one > best - 1e-9]
        assert np.isclose(found[number], edges).any()


def test_the_upper_edge_is_the_lower_edge_of_the_inverse_weights() -> None:
    learned = drawn(2.0, 1.0, 200, 0)
    inverse = tuple(1 / weight for weight in reversed(WEIGHTS))
    np.testing.assert_allclose(
        upper_edges(inverse, learned[::-1]), 1 / lower_edges(WEIGHTS, learned), rtol=1e-9
    )


def test_the_edge_scales_with_the_weights() -> None:
    learned = drawn(2.0, 0.8, 50, 1)
    scaled = lower_edges([4 * weight for weight in WEIGHTS], learned)
    np.testing.assert_allclose(scaled, 4 * lower_edges(WEIGHTS, learned), rtol=1e-9)


def test_likelihoods_are_exact_and_so_the_same_in_any_order_of_adding() -> None:
    _, log_odds, log_failure = _models(WEIGHTS)
    successes = np.random.default_rng(0).integers(97, size=(50, len(WEIGHTS))).astype(np.float64)
    one = successes @ log_odds + 96 * log_failure
    other = 96 * log_failure
    for weight in reversed(range(len(WEIGHTS))):
        other = other + successes[:, weight, None] * log_odds[:, weight, None]
    np.testing.assert_array_equal(one, other)
