"""Parametric working memory: two stimuli separated by a delay; report which was larger.

A trial has `trial_length` steps. The first shows the first stimulus, the last the second,
and those between are a blank delay. Stimuli are one-hot and ordered by their letters
(A < B < C ...). The agent should hold until the last step, and there report *right* if the
first stimulus was smaller, *left* if it was larger. An episode is as many whole trials as
fit into `episode_length` steps, with pairs drawn uniformly from the stimulus set.

The task is two tables, of what a trial shows and of what it pays; everything else reads
them. The row after the last pair is the blank trial of a timeout: it shows and pays nothing.

Source: Romo, Brody, Hernandez & Lemus (1999), as discretised in the notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pwm.core.errors import require, require_finite, require_integer


class Action(IntEnum):
    """What the agent can do at each step."""

    HOLD = 0
    LEFT = 1
    RIGHT = 2


STIMULUS_SETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pwm0": ("AB", "BA"),
        "pwm5": ("AB", "BA", "BC", "CB", "CD", "DC", "DE", "ED"),
        "pwm7": ("AB", "BA", "BC", "CB", "CD", "DC", "DE", "ED", "EF", "FE", "FG", "GF"),
    }
)


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """What is played."""

    stimulus_set: str = "pwm5"
    """Pairs that a trial is drawn from: those of five neighbouring stimuli (pwm5) or of seven
    (pwm7), or of two (pwm0), where the second stimulus is enough."""
    trial_length: int = 3
    """Steps a trial: first stimulus, delay of two steps fewer than this, second stimulus."""
    episode_length: int = 60
    """Steps an episode; it has as many whole trials as fit, and one update follows it."""
    timeout: bool = False
    """Whether any action but hold before a trial's last step blanks the next trial."""
    hold_reward: float = 0.0
    """Reward for each held step before a trial's last."""

    def __post_init__(self) -> None:
        require(
            self.stimulus_set in STIMULUS_SETS,
            "stimulus_set",
            self.stimulus_set,
            "one of " + ", ".join(STIMULUS_SETS),
        )
        require_integer("trial_length", self.trial_length, 2)
        require_integer("episode_length", self.episode_length, 1)
        require(
            self.episode_length >= self.trial_length,
            "episode_length",
            self.episode_length,
            f"at least one whole trial of {self.trial_length} steps",
        )
        require_finite("hold_reward", self.hold_reward)

    @property
    def pairs(self) -> NDArray[np.int64]:
        """First and second stimulus of each pair, 0 for A: [pairs, 2]."""
        letters = STIMULUS_SETS[self.stimulus_set]
        return np.array([[ord(letter) - ord("A") for letter in pair] for pair in letters])

    @property
    def num_pairs(self) -> int:
        """Pairs in the stimulus set; also the index of the blank trial in the tables."""
        return len(STIMULUS_SETS[self.stimulus_set])

    @property
    def num_stimuli(self) -> int:
        """Different stimuli, the width of an observation."""
        return int(self.pairs.max()) + 1

    @property
    def num_trials(self) -> int:
        """Trials an episode."""
        return self.episode_length // self.trial_length


def correct_actions(config: TaskConfig) -> NDArray[np.int64]:
    """The action to take at the last step of each pair's trial: [pairs]."""
    first, second = config.pairs.T
    return np.where(first < second, Action.RIGHT, Action.LEFT).astype(np.int64)


def observation_table(config: TaskConfig) -> NDArray[np.float32]:
    """What each pair's trial shows, and last the blank one: [pairs + 1, L, stimuli]."""
    first, second = config.pairs.T
    trials = np.arange(config.num_pairs)
    table = np.zeros((config.num_pairs + 1, config.trial_length, config.num_stimuli), np.float32)
    table[trials, 0, first] = 1
    table[trials, -1, second] = 1
    return table


def reward_table(config: TaskConfig) -> NDArray[np.float32]:
    """What each action earns in each pair's trial, last the blank: [pairs + 1, L, actions]."""
    trials = np.arange(config.num_pairs)
    table = np.zeros((config.num_pairs + 1, config.trial_length, len(Action)), np.float32)
    table[:-1, :-1, Action.HOLD] = config.hold_reward
    table[trials, -1, correct_actions(config)] = 1
    return table


def trial_states(config: TaskConfig) -> NDArray[np.int64]:
    """What each pair's trial, last the blank one, has shown at each step: [pairs + 1, L].

    Distinct beginnings of trials are numbered from 0, step by step.
    """
    observations = observation_table(config)
    states = np.zeros(observations.shape[:2], np.int64)
    numbers: dict[tuple[int, bytes], int] = {}  # of a beginning's parent and what follows it
    parents = np.full(len(states), -1)
    for step in range(config.trial_length):
        for trial, shown in enumerate(observations[:, step]):
            key = (int(parents[trial]), shown.tobytes())
            states[trial, step] = numbers.setdefault(key, len(numbers))
        parents = states[:, step]
    return states


class RewardLevels(NamedTuple):
    """Fractions of trials that reference policies have rewarded, in increasing order."""

    uniform: float
    """Every action equally likely."""
    one_sided: float
    """The better of always left and always right."""
    memoryless: float
    """The best policy that sees the second stimulus alone."""
    solved: float
    """The best policy."""


def reward_levels(stimulus_set: str) -> RewardLevels:
    """Exact reward levels of a stimulus set, by enumerating its pairs.

    They count trials that are shown: holding before the last step, where it matters
    (`timeout`), is taken for granted, and `hold_reward` is not part of them.

    Args:
        stimulus_set: a key of `STIMULUS_SETS`.
    Raises:
        InputError: the stimulus set is unknown.
    """
    config = TaskConfig(stimulus_set=stimulus_set)
    decision = reward_table(config)[:-1, -1].astype(np.float64)  # (pairs, actions)
    second = config.pairs[:, 1]
    rewarded_without_memory = sum(
        decision[second == stimulus].sum(axis=0).max() for stimulus in np.unique(second)
    )
    return RewardLevels(
        uniform=float(decision.mean()),
        one_sided=float(decision.mean(axis=0).max()),
        memoryless=float(rewarded_without_memory / config.num_pairs),
        solved=float(decision.max(axis=1).mean()),
    )
