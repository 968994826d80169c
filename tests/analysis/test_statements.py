"""A right statement is not sure if its number's interval leaves the region."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from pwm.analysis.estimates import Estimate
from pwm.analysis.statements import Statement

STATEMENT = Statement(
    name="it", says="a number", estimate=Estimate(1.0), region=(0.5, 1.5), experiments=()
)


@pytest.mark.parametrize(
    ("estimate", "right", "unsure"),
    [
        (Estimate(1.0, 0.5, 1.5), True, False),
        (Estimate(1.0, 0.4, 1.5), True, True),
        (Estimate(1.0, 0.5, inf), True, True),
        (Estimate(1.0), True, False),  # no interval
        (Estimate(2.0, 1.4, 3.0), False, False),
    ],
)
def test_a_right_number_may_not_be_sure(estimate: Estimate, right: bool, unsure: bool) -> None:
    found = replace(STATEMENT, estimate=estimate)
    assert (found.right, found.unsure) == (right, unsure)
    assert not replace(found, otherwise=True).unsure
