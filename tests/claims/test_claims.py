"""Claims hold in a world that is as the paper says, and fail in worlds that are not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from types import ModuleType

import numpy as np
import pytest

from pwm.analysis.estimates import Estimate
from pwm.analysis.evidence import Evidence
from pwm.claims.claim import Claim, number
from pwm.claims.constants import quoted
from pwm.claims.every import MODULES, claims, numbers
from pwm.claims.predictions import if_right
from pwm.experiments import EXPERIMENTS
from tests.claims.worlds import BROKEN, MadeUp

WORLDS = "tests/claims/worlds.py"


@pytest.fixture(scope="module")
def found() -> list[Claim]:
    return list(claims(MadeUp()))


def claims_of(modules: Iterable[ModuleType], evidence: Evidence) -> list[Claim]:
    """All claims that the modules make."""
    return [claim for module in modules for group in module.GROUPS for claim in group(evidence)]


@lru_cache
def failing(world: str) -> frozenset[str]:
    """Claims that do not hold in a broken world."""
    return frozenset(claim.name for claim in claims(MadeUp(BROKEN[world])) if not claim.holds)


def test_claims_hold_in_a_world_that_is_as_the_paper_says(found: list[Claim]) -> None:
    failed = {claim.name: (claim.text, claim.band) for claim in found if not claim.holds}
    assert not failed, f"in {WORLDS}, give `World` the law behind each of these: {failed}"


def test_every_claim_fails_in_some_world(found: list[Claim]) -> None:
    safe = {claim.name for claim in found}.difference(*map(failing, BROKEN))
    assert not safe, f"in {WORLDS}, add to BROKEN a world in which each of these is false: {safe}"


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        (
            "every run leaks",
            {"low-detached-15-0.001", "no-bias-0.001", "noise-constant-lengths-15"},
        ),
        ("no run leaks", {"low-attached-15-0.001", "noise-constant-separate-15"}),
        (
            "a leak three times as strong",
            {"noise-constant-lengths-15", "first-steps-6", "edges-ratio"},
        ),
        ("an edge at a fixed weight", {"exponent-trial", "noise-constant-trial-6"}),
        ("a mean instead of a sum", {"first-mean-15-steps", "fixed-point-constant-15"}),
        (
            "a critic that leaves the trunk alone",
            {"upper-60", "share-60-100"},
        ),
        ("no climb", {"distance-below-5.25-10", "fourth-reward-10", "middling-raw-60"}),
        (
            "a climb that centring does not shorten",
            {"fixed-point-error", "fourth-centred", "least-centred-detached-60-0.001"},
        ),
        ("a start above that costs nothing", {"fourth-above", "fourth-rates"}),
        ("twice the bias", {"bias-0.005", "bias-0.001"}),
        ("a head that forgets nothing", {"kept-head"}),
        ("an identity that fails", {"identity-15-1", "identity-60-5"}),
    ],
)
def test_claims_notice_what_is_broken(world: str, expected: set[str]) -> None:
    assert expected <= failing(world)


def test_every_claim_has_its_own_name_and_text_a_band_and_experiments(found: list[Claim]) -> None:
    for field in ("name", "says"):
        assert len({getattr(claim, field) for claim in found}) == len(found)
    for claim in found:
        assert claim.band[0] <= claim.band[1]
        assert len(claim.experiments) == len(set(claim.experiments)) > 0
        assert set(claim.experiments) <= set(EXPERIMENTS)
        assert not claim.estimate.low > claim.estimate.high


def test_claims_name_every_experiment_that_they_rest_on() -> None:
    by_module = {module: claims_of([module], MadeUp()) for module in MODULES}
    before = {claim.name: claim.estimate for found in by_module.values() for claim in found}

    def changed(modules: Iterable[ModuleType], spoiled: set[str]) -> set[str]:
        """Claims of some modules that change with experiments that they do not name."""
        return {
            claim.name
            for claim in claims_of(modules, MadeUp(spoiled=spoiled))
            if spoiled.isdisjoint(claim.experiments)
            and not np.array_equal(claim.estimate, before[claim.name], equal_nan=True)
        }

    # Experiments named by the same claims are spoiled together. If a single module names them, only
    # its claims are recomputed; other modules' claims are, once, with all its experiments spoiled.
    owned: dict[ModuleType, set[str]] = {module: set() for module in MODULES}
    alike: dict[frozenset[str], set[str]] = {}
    owners: dict[frozenset[str], list[ModuleType]] = {}
    for name in EXPERIMENTS:
        naming = {
            module: {claim.name for claim in found if name in claim.experiments}
            for module, found in by_module.items()
        }
        resting = frozenset[str]().union(*naming.values())
        alike.setdefault(resting, set()).add(name)
        owners[resting] = [module for module, names in naming.items() if names]
        if len(owners[resting]) == 1:
            owned[owners[resting][0]].add(name)
    for resting, spoiled in alike.items():
        modules = owners[resting] if len(owners[resting]) == 1 else MODULES
        assert changed(modules, spoiled) == set(), spoiled
    for module, spoiled in owned.items():
        assert changed(set(MODULES) - {module}, spoiled) == set(), spoiled


def test_numbers_hold_claims_and_quoted_constants(found: list[Claim]) -> None:
    written = numbers(found)
    assert set(written) == {f"claim.{claim.name}" for claim in found} | set(quoted())
    for claim in found:
        entry = written[f"claim.{claim.name}"]
        assert entry["text"].startswith(entry["value"])
        assert ("[" in entry["text"]) != math.isnan(claim.estimate.low)
        assert entry["says"] == claim.says
        assert entry["command"].endswith(claim.experiments[-1])
        assert entry["minutes"] > 0


def claim(value: float, low: float = math.nan, high: float = math.nan, digits: int = 2) -> Claim:
    return Claim(
        name="it",
        says="it is so",
        estimate=Estimate(value, low, high),
        band=(0.5, 1.5),
        experiments=("mean",),
        digits=digits,
    )


def test_a_claim_holds_within_its_band_ends_included() -> None:
    assert [claim(value).holds for value in (0.5, 1.0, 1.5)] == [True] * 3
    assert [claim(value).holds for value in (0.49, 1.51, math.nan)] == [False] * 3


def test_the_text_of_a_claim_is_its_number_with_its_interval() -> None:
    assert claim(1.0).text == "1.00"
    assert claim(1234.56, 0.123, math.inf, digits=1).text == "1,234.6 [0.1, inf]"
    assert claim(-0.001, -0.2, 0.004).text == "0.00 [-0.20, 0.00]"


def test_a_claim_has_no_digits_in_which_processors_differ() -> None:
    assert claim(0.1 + 0.2, 2 / 3, math.inf).estimate == (0.3, 0.666666667, math.inf)
    assert number(1 / 3)["value"] == 0.333333333
    assert isinstance(number(5)["value"], int)


def test_numbers_are_valid_json_where_a_band_or_an_interval_has_no_end() -> None:
    entry = numbers([claim(1.0, 0.5, math.inf)])["claim.it"]
    assert entry["interval"] == [0.5, None]
    assert entry["band"] == [0.5, 1.5]


def test_a_prediction_is_right_within_a_factor_of_two() -> None:
    assert if_right(3.0) == (1.5, 6.0)
