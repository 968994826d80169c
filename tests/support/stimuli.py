"""Stimulus sets added for a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import pwm.core.task
from pwm.core.task import STIMULUS_SETS

ALL_PAIRS = [first + second for first in "ABCDE" for second in "ABCDE" if first != second]


@contextmanager
def stimulus_set(pairs: Any) -> Iterator[str]:
    """Adds a stimulus set within the block; yields its name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pwm.core.task, "STIMULUS_SETS", {**STIMULUS_SETS, "another": pairs})
        yield "another"
