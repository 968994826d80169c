"""Figures of the paper's experiments and of runs of `pwm.train`, drawn without a display.

Each of the paper's figures has a function that takes the experiments' outcomes (`Evidence`), and
returns the figure and a table of the numbers shown.
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
_VARIABLES = ("MPLBACKEND", "MATPLOTLIBRC")
_users_values = {name: os.environ.pop(name) for name in _VARIABLES if name in os.environ}
os.environ["MATPLOTLIBRC"] = os.devnull
try:
    with chdir(Path(__file__).parent):  # a matplotlibrc in the working folder comes first
        import matplotlib as mpl  # noqa: F401, so that all later imports find it
finally:
    del os.environ["MATPLOTLIBRC"]
    os.environ.update(_users_values)
