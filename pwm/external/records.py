"""Records of the episodes that a loop's runs have finished, and the outcomes of the runs."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan

import numpy as np
import torch
from numpy.typing import NDArray

from pwm.analysis.external import LoopOutcome, LoopRun
from pwm.external.loops import LOOPS

WINDOW = 100  # episodes in a row that decide whether a run has learned
SOLVED = 195.0  # a run has learned if these episodes have more steps on average


class Record:
    """Lengths of the episodes that one run has finished, and sums over their steps."""

    def __init__(self, run: LoopRun) -> None:
        self.run = run
        self.time = inf
        """Updates by the middle of the first `WINDOW` episodes in a row with a mean length above
        `SOLVED`; inf before these episodes have ended."""
        self._lengths: list[int] = []  # steps of each episode
        self._updates: list[int] = []  # updates made by the end of each episode
        self._sums: list[NDArray[np.float64]] = []  # argument `sums` of each call of `add`

    def add(self, lengths: Sequence[int], num_updates: int, sums: NDArray[np.float64]) -> None:
        """Adds the episodes that ended in one update.

        Args:
            lengths: steps of each episode.
            num_updates: updates made so far.
            sums: number of steps since the previous call, and sums over these steps of value minus
                target, clipped to plus or minus `LoopSetting.largest_error`; of the policy's
                entropy; of the bootstrap value's weight in the target; and of the value: [5].
        """
        self._lengths += lengths
        self._updates += [num_updates] * len(lengths)
        self._sums.append(sums)
        if len(self._lengths) >= WINDOW and np.mean(self._lengths[-WINDOW:]) > SOLVED:
            self.time = float(self._updates[-WINDOW // 2])

    def outcome(self, num_updates: int) -> LoopOutcome:
        """The run's outcome after `num_updates`; at least one episode must have ended."""
        setting = LOOPS[self.run.loop]
        half = len(self._sums) // 2  # each element is of `setting.episodes` episodes
        steps, error, entropy, bootstrap, value = np.sum(self._sums[half:], axis=0)
        returns = summed_returns(self._lengths[half * setting.episodes :], setting.discount)
        bias = nan if setting.standardises else (value - returns) / steps
        return LoopOutcome(
            run=self.run,
            num_updates=num_updates,
            num_episodes=len(self._lengths),
            length=round(float(np.mean(self._lengths[-WINDOW:])), 2),
            time=self.time,
            error=_five_digits(error / steps),
            entropy=_five_digits(entropy / steps),
            bias=_five_digits(bias),
            bootstrap=_five_digits(bootstrap / steps),
            torch=torch.__version__,
        )


def summed_returns(lengths: Sequence[int], discount: float) -> float:
    """Sum of the discounted returns from all steps of whole episodes, for a reward of 1 per step.

    When n steps remain, the return is 1 + γ + ... + γⁿ⁻¹ = (1 - γⁿ) / (1 - γ), for a discount γ
    below 1. An episode of L steps gives the sum of this over n = 1 to L: (L - Σ γⁿ) / (1 - γ).
    """
    length = np.array(lengths, np.float64)
    powers = discount * (1 - discount**length) / (1 - discount)  # Σ γⁿ
    return float(((length - powers) / (1 - discount)).sum())


def _five_digits(number: float) -> float:
    """Rounds a number to five significant digits."""
    return float(f"{number:.5g}")
