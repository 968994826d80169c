"""Statistics and claims are bit-identical whichever instructions the processor supports."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from pwm.analysis import edges
from pwm.analysis.estimates import Estimate, interval, resampled, rounded, slope
from tests.tools.processors import OLDEST, VARIANTS, computed

WEIGHTS = np.geomspace(0.05, 50, 12)
STATISTICS = "from tests.test_processors import statistics; print(statistics())"
CLAIMS = """
import json
from pwm.claims.__main__ import claims, numbers
from tests.claims.worlds import MadeUp
print(json.dumps(numbers(list(claims(MadeUp())))))
"""


def learned(edge: float) -> NDArray[np.bool_]:
    """Whether each of some made-up runs with a known edge learned, [W, S]."""
    drawn = np.random.default_rng(0).random((len(WEIGHTS), 24))
    return np.asarray(drawn < 0.8 / (1 + edge / WEIGHTS[:, None]))


def statistics() -> list[tuple[float, ...]]:
    """Rounded estimates, computed by a grid search, a fit, logarithms, powers and long sums."""
    found = [edges.lower_edges(WEIGHTS.tolist(), learned(edge)) for edge in (0.3, 2.0, 8.0)]
    power = slope(np.log([0.3, 2.0, 8.0]), np.log(found))
    means = np.exp(np.log(WEIGHTS[resampled(len(WEIGHTS))]).mean(axis=1)) ** 0.3
    climbs = [math.exp(weight / 40) + math.tanh(weight) for weight in WEIGHTS]
    made = [interval(each) for each in (*found, power, means)] + [Estimate(*climbs[:3])]
    return [tuple(map(rounded, each)) for each in made]


def test_statistics_are_the_same_with_the_oldest_instructions() -> None:
    assert computed(["-c", STATISTICS], OLDEST).strip() == str(statistics())


@pytest.mark.machine
@pytest.mark.parametrize("variant", VARIANTS)
def test_claims_are_the_same_with_each_set_of_instructions(variant: str, expected: str) -> None:
    assert computed(["-c", CLAIMS], VARIANTS[variant]) == expected


@pytest.fixture(scope="module")
def expected() -> str:
    """All claims about made-up runs, in JSON, computed with all instructions available here."""
    return computed(["-c", CLAIMS], {})
