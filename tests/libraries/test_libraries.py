"""Rows of `conventions.toml` agree with the libraries themselves, where they are installed.

They need separate environments. `python -m tests.libraries` runs those that are installed, and
writes the results into the documentation.
"""

from __future__ import annotations

import pytest

from pwm.analysis.conventions import CONVENTIONS
from tests.libraries.batch import SPREADS, expected, largest_difference, make_batch
from tests.libraries.installed import FRAMEWORKS, Found, loss_of, tolerance, weight_error

pytestmark = [pytest.mark.machine, pytest.mark.filterwarnings("default")]  # importing them warns
NAMES = [name for names in FRAMEWORKS.values() for name in names]


def run(name: str) -> Found:
    """A library's loss, or a skip that says what is missing."""
    found = loss_of(name)
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_gradients_and_the_default_weight_are_those_of_the_library(name: str) -> None:
    loss, ddof, _ = run(name)
    for spread in SPREADS:
        batch = make_batch(spread, ddof)
        found, wanted = loss(batch), expected(CONVENTIONS[name], batch, ddof)
        assert found.weight == wanted.weight
        assert largest_difference(found, wanted) < tolerance(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_weight_found_from_the_loss_alone_is_that_of_the_table(name: str) -> None:
    error = weight_error(name, run(name))
    row = CONVENTIONS[name]
    if error is None:
        assert row.attached
        assert row.normalises
    else:
        assert error < 1e-5
