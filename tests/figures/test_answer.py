"""The figures `answer`, `climb` and `law` plot the stored numbers."""

from __future__ import annotations

import numpy as np
import pytest

from pwm.analysis.early_probes import probed_runs, probes
from pwm.analysis.evidence import Evidence
from pwm.analysis.fourth_predictions import fourth_cells, of_variants
from pwm.analysis.slowdowns import LAW, root_mean_square
from pwm.analysis.starts import distance_cells, fixed_point_cells
from pwm.figures.answer import LENGTHS, RATES, SERIES, answer_figure
from pwm.figures.climb import climb_figure
from pwm.figures.law import law_figure
from tests.claims.worlds import MadeUp
from tests.figures.made_up import assert_close

pytestmark = pytest.mark.usefixtures("few_resamples")


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return MadeUp()


def test_the_answer_has_three_curves_per_length_and_rate(evidence: Evidence) -> None:
    figure, (_, *table) = answer_figure(evidence)
    conditions = [(rate, steps) for rate in RATES for steps in LENGTHS]
    for axes, (rate, steps) in zip(figure.axes, conditions, strict=True):
        for line, (name, (grid, baseline, *_)) in zip(axes.lines, SERIES.items(), strict=True):
            runs = evidence.of(f"{grid}-{rate:g}").at(episode_length=steps, baseline=baseline)
            assert_close(line.get_xdata(), runs.weights, rtol=1e-9)
            assert_close(line.get_ydata(), runs.rate(), rtol=1e-9)
            rows = [row for row in table if row[:3] == (rate, steps, name)]
            assert_close([row[6] for row in rows], runs.rate(), rtol=1e-9)
    words = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert words == set(SERIES)


def test_the_climb_shows_probes_by_start_and_slowdowns_by_distance(evidence: Evidence) -> None:
    figure, (_, *table) = climb_figure(evidence)
    assert len(figure.axes) == 3
    for start in ("raw", "mean", "centred"):
        saturated = probes(probed_runs(evidence, start, 60, 10.0), "saturated")
        rows = [row for row in table if row[:2] == ("saturated", start)]
        assert_close([row[4] for row in rows], np.median(saturated, axis=0), rtol=1e-6)
    cells = distance_cells(evidence)
    measured = [row for row in table if row[0] == "slowdown" and row[1] != "law"]
    shown = {(row[3] + 5.25, row[2]): row for row in measured}
    assert set(shown) == {key for key in cells if key[1] in (1.0, 10.0, 30.0)}
    assert {row[1] for row in measured} == {"measured", "at least"}
    for key, row in shown.items():
        assert row[4] == cells[key].least_slowdowns[0]
        assert (row[1] == "measured") == cells[key].finished
        assert np.isnan(row[5]) != cells[key].finished


def test_the_law_is_next_to_every_cell_and_every_rival(evidence: Evidence) -> None:
    _, (_, *table) = law_figure(evidence)
    cells = fourth_cells(evidence)
    rows = [row for row in table if row[0] == "predicted"]
    assert len(rows) == sum(bool(c.predicted) and c.variant != "fixed-point" for c in cells)
    started = of_variants(cells, "raw", "mean")
    for row in table:
        if row[0] == "error":
            assert row[5] == root_mean_square(started, row[1])[0]
    noise = [row for row in table if row[0] == "noise" and row[1] == "lengths"]
    first = next(fixed_point_cells(evidence))
    assert noise[0][5] == first.least_slowdowns[0] / first.predicted[LAW]
