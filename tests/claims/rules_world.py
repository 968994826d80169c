"""Made-up outcomes of the methods that balance the two losses: success falls with difficulty."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.core.config import TrainConfig

COMPARED = ("rules-", "candidates-", "brake", "limits")
"""First parts of the names of the experiments that this is about."""
FIXED: Mapping[float, float] = {0.0: 0.75, 0.5: 0.5, 1.0: 0.8, 10.0: 0.9, 100.0: 0.99, 1000.0: 0.99}
"""Skill by weight, centred."""
RULES: Mapping[str, float] = {
    "stop-trunk": 0.75,
    "per-loss": 0.99,
    "equal": 0.98,
    "pcgrad": 0.85,
    "uncertainty": 0.75,
    "popart": 0.75,
    "return-scale": 0.8,
}
"""Skill by rule, centred."""


def skill(run: TrainConfig) -> float:
    """Success of a method in a condition of difficulty 1."""
    found = FIXED[run.critic_weight]
    found = RULES.get(run.loss.balance, found)
    if run.agent.separate_trunks or run.loss.balance == "stop-trunk":
        return 0.75 if run.loss.returns != "raw" else 0.7
    if run.loss.returns == "raw" and run.loss.balance != "popart":
        return 0.6 * found
    return found


def difficulty(run: TrainConfig) -> float:
    """Power of the skill that gives the success in a condition."""
    steps = run.task.episode_length
    found = 0.25 if run.learning_rate == 0.001 else 1.0
    found *= 0.5 if steps == 15 else 1 + steps / 120
    return found * (0.2 if run.loss.entropy_weight or run.loss.discount < 1 else 1)


def success(run: TrainConfig) -> float:
    """Fraction of the seeds that learn."""
    light = run.critic_weight < 10 or run.loss.balance != "fixed" or run.agent.separate_trunks
    if run.agent.carry_state and not light:
        return 0.0
    return float(skill(run) ** (difficulty(run) * run.trunk_rate**0.5))


def method_outcome(run: TrainConfig, seeds: int, fraction: float) -> dict[str, NDArray[Any]]:
    """The outcomes of a cell in which a fraction of the seeds learn: [S] each."""
    learned = np.arange(seeds) < round(fraction * seeds)
    collapsed = ~learned & (run.critic_weight < 10)
    return {
        "learned": learned,
        "time": np.where(learned, 1000.0 * (2 - skill(run)), inf),
        "collapsed": collapsed,
    }
