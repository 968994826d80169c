"""The figure `elsewhere`: its points agree with the analysis, its lines with the law."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from pwm.analysis.fifth_cells import fifth_cells, the_cell
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import LAW
from pwm.figures.elsewhere import HEADING, elsewhere_figure
from tests.claims.worlds import MadeUp


@pytest.mark.usefixtures("few_resamples")
def test_every_panel_has_the_cells_that_it_is_about() -> None:
    evidence = MadeUp()
    figure, (header, *rows) = elsewhere_figure(evidence)
    assert tuple(header) == HEADING
    by_panel: dict[str, list[tuple[object, ...]]] = {}
    for row in rows:
        by_panel.setdefault(str(row[0]), []).append(tuple(row[1:]))
    assert [axes.get_title() for axes in figure.axes] == list(by_panel)
    cells = [cell for cell in fifth_cells(evidence) if cell.predicted]
    shown = by_panel["optimisers"] + by_panel["returns"]
    wanted = ("adam", "sgd", "discount", "trial", "gae", "td")
    assert len(shown) == sum(cell.condition.startswith(wanted) for cell in cells)
    for series, weight, predicted, value, *_, finished in shown:
        condition, variant, _ = str(series).split()
        cell = the_cell(evidence, condition, variant, float(str(weight)))
        assert predicted == cell.predicted[LAW]
        assert value == pytest.approx(cell.least_slowdowns[0])
        assert finished == cell.finished
    assert len(by_panel["batches"]) == 12
    assert len(by_panel["notes, later"]) == 9
    assert all(isnan(float(str(row[2]))) for row in by_panel["notes, later"])


@pytest.mark.usefixtures("few_resamples")
def test_lines_are_the_laws() -> None:
    figure, _ = elsewhere_figure(MadeUp())
    panels = {axes.get_title(): axes for axes in figure.axes}
    light = [predictions()["fifth"]["light"][f"batch-{size}-15"][LAW] for size in (4, 16, 64, 256)]
    drawn = [np.asarray(line.get_ydata()) for line in panels["batches"].lines]
    assert any(len(line) == 4 and np.allclose(line, light) for line in drawn)
    bias = panels["bias"].lines[0]
    np.testing.assert_array_equal(bias.get_xdata(), bias.get_ydata())
