"""Rendering of figures: the same figure gives the same bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

STYLE = Path(__file__).with_name("style.mplstyle")
"""The style sheet that every figure is drawn with."""
PALETTE = 256  # colours in a PNG
Format = Literal["png", "svg"]


def rendered(figure: Figure, kind: Format, source: str) -> bytes:
    """Renders a figure; returns the content of its file, the same each time.

    Args:
        figure: the figure.
        kind: format of the file.
        source: the function and the data behind the figure, for the file's metadata.
    """
    with mpl.rc_context(fname=STYLE):
        return _svg(figure, source) if kind == "svg" else _png(figure, source)


def _svg(figure: Figure, source: str) -> bytes:
    """Renders a figure as SVG, without the date."""
    FigureCanvasSVG(figure)  # becomes the figure's canvas
    metadata = {"Description": source, "Date": None, "Creator": "pwm"}
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata=metadata)
    return content.getvalue()


def _png(figure: Figure, source: str) -> bytes:
    """Renders a figure as PNG, with a palette, which makes the file three times smaller."""
    FigureCanvasAgg(figure)  # becomes the figure's canvas
    picture = io.BytesIO()
    figure.savefig(picture, format="png", pil_kwargs={"compress_level": 1})
    image = Image.open(picture).convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE)
    metadata = PngInfo()
    metadata.add_text("Description", source)
    metadata.add_text("Software", "pwm")
    content = io.BytesIO()
    image.save(content, "png", optimize=True, dpi=(figure.dpi, figure.dpi), pnginfo=metadata)
    return content.getvalue()
