"""Theory next to measurement: the tables hold both, from the right runs."""

from __future__ import annotations

import numpy as np
import pytest

from pwm.analysis.conditions import conditions
from pwm.analysis.outcomes import Evidence
from pwm.analysis.theory import critic_bias
from pwm.figures.theory import bias_figure, edges_figure, gradients_figure, speed_figure
from pwm.runs.storage import Store
from tests.figures.made_up import assert_close


@pytest.fixture(scope="module")
def evidence(smoke: Store) -> Evidence:
    return Evidence(smoke, "smoke")


def test_the_bias_is_measured_in_attached_runs_and_predicted_from_their_entropy(
    evidence: Evidence,
) -> None:
    _, (_, *table) = bias_figure(evidence)
    runs = evidence.of("weight-0.005").at(episode_length=30, baseline="attached")
    for place, weight in enumerate(runs.weights):
        (row,) = (
            row for row in table if row[:5] == ("bias", "weight-0.005", "attached", 30, weight)
        )
        predicted = critic_bias(30, float(runs.entropy[place].mean()), weight)
        assert_close(row[5:], [predicted, runs.critic_bias[place].mean()], rtol=1e-6)


def test_the_value_loss_is_that_of_detached_runs_next_to_its_floor(evidence: Evidence) -> None:
    _, (_, *table) = bias_figure(evidence)
    runs = evidence.of("weight-0.001").at(episode_length=15, baseline="detached")
    rows = [row for row in table if row[:4] == ("floor", "weight-0.001", "detached", 15)]
    assert_close([row[6] for row in rows], np.median(runs.value_loss, axis=-1), rtol=1e-6)
    # Five trials of success p: (N² - 1) p² / 12 + (N + 1) p (1 - p) / 2, by hand.
    rewards = np.median(runs.reward, axis=-1)
    assert set(np.round(rewards, 6)) == {0.5, 0.95}
    floors = {0.5: 24 / 12 * 0.25 + 3 * 0.25, 0.95: 24 / 12 * 0.9025 + 3 * 0.0475}
    assert_close([row[5] for row in rows], [floors[round(p, 6)] for p in rewards], rtol=1e-5)


@pytest.mark.usefixtures("few_resamples")
def test_edges_are_those_of_the_conditions_that_have_one(evidence: Evidence) -> None:
    _, (header, *table) = edges_figure(evidence)
    edged = {name: it for name, it in conditions(evidence).items() if it.edges is not None}
    assert [row[0] for row in table] == list(edged)
    assert edged
    for name, steps, *edge, ratio, _, _ in table:
        assert steps == edged[name].steps
        assert tuple(edge) == edged[name].edge
        assert ratio == edged[name].edges_by("ratio")[0]
    assert header[5:] == ("ratio", "steps", "fixed")


def test_speed_has_a_point_per_weight_and_baseline(evidence: Evidence) -> None:
    _, (_, *table) = speed_figure(evidence)
    runs = evidence.of("weight-0.001").at(episode_length=6, baseline="attached")
    rows = [row for row in table if row[:2] == (6, "attached")]
    assert [row[2] for row in rows] == list(runs.weights)
    assert [row[3] for row in rows] == [sorted(times)[1] for times in runs.time]  # of three


def test_the_share_over_training_is_the_median_of_detached_seeds(evidence: Evidence) -> None:
    _, (_, *table) = gradients_figure(evidence)
    runs = evidence.of("gradients").at(baseline="detached", episode_length=60, critic_weight=5.0)
    shares = (runs.course("policy_norm") / runs.course("total_norm")) ** 2
    rows = [row for row in table if row[0] == "over time" and row[2] == 5.0]
    assert [row[3] for row in rows] == runs.history.episode.tolist()
    assert_close([row[4] for row in rows], np.median(shares, axis=0), rtol=1e-5)
