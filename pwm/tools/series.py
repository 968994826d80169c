"""One-dimensional series from any library: curves, and the values or returns of a batch."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

Series = Collection[Any]  # a list, a NumPy array, or a tensor without gradient


def floats(series: Series) -> list[float]:
    """The numbers of a series as Python floats."""
    return [float(number) for number in series]
