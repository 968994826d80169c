"""Rendering of figures to the same bytes each time, and their common style."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pwm.analysis.estimates import Estimate

STYLE = Path(__file__).with_name("style.mplstyle")
"""The style sheet that every figure is drawn with."""
WIDTH = 6.5  # inches, the paper's text width
BASELINES = {"attached": "#D55E00", "detached": "#0072B2"}
"""Colours by baseline."""
PALETTE = 256  # colours in a PNG
Format = Literal["png", "svg"]


def rendered(figure: Figure, kind: Format, source: str) -> bytes:
    """A figure as the bytes of a file.

    Args:
        figure: the figure.
        kind: format of the file.
        source: the function and the data behind the figure, for the file's metadata.
    """
    buffer = io.BytesIO()
    with mpl.rc_context(fname=STYLE):
        if kind == "svg":
            FigureCanvasSVG(figure)
            origin = {"Description": source, "Date": None, "Creator": "pwm"}
            figure.savefig(buffer, format="svg", metadata=origin)
            return buffer.getvalue()
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", pil_kwargs={"compress_level": 1})
    metadata = PngInfo()
    metadata.add_text("Description", source)
    metadata.add_text("Software", "pwm")
    # A palette makes the file three times smaller.
    image = Image.open(buffer).convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE)
    content = io.BytesIO()
    image.save(content, "png", optimize=True, dpi=(figure.dpi, figure.dpi), pnginfo=metadata)
    return content.getvalue()


def point(
    axes: Axes, x: float, estimate: Estimate, finished: bool, colour: str, marker: str = "o"
) -> None:
    """Draws a slowdown with its interval, or an arrow from its bound if fewer than half learned."""
    value, low, high = estimate
    if finished:
        axes.errorbar(x, value, [[max(value - low, 0)], [max(high - value, 0)]], color=colour,
                      marker=marker, markersize=2.8, linewidth=0.7)  # fmt: skip
    else:
        arrow = {"arrowstyle": "->", "color": colour, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (x, value * 1.35), (x, value), annotation_clip=True, arrowprops=arrow)


def without_powers(axis: Axis) -> None:
    """Labels a logarithmic axis 0.1, 1, 10 rather than in powers of ten, with ticks at 2 and 5."""
    axis.set_minor_locator(LogLocator(subs=(2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
