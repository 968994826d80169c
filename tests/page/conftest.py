"""The published runs, numbered as on the page."""

from __future__ import annotations

import pytest

from pwm.analysis.published import Published
from pwm.page.content import Runs, different_runs


@pytest.fixture(scope="session")
def published_runs() -> Runs:
    return different_runs(Published.read())
