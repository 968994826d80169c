"""Rendering of figures to bytes."""

from __future__ import annotations

import io

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from PIL import Image

from pwm.figures.panels import without_powers
from pwm.figures.render import STYLE, Format, rendered


def figure(height: float = 1.0) -> Figure:
    with mpl.rc_context(fname=STYLE):
        made = Figure(figsize=(2, 1))
        axes = made.subplots()
        axes.plot([0.01, 1, 100], [0, height, 0])
        axes.set_xscale("log")
        without_powers(axes.xaxis)
    return made


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_figure_gives_the_same_bytes(kind: Format) -> None:
    assert rendered(figure(), kind, "of a test") == rendered(figure(), kind, "of a test")
    assert rendered(figure(), kind, "of a test") != rendered(figure(0.9), kind, "of a test")


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_file_names_its_source_and_no_time(kind: Format) -> None:
    content = rendered(figure(), kind, "of a test")
    assert b"of a test" in content
    assert b"date" not in content.lower()


def test_a_png_has_150_dots_per_inch_and_a_palette() -> None:
    image = Image.open(io.BytesIO(rendered(figure(), "png", "")))
    assert image.size == (300, 150)
    assert image.mode == "P"


def test_weights_are_labelled_without_powers() -> None:
    made = figure()
    made.draw_without_rendering()
    labels = {label.get_text() for label in made.axes[0].get_xticklabels()}
    assert {"0.01", "1", "100"} <= labels
