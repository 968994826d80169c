"""Fixed points and noise of other targets, compared with recursions and enumerations."""

from __future__ import annotations

import itertools
from dataclasses import replace
from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pwm.analysis.targets import Targets
from pwm.analysis.theory import mean_return, value_floor
from pwm.core.leak import critic_bias, leak_temperature, start_entropy
from pwm.experiments.fifth import GROUPS, STARTS


@st.composite
def targets(draw: st.DrawFn) -> Targets:
    length = draw(st.integers(1, 4))
    return Targets(
        steps=length * draw(st.integers(1, 5)),
        trial_length=length,
        discount=draw(st.floats(0.1, 1.0)),
        trace_decay=draw(st.floats(0.0, 1.0)),
        horizon=draw(st.sampled_from(["episode", "trial"])),
        temperature=draw(st.floats(0.0, 5.0)),
        leaking_targets=draw(st.booleans()),
        success=draw(st.floats(0.1, 0.9)),
    )


def returns(one: Targets, rewards: list[float], values: list[float]) -> list[float]:
    """λ-returns, [T], by recursion backwards from the end of the episode or trial."""
    found = [0.0] * one.steps
    for step in reversed(range(one.steps)):
        ends = step + 1 == one.steps or (
            one.horizon == "trial" and (step + 1) % one.trial_length == 0
        )
        mixed = 0.0
        if not ends:
            later = (1 - one.trace_decay) * values[step + 1] + one.trace_decay * found[step + 1]
            mixed = one.discount * later
        found[step] = rewards[step] + mixed
    return found


def mean_rewards(one: Targets) -> list[float]:
    last = one.trial_length - 1
    return [one.success * (step % one.trial_length == last) for step in range(one.steps)]


def entropies(one: Targets) -> list[float]:
    last = one.trial_length - 1
    return [log(2) if step % one.trial_length == last else log(3) for step in range(one.steps)]


def pulled(one: Targets, values: list[float], step: int) -> float:
    """Derivative of -Σ (G - v) H with respect to a step's value, through attached values only."""

    def loss(change: float) -> float:
        moved = [value + change * (place == step) for place, value in enumerate(values)]
        inside = moved if one.leaking_targets else values
        found = returns(one, mean_rewards(one), inside)
        differences = (target - value for target, value in zip(found, moved, strict=True))
        return -sum(a * h for a, h in zip(differences, entropies(one), strict=True))

    return loss(0.5) - loss(-0.5)


@given(one=targets())
@settings(max_examples=60, deadline=None)
def test_at_the_fixed_point_no_phase_is_pulled(one: Targets) -> None:
    values = list(one.fixed_point)
    found = returns(one, mean_rewards(one), values)
    for phase in range(one.trial_length):
        pull = sum(
            found[step] - values[step] + one.temperature * pulled(one, values, step)
            for step in range(phase, one.steps, one.trial_length)
        )
        assert pull == pytest.approx(0, abs=1e-8 * (1 + one.temperature * one.steps**2))


@given(one=targets())
@settings(max_examples=30, deadline=None)
def test_noise_and_mean_variance_are_those_of_all_outcomes(one: Targets) -> None:
    trials, values = one.steps // one.trial_length, list(one.fixed_point)
    square = mean = mean_square = 0.0
    for outcome in itertools.product((0.0, 1.0), repeat=trials):
        chance = float(np.prod([one.success if won else 1 - one.success for won in outcome]))
        rewards = [0.0] * one.steps
        rewards[one.trial_length - 1 :: one.trial_length] = outcome
        errors = np.subtract(returns(one, rewards, values), values)
        square += chance * float(np.square(errors).mean())
        mean += chance * errors.mean()
        mean_square += chance * errors.mean() ** 2
    assert one.noise == pytest.approx(sqrt(square), rel=1e-9)
    assert one.mean_variance == pytest.approx(mean_square - mean**2, abs=1e-9)


@pytest.mark.parametrize("steps", [6, 15, 60])
def test_whole_returns_have_the_closed_forms(steps: int) -> None:
    one = Targets(steps=steps, temperature=leak_temperature(steps, 5.0))
    assert one.mean_return == pytest.approx(mean_return(0.5, steps // 3))
    assert one.bias == pytest.approx(critic_bias(steps, start_entropy(3), 5.0))
    assert one.unbiased.noise == pytest.approx(sqrt(value_floor(0.5, steps // 3)))
    assert one.pull == 1
    assert replace(one, leaking_targets=True).bias == pytest.approx(one.bias)


def test_without_a_horizon_the_bias_has_its_two_factors() -> None:
    far = Targets(steps=500, trial_length=1, discount=0.9, trace_decay=0.5, entropy=1.0)
    leaking = replace(far, temperature=3.0)
    assert leaking.bias - far.bias == pytest.approx(3 * (1 - 0.45) / (1 - 0.9), rel=0.05)
    assert replace(leaking, leaking_targets=True).bias - far.bias == pytest.approx(3, rel=0.05)
    assert leaking.excess < 0.2 * leaking.bias  # the target is as biased as the value


def test_a_critic_off_by_one_is_off_its_targets_by_the_pull() -> None:
    one = Targets(steps=15, discount=0.9, trace_decay=0.3)
    shifted = np.subtract(
        returns(one, [0.0] * 15, [1.0] * 15), returns(one, [0.0] * 15, [0.0] * 15)
    )
    assert one.pull == pytest.approx(1 - shifted.mean())


@pytest.mark.parametrize(("group", "steps"), STARTS)
def test_bootstrapped_critics_start_at_their_fixed_points(group: str, steps: int) -> None:
    for variant, starts in STARTS[group, steps].items():
        for weight, start in starts.items():
            one = Targets(steps=steps, **GROUPS[group])
            if variant != "light":
                temperature = leak_temperature(steps, weight)
                leaking_targets = variant == "all"
                one = replace(one, temperature=temperature, leaking_targets=leaking_targets)
            assert start == float(f"{one.mean_value:.4g}")
