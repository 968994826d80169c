"""The figure `bias`: its table has predicted and measured numbers, from the right runs."""

from __future__ import annotations

import numpy as np

from pwm.analysis.evidence import Evidence
from pwm.core.leak import critic_bias
from pwm.figures.theory import PANELS, bias_figure
from tests.figures.made_up import assert_close


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


def test_panels_show_measured_over_predicted_within_their_axis(evidence: Evidence) -> None:
    figure, (_, *table) = bias_figure(evidence)
    for axes, panel in zip(figure.axes, ("bias", "floor", "identity"), strict=True):
        shown = [
            y
            for line in axes.lines
            if line.get_marker() != "None"
            for y in np.asarray(line.get_ydata())
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = [np.divide(row[6], row[5]) for row in table if row[0] == panel]
        least, *_, greatest = PANELS[panel][-1]
        assert_close(sorted(shown), sorted(np.clip(ratios, least, greatest)), rtol=1e-9)
