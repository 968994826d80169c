"""Curves and batches, from whatever library they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class Series(Protocol):
    """Numbers in a row: a list, an array of NumPy, or a tensor without gradient."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...


def floats(series: Series) -> list[float]:
    """The numbers of a series."""
    return [float(number) for number in series]
