"""The heat map of methods: each number is in its method's row and its condition's column."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from pwm.analysis.rules import CONDITIONS, HELD_OUT, METHODS, compared
from pwm.figures.rules import rules_figure
from pwm.training.config import TrainConfig
from tests.support.outcomes import MadeUpEvidence

SEEDS = 24


def outcome(run: TrainConfig) -> dict[str, ArrayLike]:
    """Outcomes whose success rate depends on all fields that methods and conditions vary."""
    seed = sum(map(ord, repr((run.loss, run.task, run.agent, run.learning_rate))))
    learned = np.arange(SEEDS) < np.random.default_rng(seed).integers(SEEDS + 1)
    return {"learned": learned, "time": np.where(learned, 3000.0, inf)}


def shown(axes: Axes, rows: list[str]) -> dict[tuple[str, str], str]:
    """Numbers in a panel, by the labels of their row and column."""
    columns = {
        place: label.get_text()
        for place, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
    }
    return {
        (rows[int(text.get_position()[1])], columns[text.get_position()[0]]): text.get_text()
        for text in axes.texts
        if text.get_text().isdigit()
    }


@pytest.mark.usefixtures("few_resamples")
def test_every_number_is_in_the_cell_of_its_method_and_condition() -> None:
    evidence = MadeUpEvidence(outcome)
    found = compared(evidence)
    figure, (header, *table) = rules_figure(evidence)
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    raw, centred = (shown(axes, rows) for axes in figure.axes)
    assert len(raw) + len(centred) == len(METHODS) * (2 + len(CONDITIONS))
    for method in METHODS:
        returns, _, rest = method.partition(" ")
        panel = raw if returns == "raw" or method == "usual" else centred
        row = rest if returns in ("raw", "centred") else method
        row = f"weight {row}" if row.isdigit() else row.replace("usual", "normalised, clipped")
        assert panel[row, "mean"] == f"{100 * found.success(method).value:.0f}"
        assert panel[row, "worst"] == f"{100 * found.worst_success(method):.0f}"
        for condition in CONDITIONS:
            assert panel[row, condition] == f"{100 * found.success(method, condition).value:.0f}"
    assert header[:3] == ("method", "condition", "held_out")
    assert list(dict.fromkeys(row[0] for row in table)) == list(found.ranking())
    assert {row[1] for row in table if row[2]} == set(HELD_OUT)
    means = [row[3] for row in table if row[1] == "mean"]
    assert means == pytest.approx(sorted(means, reverse=True), abs=1e-12)  # equal but for rounding
    for method, condition, _, *numbers in table:
        if condition != "mean":
            expected = *found.success(method, condition), found.median_episodes(method, condition)
            assert numbers == list(expected)
