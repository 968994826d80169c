"""The law in other settings: it gives the published predictions, and agrees with closed forms."""

from __future__ import annotations

from dataclasses import replace
from math import log, sqrt

import numpy as np
import pytest

from pwm.analysis.climb import Setting, climb_slowdown
from pwm.analysis.elsewhere import (
    BIAS,
    LAG,
    NOTHING,
    TIMES,
    accounts,
    bias_terms,
    law_edge,
    normalised_bias,
    predicted_time,
    time_if_nothing_changes,
)
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import LAW
from pwm.core.leak import leak_temperature
from pwm.experiments import EXPERIMENTS
from pwm.experiments.fifth import WEIGHTS
from pwm.runs.fields import replaced
from pwm.training.config import TrainConfig

FIFTH = predictions()["fifth"]
CELLS = [(name, weight) for name, cells in FIFTH["slowdown"].items() for weight in cells]
PLAIN = EXPERIMENTS["start-mean"].base


def cell(name: str, weight: str) -> TrainConfig:
    return replace(EXPERIMENTS[name].base, critic_weight=float(weight))


def light(condition: str) -> TrainConfig:
    name = f"fifth-{condition}-light"
    (weight,) = EXPERIMENTS[name].axes["critic_weight"]
    return cell(name, f"{weight}")


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
        expected = {LAW: predicted_time(run), NOTHING: time_if_nothing_changes(run)}
        assert times == {key: rounded(one) for key, one in expected.items()}


def test_in_the_first_studies_setting_both_accounts_are_the_law_of_the_climb() -> None:
    for steps in (15, 60):
        still = replaced(PLAIN, {"episode_length": steps, "critic_weight": 0.1})
        assert predicted_time(still) == pytest.approx(TIMES[steps], rel=0.002)
        run = replaced(PLAIN, {"episode_length": steps, "critic_start": 0.0, "critic_weight": 10.0})
        by_the_law = climb_slowdown(Setting(steps=steps, critic_weight=10.0))
        slowed = (predicted_time(run) - LAG) / (TIMES[steps] - LAG)
        assert slowed == pytest.approx(by_the_law, rel=0.1)  # RMSprop's first steps are longer
        assert time_if_nothing_changes(run) == predicted_time(run)


def test_a_detached_critic_may_have_no_weight() -> None:
    run = replaced(PLAIN, {"episode_length": 15, "critic_weight": 0.0})
    assert predicted_time(run) == pytest.approx(TIMES[15], rel=0.002)


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
@pytest.mark.parametrize(("length", "within"), [(3, 1.25 - 0.55), (5, 2 / 3 - 7 / 18)])
def test_the_bias_of_normalised_advantages_balances(
    length: int, within: float, weight: float
) -> None:
    # N trials of rewards 0 or 1: the variance of the return, (N² - 1) / 48 + (N + 1) / 8, less that
    # of its mean over an episode, (N + 1) (2 N + 1) / 24 N.
    changes = {"trial_length": length, "episode_length": 15, "critic_weight": weight}
    run = replaced(PLAIN, changes)
    bias = normalised_bias(run)
    entropies = np.array([log(3)] * (length - 1) + [log(2)])
    leaked = leak_temperature(15, weight) * entropies.std() / sqrt(within + bias**2)
    assert bias == pytest.approx(leaked)


def test_only_bootstrapped_and_attached_critics_have_the_account_of_the_bias() -> None:
    named = {
        name for name, cells in FIFTH["slowdown"].items() for one in cells.values() if BIAS in one
    }
    assert named == {
        name for name in FIFTH["slowdown"] if "-td-" in name or "-gae-" in name if "raw" not in name
    }


def test_at_the_laws_edges_learning_takes_twice_as_long() -> None:
    steady = replaced(PLAIN, {"episode_length": 60, "critic_weight": 0.1})
    leaking = replaced(steady, {"baseline": "attached", "critic_start": "fixed-point"})
    for run in (replace(steady, critic_start=0.0), leaking):
        edge = law_edge(run, steady)
        slowed = predicted_time(replace(run, critic_weight=edge)) / predicted_time(steady)
        assert slowed == pytest.approx(2, rel=0.02)
