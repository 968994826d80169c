"""Rendering of figures: the same figure gives the same bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

STYLE = Path(__file__).with_name("style.mplstyle")
"""The style sheet that every figure is drawn with."""
Format = Literal["png", "svg"]


def rendered(figure: Figure, kind: Format, source: str) -> bytes:
    """Renders a figure; returns the content of its file, the same each time.

    The file's metadata contain `source`, text that says where the figure comes from.
    """
    content = io.BytesIO()
    with mpl.rc_context(fname=STYLE):
        if kind == "svg":
            metadata = {"Description": source, "Date": None, "Creator": "pwm"}
            figure.savefig(content, format="svg", metadata=metadata)
            return content.getvalue()
        figure.savefig(content, format="png", pil_kwargs={"compress_level": 1})  # optimised below
    # A palette of 256 colours makes the file three times smaller.
    image = Image.open(content).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    text = PngInfo()
    text.add_text("Description", source)
    text.add_text("Software", "pwm")
    small = io.BytesIO()
    image.save(small, "png", optimize=True, dpi=(figure.dpi, figure.dpi), pnginfo=text)
    return small.getvalue()
