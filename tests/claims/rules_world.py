"""Made-up outcomes of the methods that balance the two losses: success falls with difficulty."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.training.config import TrainConfig

COMPARED = ("rules-", "candidates-", "brake", "limits")
"""Prefixes of the names of experiments on these methods."""
FIXED: Mapping[float, float] = {0.0: 0.4, 1.0: 0.5, 10.0: 0.87, 100.0: 0.99, 1000.0: 0.99}
"""Success by weight in a condition of difficulty 1, with centred returns."""
RULES: Mapping[str, float] = {
    "per-loss": 0.95,
    "equal": 0.94,
    "pcgrad": 0.8,
    "uncertainty": 0.5,
    "popart": 0.45,
    "return-scale": 0.6,
}
"""Success by rule in a condition of difficulty 1, with centred returns."""


def skill(run: TrainConfig) -> float:
    """Success of a method in a condition of difficulty 1."""
    if run.agent.separate_trunks or run.loss.balance == "stop-trunk":
        return 0.4
    found = RULES.get(run.loss.balance, FIXED[run.critic_weight])
    return found if run.loss.returns != "raw" or run.loss.balance == "popart" else 0.06 * found


def difficulty(run: TrainConfig) -> float:
    """Power to which the skill is raised to give the success in a condition."""
    steps = run.task.episode_length
    if run.loss.entropy_weight or run.loss.discount < 1:
        return 0.1
    if run.learning_rate == 0.005:
        return {15: 0.6, 60: 1.0}.get(steps, 1.5) * run.trunk_rate
    if run.task.trial_length == 8:
        return 1.0
    return 0.1 if steps < 120 else 0.3


def success(run: TrainConfig) -> float:
    """Fraction of the seeds that learn."""
    if run.loss.policy_reduction == "mean":
        return 0.75 if run.task.episode_length == 15 else 0.04
    shared = run.loss.balance == "fixed" and not run.agent.separate_trunks
    if run.agent.carry_state:
        if shared:
            return 0.0 if run.critic_weight >= 10 else 0.65
        return 0.8
    if shared and run.num_episodes == 10_000 and difficulty(run) * run.task.episode_length > 300:
        return min(0.7, skill(run))
    found = float(skill(run) ** difficulty(run))
    return min(found, 0.88) if run.trunk_rate < 1 and not shared else found


def time_to_learn(run: TrainConfig) -> float:
    """Episodes until a seed learns, if it does."""
    if run.loss.discount < 1:
        return 500.0
    steps = run.task.episode_length
    factor = {0.0: 2.5, 100.0: 1.0}.get(run.critic_weight, 0.8 if steps < 60 else 1.2)
    return float(factor * 1000 * (max(steps, 60) / 60) ** 0.5 / run.trunk_rate**0.6)


def method_outcome(run: TrainConfig, seeds: int, fraction: float) -> dict[str, NDArray[Any]]:
    """Outcomes of a cell in which a fraction of the seeds have learned at the end, by field: [S].

    If more than half have, all other seeds learn and forget; if none has, all collapse. Which seeds
    learn first depends on the condition, but not on the method.
    """
    order = (np.arange(seeds) + run.task.episode_length + round(1000 * run.learning_rate)) % seeds
    learned = order < round(fraction * seeds)
    ever = learned | (fraction > 0.5)
    collapsed = np.full(seeds, fraction == 0)
    # Fewer runs solve the task than learn it; standardised returns help.
    solving = (
        1.0 if fraction == 1 else fraction * (0.7 if run.loss.returns == "standardised" else 0.6)
    )
    solved = order < round(solving * seeds)
    return {
        "learned": learned,
        "time": np.where(ever, time_to_learn(run), inf),
        "reward": np.select([solved & (order % 4 > 0), solved, learned], [1.0, 0.93, 0.8], 0.4),
        "collapsed": collapsed,
    }
