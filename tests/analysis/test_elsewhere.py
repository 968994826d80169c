"""Laws of other settings: the published predictions are theirs, and each agrees with an oracle."""

from __future__ import annotations

from dataclasses import replace
from math import inf, log, sqrt

import numpy as np
import pytest
import torch

from pwm.analysis.climb import Optimiser, Setting, climb_slowdown
from pwm.analysis.elsewhere import (
    BIAS,
    LAG,
    NOTHING,
    TIMES,
    accounts,
    bias_terms,
    huber_bias,
    law_edge,
    normalised_bias,
    predicted_time,
    time_as_before,
)
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import LAW
from pwm.core.config import TrainConfig
from pwm.core.leak import leak_temperature
from pwm.experiments import EXPERIMENTS
from pwm.experiments.fifth import LIGHT, WEIGHTS
from pwm.runs.fields import replaced

FIFTH = predictions()["fifth"]
CELLS = [(name, weight) for name, cells in FIFTH["slowdown"].items() for weight in cells]
PLAIN = EXPERIMENTS["start-mean"].base


def cell(name: str, weight: str) -> TrainConfig:
    return replace(EXPERIMENTS[name].base, critic_weight=float(weight))


def light(condition: str) -> TrainConfig:
    group = condition.rpartition("-")[0]
    return cell(f"fifth-{condition}-light", f"{LIGHT.get(group, 0.1)}")


def rounded(value: float) -> float:
    return float(f"{value:.3g}")


@pytest.mark.parametrize(("name", "weight"), CELLS)
def test_the_published_slowdowns_are_those_of_the_accounts(name: str, weight: str) -> None:
    (condition,) = (
        f"{group}-{steps}" for group, steps in WEIGHTS if name.startswith(f"fifth-{group}-{steps}-")
    )
    found = accounts(cell(name, weight), light(condition))
    assert FIFTH["slowdown"][name][weight] == {key: rounded(one) for key, one in found.items()}
    if weight in FIFTH["bias"].get(name, ()):
        terms = [rounded(term) for term in bias_terms(cell(name, weight))]
        assert FIFTH["bias"][name][weight] == pytest.approx(terms, abs=1e-9)


def test_the_published_times_are_those_of_the_accounts() -> None:
    for condition, times in FIFTH["light"].items():
        run = light(condition)
        expected = {LAW: predicted_time(run), NOTHING: time_as_before(run)}
        assert times == {key: rounded(one) for key, one in expected.items()}


def test_in_the_first_studies_setting_both_accounts_are_the_law_of_the_climb() -> None:
    for steps in (15, 60):
        still = replaced(PLAIN, {"episode_length": steps, "critic_weight": 0.1})
        assert predicted_time(still) == pytest.approx(TIMES[steps], rel=0.002)
        run = replaced(PLAIN, {"episode_length": steps, "critic_start": 0.0, "critic_weight": 10.0})
        by_the_law = climb_slowdown(Setting(steps=steps, critic_weight=10.0))
        slowed = (predicted_time(run) - LAG) / (TIMES[steps] - LAG)
        assert slowed == pytest.approx(by_the_law, rel=0.1)  # RMSprop's first steps
        assert time_as_before(run) == predicted_time(run)


def test_batches_cost_their_root_and_then_in_proportion() -> None:
    adam = replaced(PLAIN, {"episode_length": 60, "critic_weight": 0.1, "optimizer": "adam"})
    times = {
        size: predicted_time(replaced(adam, {"episodes_per_update": size, "num_episodes": 2**30}))
        - LAG
        for size in (1, 4, 2**14, 2**16)
    }
    assert times[4] / times[1] == pytest.approx(2, rel=0.02)
    assert times[2**16] / times[2**14] == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize("weight", [0.01, 1.0, 100.0])
def test_the_bias_of_normalised_advantages_balances(weight: float) -> None:
    run = replaced(PLAIN, {"episode_length": 15, "critic_weight": weight})
    within, bias = 1.25 - 0.55, normalised_bias(run)
    entropies = np.array([log(3), log(3), log(2)])
    leaked = leak_temperature(15, weight) * entropies.std() / sqrt(within + bias**2)
    assert bias == pytest.approx(leaked)


def test_huber_bounds_what_an_error_can_hold_against_the_leak() -> None:
    run = replaced(PLAIN, {"episode_length": 15, "critic_weight": 10.0})
    assert huber_bias(run, 4 / 3, 0.5) == inf
    assert huber_bias(run, 1.3, 0.5) < inf
    mean, generator = 1.5, np.random.default_rng(0)
    left = generator.integers(1, 6, size=200_000)
    value = mean + huber_bias(run, 0.8, 0.5)
    clipped = np.clip(generator.binomial(left, 0.5) - value, -1, 1).mean()
    assert clipped == pytest.approx(-0.75 * 0.8, abs=0.01)
    assert huber_bias(run, 0.0, 0.5) == pytest.approx(-0.1, abs=0.1)  # about the median


def test_only_bootstrapped_and_attached_critics_have_the_account_of_the_bias() -> None:
    named = {
        name for name, cells in FIFTH["slowdown"].items() for one in cells.values() if BIAS in one
    }
    assert named == {
        name for name in FIFTH["slowdown"] if "-td-" in name or "-gae-" in name if "raw" not in name
    }


@pytest.mark.parametrize("corrected", [True, False])
def test_optimisers_step_as_those_of_pytorch(corrected: bool) -> None:
    parameter = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    of_torch: torch.optim.Optimizer
    if corrected:
        of_torch = torch.optim.Adam([parameter], lr=1.0, betas=(0.9, 0.97), eps=0)
        ours = Optimiser(square_decay=0.97, momentum_decay=0.9, corrected=True)
    else:
        of_torch = torch.optim.RMSprop([parameter], lr=1.0, alpha=0.97, eps=0)
        ours = Optimiser(square_decay=0.97)
    steps, moved = ours.steps(), 0.0
    next(steps)
    for gradient in (3.0, -1.0, 0.5, 0.5, 2.0):
        parameter.grad = torch.tensor([gradient], dtype=torch.float64)
        of_torch.step()
        moved -= steps.send((gradient, gradient**2))
        assert moved == pytest.approx(parameter.item())


def test_at_the_laws_edges_learning_takes_twice_as_long() -> None:
    steady = replaced(PLAIN, {"episode_length": 60, "critic_weight": 0.1})
    leaking = replaced(steady, {"baseline": "attached", "critic_start": "fixed-point"})
    for run in (replace(steady, critic_start=0.0), leaking):
        edge = law_edge(run, steady)
        slowed = predicted_time(replace(run, critic_weight=edge)) / predicted_time(steady)
        assert slowed == pytest.approx(2, rel=0.02)
