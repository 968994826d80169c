"""Parametric working memory: compare two stimuli across a delay; report which was larger.

The first step of a trial shows the first stimulus, the last step the second; the steps between
are a blank delay. Stimuli are one-hot and ordered by their letters (A < B < C ...). Each trial's
pair is drawn uniformly from the *stimulus set*, a list of ordered pairs. At the last step, the
agent should report *right* if the first stimulus was smaller, *left* if it was larger. This earns a
reward; by default, all else earns 0.

Two options concern the steps before a trial's last one. A hold reward pays for each hold at them.
With timeouts, any other action at them makes the next trial blank; the current trial goes on, and
can still be rewarded. A blank trial never makes the next one blank.

The task is stored as two tables, of observations and of rewards. Their last row is the blank trial,
which shows nothing and pays nothing.

Source: Romo et al. (1999), as discretised in the notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pwm.core.errors import (
    require,
    require_choice,
    require_integer,
    require_non_negative,
    require_positive,
)


class Action(IntEnum):
    """The agent's actions."""

    HOLD = 0
    LEFT = 1
    RIGHT = 2


# Users may add sets; a `TaskConfig` checks the one that it uses.
STIMULUS_SETS: dict[str, tuple[str, ...]] = {
    "pwm0": ("AB", "BA"),
    "pwm5": ("AB", "BA", "BC", "CB", "CD", "DC", "DE", "ED"),
    "pwm7": ("AB", "BA", "BC", "CB", "CD", "DC", "DE", "ED", "EF", "FE", "FG", "GF"),
}
VALID_SET = 'a tuple of different pairs of two different capital letters, such as ("AB", "BA")'


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """The task and its episodes."""

    stimulus_set: str = "pwm5"
    """Pairs to draw trials from: neighbours among five (pwm5) or seven (pwm7) stimuli; or one pair
    and its reverse (pwm0), where the second stimulus alone gives the answer."""
    trial_length: int = 3
    """L, steps per trial: first stimulus, L - 2 steps of delay, second stimulus."""
    episode_length: int = 60
    """Largest number of steps per episode, which has as many whole trials as fit."""
    timeout: bool = False
    """Make the next trial blank after any action but hold before the last step of a trial."""
    hold_reward: float = 0.0
    """Reward for each hold before the last step of a trial."""
    reward: float = 1.0
    """Reward of the correct action at the last step of a trial."""

    def __post_init__(self) -> None:
        name, length = self.stimulus_set, self.trial_length
        require_choice("stimulus_set", name, STIMULUS_SETS)
        pairs = STIMULUS_SETS[name]
        require(_is_valid_set(pairs), "stimulus_set", f"{name} = {pairs!r}", VALID_SET)
        require_integer("trial_length", length, 2)
        require_integer("episode_length", self.episode_length, 1)
        whole_trial = f"at least one whole trial of {length} steps"
        require(self.episode_length >= length, "episode_length", self.episode_length, whole_trial)
        require_non_negative("hold_reward", self.hold_reward)
        require_positive("reward", self.reward)

    @property
    def pairs(self) -> NDArray[np.int64]:
        """First and second stimulus of each pair, with A as 0, B as 1, ...: [pairs, 2]."""
        letters = STIMULUS_SETS[self.stimulus_set]
        return np.array([[ord(letter) - ord("A") for letter in pair] for pair in letters])

    @property
    def num_pairs(self) -> int:
        """Number of pairs in the stimulus set; also the index of the blank trial in the tables."""
        return len(STIMULUS_SETS[self.stimulus_set])

    @property
    def num_stimuli(self) -> int:
        """S, the number of stimuli from A to the largest, and the length of an observation."""
        return int(self.pairs.max()) + 1

    @property
    def num_trials(self) -> int:
        """N, trials per episode."""
        return self.episode_length // self.trial_length

    @property
    def num_steps(self) -> int:
        """T = N L, steps per episode."""
        return self.num_trials * self.trial_length


def _is_valid_set(pairs: object) -> bool:
    """Whether the pairs are as `VALID_SET` describes."""
    return (
        isinstance(pairs, tuple)
        and len(pairs) > 0
        and all(isinstance(pair, str) and len(pair) == len(set(pair)) == 2 for pair in pairs)
        and all("A" <= letter <= "Z" for letter in "".join(pairs))
        and len(set(pairs)) == len(pairs)
    )


def correct_actions(config: TaskConfig) -> NDArray[np.int64]:
    """The correct action at the last step of each pair's trial: [pairs]."""
    first, second = config.pairs.T
    return np.where(first < second, Action.RIGHT, Action.LEFT).astype(np.int64)


def observation_table(config: TaskConfig) -> NDArray[np.float32]:
    """Observations of each pair's trial, then of the blank trial: [pairs + 1, L, S]."""
    first, second = config.pairs.T
    rows = np.arange(config.num_pairs)
    table = np.zeros((config.num_pairs + 1, config.trial_length, config.num_stimuli), np.float32)
    table[rows, 0, first] = 1
    table[rows, -1, second] = 1
    return table


def reward_table(config: TaskConfig) -> NDArray[np.float32]:
    """Rewards in each pair's trial, then in the blank trial: [pairs + 1, L, actions]."""
    rows = np.arange(config.num_pairs)
    table = np.zeros((config.num_pairs + 1, config.trial_length, len(Action)), np.float32)
    table[:-1, :-1, Action.HOLD] = config.hold_reward
    table[rows, -1, correct_actions(config)] = config.reward
    return table
