"""Fewer resamples, for tests that do not check intervals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pwm.analysis import estimates


@contextmanager
def few_resamples(number: int = 20) -> Iterator[None]:
    """Computes intervals in the block from few resamples, to save time; estimates stay the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimates, "RESAMPLES", number)
        estimates.resampled.cache_clear()
        yield
    estimates.resampled.cache_clear()
