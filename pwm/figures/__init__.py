"""Figures of the paper's experiments and of single runs, written to files without a display.

Each of the paper's figures has a function that takes the evidence, and returns the figure and a
table of the numbers shown.
"""

from __future__ import annotations

import logging
import os
from contextlib import chdir
from pathlib import Path

# Matplotlib warns if it cannot write to the folder of its cache, which does not matter here.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
# A user's backend or matplotlibrc may make matplotlib's import fail. Figures get their whole style
# from `style.mplstyle`, on top of matplotlib's defaults.
_NAMES = ("MPLBACKEND", "MATPLOTLIBRC")
_hidden = {name: os.environ.pop(name) for name in _NAMES if name in os.environ}
os.environ["MATPLOTLIBRC"] = os.devnull
try:
    with chdir(Path(__file__).parent):  # a matplotlibrc in the working folder comes first
        import matplotlib as mpl  # noqa: F401, so that all later imports find it
finally:
    del os.environ["MATPLOTLIBRC"]
    os.environ.update(_hidden)
