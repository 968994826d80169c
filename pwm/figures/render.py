"""Rendering of figures: a figure drawn anew from the same data gives the same bytes."""

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
    """Renders a figure; returns the content of its file, whose metadata contain the text `source`.

    A figure rendered again gives other bytes, as a constrained layout starts from the last one.
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
