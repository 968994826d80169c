"""Claims hold of runs that are as the paper says, and notice runs that are not."""

from __future__ import annotations

import json
import math
from functools import lru_cache

import numpy as np
import pytest

from pwm.claims.__main__ import NUMBERS, claims, numbers
from pwm.claims.claim import Claim
from pwm.claims.constants import quoted
from pwm.experiments import EXPERIMENTS
from tests.claims.worlds import BROKEN, MadeUp


@pytest.fixture(scope="module")
def as_said() -> list[Claim]:
    return list(claims(MadeUp()))


@lru_cache
def broken(name: str) -> frozenset[str]:
    """Claims that do not hold in a world."""
    found = claims(MadeUp(BROKEN[name]))
    return frozenset(claim.name.removeprefix("claim.") for claim in found if not claim.holds)


def test_claims_hold_of_runs_that_are_as_the_paper_says(as_said: list[Claim]) -> None:
    assert [claim.name for claim in as_said if not claim.holds] == []


def test_every_claim_has_a_name_of_its_own_and_experiments(as_said: list[Claim]) -> None:
    assert len({claim.name for claim in as_said}) == len(as_said)
    for claim in as_said:
        assert claim.name.startswith("claim.")
        assert set(claim.experiments) <= set(EXPERIMENTS)
        assert claim.low <= claim.high
        assert not claim.estimate.low > claim.estimate.high


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "a detach lost",
            {"low-detached-15-0.001", "no-bias-0.001", "noise-constant-lengths-15"},
        ),
        ("a detach too many", {"low-attached-15-0.001", "noise-constant-separate-15"}),
        (
            "a leak three times as strong",
            {"noise-constant-lengths-15", "first-steps-6", "edges-ratio"},
        ),
        ("an edge at a fixed weight", {"exponent-trial", "noise-constant-trial-6"}),
        ("a mean in place of a sum", {"first-steps-6", "noise-constant-lengths-15"}),
        ("a critic that takes nothing", {"exponent-sharing-15", "upper-60", "share-60-100"}),
        ("a factor of two in the bias", {"bias-0.005", "bias-0.001"}),
        ("a head that keeps what it learned", {"kept-head"}),
        ("an identity that fails", {"identity-15-1", "identity-60-5"}),
    ],
)
def test_what_breaks_is_noticed(name: str, expected: set[str]) -> None:
    assert expected <= broken(name)


def test_every_claim_is_broken_by_some_world(as_said: list[Claim]) -> None:
    every = {claim.name.removeprefix("claim.") for claim in as_said}
    assert every - frozenset().union(*map(broken, BROKEN)) == set()


def test_a_claim_names_every_experiment_that_it_rests_on(as_said: list[Claim]) -> None:
    before = {claim.name: claim for claim in as_said}
    for name in ("separate", "held-out", "by-hand", "leak-parts", "mean", "trial-length-4"):
        changed = MadeUp(spoiled=name)
        for claim in claims(changed):
            one, other = claim.estimate, before[claim.name].estimate
            same = np.array_equal(one, other, equal_nan=True)
            assert same or name in claim.experiments, claim.name


def test_the_text_of_a_claim_is_its_number_and_interval(as_said: list[Claim]) -> None:
    written = numbers(as_said)
    for claim in as_said:
        text = written[claim.name]["text"]
        assert text.startswith(f"{claim.estimate.value:,.{claim.digits}f}")
        assert ("[" in text) != math.isnan(claim.estimate.low)
    assert set(quoted()) <= set(written)


def test_the_published_numbers_are_those_that_are_claimed(as_said: list[Claim]) -> None:
    published = json.loads(NUMBERS.read_text())
    assert set(published) == set(numbers(as_said))
    for name, number in quoted().items():
        assert published[name] == number
