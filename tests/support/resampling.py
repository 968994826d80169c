"""Fewer resamples, for tests that do not check intervals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pwm.analysis import estimates


@contextmanager
def few_resamples(number: int = 20) -> Iterator[None]:
    """Computes intervals from a few resamples in the block, to save time; values do not change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimates, "RESAMPLES", number)
        estimates.resampled.cache_clear()
        yield
    estimates.resampled.cache_clear()
