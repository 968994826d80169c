"""Predictions about balancing rules are judged as they are worded."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np
import pytest
from numpy.typing import ArrayLike

from pwm.analysis.rule_predictions import judged_brake, judged_rules
from pwm.analysis.rules import CONDITIONS, HELD_OUT, METHODS, Comparison
from pwm.experiments import EXPERIMENTS
from pwm.training.config import TrainConfig
from tests.support.outcomes import made_up_outcomes

SEEDS = 24
Success = Callable[[str, str], float]
"""Function from a method and a condition to the number of seeds that learn."""


def as_predicted(method: str, condition: str) -> float:
    """Number of seeds that learn in made-up runs for which every prediction is right."""
    if condition == "240 steps, 0.005" and method not in ("centred 100", "standardised 100"):
        return 10
    apart = "stop-trunk" in method or "separate" in method
    if condition == "120 steps, 0.001" and method.startswith("raw") and not apart:
        return 5
    if method in ("centred 100", "standardised 100"):
        return 23
    if method == "centred 0":
        return 12
    if apart:
        return 16
    return 18 - len(method) / 10 if method.startswith("centred") or method == "popart" else 9


def judged(success: Success) -> dict[str, bool]:
    """Whether each prediction is right, by name, on made-up runs.

    In each condition, the first `success(method, condition)` seeds learn.
    """
    counts = np.zeros((len(METHODS), len(CONDITIONS)))
    for row, method in enumerate(METHODS):
        counts[row] = [success(method, condition) for condition in CONDITIONS]
    learned = np.arange(SEEDS) < counts[..., None]
    comparison = Comparison(
        methods=tuple(METHODS),
        conditions=tuple(CONDITIONS),
        learned=learned,
        time=np.where(learned, 100.0, inf),
        reward=np.where(learned, 1.0, 0.5),
        held_out=HELD_OUT,
    )
    return judged_rules(comparison)


def test_every_prediction_can_be_right() -> None:
    found = judged(as_predicted)
    assert len(found) == 8
    assert all(found.values())


@pytest.mark.parametrize(
    ("name", "changed_method", "conditions", "count", "right"),
    [
        ("winner", "popart", "", 24, True),  # tied
        ("winner", "centred 100", "", 14, False),
        ("centring", "raw equal", "", 24, False),
        ("centring", "raw separate", "", 2, False),
        ("raw-sharing", "raw pcgrad", "120 steps, 0.001", 11, True),
        ("raw-sharing", "raw pcgrad", "120 steps, 0.001", 12, False),
        ("raw-sharing", "raw pcgrad", "120 steps, 0.001", 20, False),
        ("raw-sharing", "raw separate", "120 steps, 0.001", 5, False),
        ("raw-sharing", "raw 0", "120 steps, 0.001", 24, True),  # has no critic
        ("scaling", "popart", "", 10, False),
        ("scaling", "standardised 100", "", 15, False),
        ("usual", "usual", "", 20, False),
        ("longest", "popart", "240 steps, 0.005", 12, True),
        ("longest", "popart", "240 steps, 0.005", 13, False),
        ("longest", "popart", "240 steps, 0.005", 20, False),
        ("longest", "centred 100", "240 steps, 0.005", 0, True),
        ("heavy", "centred 100", "120 steps, 0.005", 20, True),
        ("heavy", "centred 100", "120 steps, 0.005", 19, False),
        ("heavy", "centred 100", "120 steps, 0.005", 10, False),
        ("heavy", "centred 0", "120 steps, 0.005", 23, False),
    ],
)
def test_a_prediction_is_judged_by_its_words(
    name: str, changed_method: str, conditions: str, count: int, right: bool
) -> None:
    def changed(method: str, condition: str) -> float:
        if method == changed_method and condition.startswith(conditions):
            return count
        return as_predicted(method, condition)

    assert judged(changed)[name] == right


def test_a_rule_that_is_tied_with_itself_centred_is_no_better() -> None:
    def tied(method: str, condition: str) -> float:
        return as_predicted(method.replace("raw equal", "centred equal"), condition)

    wrong = {name for name, right in judged(tied).items() if not right}
    assert wrong == {"centring", "raw-sharing"}  # the latter because a raw rule succeeds


def test_the_ranking_must_hold_in_the_held_out_conditions() -> None:
    def reversed_there(method: str, condition: str) -> float:
        found = as_predicted(method, "60 steps, 0.001")
        return SEEDS - found if condition in HELD_OUT else as_predicted(method, condition)

    assert not judged(reversed_there)["held-out"]


@pytest.mark.parametrize(
    ("braked", "heavy", "right"),
    [(22, 24, True), (24, 20, True), (21, 24, False), (12, 24, False)],
)
def test_the_brake_is_compared_with_a_heavy_critic(braked: int, heavy: int, right: bool) -> None:
    def outcome(run: TrainConfig) -> dict[str, ArrayLike]:
        counts = {("stop-trunk", 0.1): braked, ("fixed", 1.0): heavy}
        count = counts.get((run.loss.balance, run.trunk_rate), 0)
        heaviest = run.critic_weight == 100 and run.task.episode_length == 60
        return {"learned": np.arange(SEEDS) < count * heaviest}

    assert judged_brake(made_up_outcomes(EXPERIMENTS["brake"], outcome)) == right
