"""Claims hold of runs that are as the paper says, and notice runs that are not."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from pwm.claims import NUMBERS, claims, numbers
from pwm.evidence import Claim, Evidence
from pwm.experiments import EXPERIMENTS
from pwm.quoted import quoted
from tests.worlds import MadeUp, World


@pytest.fixture(scope="module")
def as_said() -> list[Claim]:
    return list(claims(MadeUp()))


def broken(evidence: Evidence) -> set[str]:
    return {claim.name for claim in claims(evidence) if not claim.holds}


def test_claims_hold_of_runs_that_are_as_the_paper_says(as_said: list[Claim]) -> None:
    assert [claim.name for claim in as_said if not claim.holds] == []


def test_every_claim_has_a_name_of_its_own_and_experiments(as_said: list[Claim]) -> None:
    assert len({claim.name for claim in as_said}) == len(as_said)
    for claim in as_said:
        assert claim.name.startswith("claim.")
        assert set(claim.experiments) <= set(EXPERIMENTS)
        assert claim.low <= claim.high
        assert not claim.estimate.low > claim.estimate.high


def test_a_lost_detach_is_noticed() -> None:
    found = broken(MadeUp(World(leaks=lambda _run: True)))
    assert {"claim.low-detached-15-0.001", "claim.no-bias-0.001"} <= found
    assert {"claim.separate-detached-15-0.2", "claim.noise-constant-lengths-15"} <= found


def test_a_detach_too_many_is_noticed() -> None:
    found = broken(MadeUp(World(leaks=lambda _run: False)))
    assert {
        "claim.low-attached-15-0.001",
        "claim.edge-attached",
        "claim.noise-constant-lengths-15",
    } <= found


def test_a_leak_three_times_as_strong_is_noticed() -> None:
    strong = World(noise=lambda run: 3 * World.noise(run))
    found = broken(MadeUp(strong))
    assert {"claim.noise-constant-lengths-15", "claim.noise-constant-separate-15"} <= found
    assert {"claim.first-steps-6", "claim.edges-ratio", "claim.edge-ratio"} <= found


def test_an_edge_at_a_fixed_weight_is_noticed() -> None:
    found = broken(MadeUp(World(noise=lambda _run: 6.5)))
    assert {"claim.exponent-trial", "claim.edges-ratio", "claim.noise-constant-trial-6"} <= found


def test_a_mean_in_place_of_a_sum_is_noticed() -> None:
    mean = World(noise=lambda run: World.noise(run) / run.task.episode_length)
    found = broken(MadeUp(mean))
    assert {
        "claim.first-steps-6",
        "claim.edge-attached",
        "claim.noise-constant-lengths-15",
    } <= found


def test_a_critic_that_takes_nothing_is_noticed() -> None:
    found = broken(MadeUp(World(sharing=0.0)))
    assert {"claim.exponent-sharing-15", "claim.upper-60", "claim.share-60-100"} <= found


def test_a_factor_of_two_in_the_bias_is_noticed() -> None:
    assert {"claim.bias-0.005", "claim.bias-0.001"} <= broken(MadeUp(World(bias=2.0)))


def test_a_broken_identity_is_noticed() -> None:
    assert {"claim.identity-15-1", "claim.identity-60-5"} <= broken(MadeUp(World(identity=1.5)))


def test_a_head_that_keeps_what_it_learned_is_noticed() -> None:
    assert "claim.kept-head" in broken(MadeUp(World(head_unlearns=False)))


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
