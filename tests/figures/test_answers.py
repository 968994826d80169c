"""The figures of the answer: their tables can be read, and nothing in them is cut off."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from pwm.figures.__main__ import STYLE
from pwm.figures.success import ANSWERS
from pwm.figures.theory import WIDTH
from tests.claims.worlds import MadeUp


@pytest.fixture(scope="module")
def evidence() -> MadeUp:
    return MadeUp()


@pytest.mark.parametrize("name", ANSWERS)
def test_a_figure_fits_its_frame_and_its_table(name: str, evidence: MadeUp) -> None:
    with mpl.rc_context(fname=STYLE):
        figure, table = ANSWERS[name](evidence)
        figure.draw_without_rendering()
    assert "\n" not in "".join(map(str, table[0]))
    heading, *rows = table
    assert rows
    assert {len(row) for row in rows} == {len(heading)}
    assert not any(isinstance(cell, str) and "\n" in cell for row in table for cell in row)
    assert figure.get_figwidth() == WIDTH
    frame = figure.bbox.padded(1)
    for text in _words(figure):
        if text.get_text().strip():
            box = text.get_window_extent()
            inside = frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1)
            assert inside, text.get_text()


def _words(figure: Figure) -> Iterator[Text]:
    """Titles, labels of axes and legends."""
    for axes in figure.axes:
        yield from (axes.title, axes.xaxis.label, axes.yaxis.label)
        if legend := axes.get_legend():
            yield from legend.get_texts()
    for legend in figure.legends:
        yield from legend.get_texts()
