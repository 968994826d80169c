"""Records of a loop's runs: the episodes that each has finished, and its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from pwm.analysis.external import LoopOutcome, LoopRun
from pwm.external.loops import LOOPS

WINDOW = 100  # episodes in a row that decide whether a run has learned
SOLVED = 195.0  # steps that these must exceed on average
Number = TypeVar("Number")


class StepSums(NamedTuple, Generic[Number]):
    """Sums over steps, or the numbers of each step that are summed."""

    steps: Number
    """The number of steps; 1 for each of them."""
    error: Number
    """Value minus target, of at most `LoopSetting.largest_error` either way."""
    entropy: Number
    bootstrap: Number
    """Weight of the bootstrap value in the target."""
    value: Number


class Record:
    """The finished episodes of one run."""

    def __init__(self, run: LoopRun) -> None:
        self.run = run
        self.time = inf
        """Updates until the middle of the first `WINDOW` episodes that were long enough; inf
        before these have ended."""
        self._lengths: list[int] = []  # steps of each episode
        self._updates: list[int] = []  # updates made by the end of each episode
        self._sums: list[NDArray[np.float64]] = []  # `StepSums` between ends of episodes

    def add(self, lengths: Sequence[int], num_updates: int, sums: NDArray[np.float64]) -> None:
        """Adds the episodes, of these lengths in steps, that have ended by some update.

        `sums` are the `StepSums` since the previous call.
        """
        self._lengths += lengths
        self._updates += [num_updates] * len(lengths)
        self._sums.append(sums)
        if len(self._lengths) >= WINDOW and np.mean(self._lengths[-WINDOW:]) > SOLVED:
            self.time = float(self._updates[-WINDOW // 2])

    def outcome(self, num_updates: int) -> LoopOutcome:
        """The run's outcome after `num_updates`; at least one episode must have ended."""
        setting = LOOPS[self.run.loop]
        half = len(self._sums) // 2  # each element of `_sums` is of as many episodes
        sums = StepSums(*np.sum(self._sums[half:], axis=0))
        returns = summed_returns(self._lengths[half * setting.episodes :], setting.discount)
        bias = nan if setting.standardises else (sums.value - returns) / sums.steps
        return LoopOutcome(
            run=self.run,
            num_updates=num_updates,
            num_episodes=len(self._lengths),
            length=round(float(np.mean(self._lengths[-WINDOW:])), 2),
            time=self.time,
            error=_five_digits(sums.error / sums.steps),
            entropy=_five_digits(sums.entropy / sums.steps),
            bias=_five_digits(bias),
            bootstrap=_five_digits(sums.bootstrap / sums.steps),
            torch=torch.__version__,
        )


def summed_returns(lengths: Sequence[int], discount: float) -> float:
    """Sum over all steps of whole episodes of their discounted returns, at a reward of 1 per step.

    An episode of L steps gives Σ_{n=1}^{L} (1 - γⁿ) / (1 - γ), for a discount γ below 1.
    """
    length = np.array(lengths, np.float64)
    powers = discount * (1 - discount**length) / (1 - discount)  # Σ γⁿ
    return float(((length - powers) / (1 - discount)).sum())


def _five_digits(number: float) -> float:
    """A number rounded to five significant digits."""
    return float(f"{number:.5g}")
