"""Results of other people's code by setting: success, times to learn and biases over seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import inf, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import Estimate, SuccessRate, interval, resampled_medians, success_rate
from pwm.analysis.external import (
    Agent,
    Baseline,
    ExternalOutcome,
    Loop,
    LoopOutcome,
    Network,
    Returns,
    read_outcomes,
)
from pwm.io.repository import published

NAMES: Mapping[Agent | Loop, str] = {
    "A2C": "Stable-Baselines3 A2C",
    "RecurrentPPO": "sb3-contrib RecurrentPPO",
    "tutorial": "TensorFlow tutorial",
    "reinforce": "TF-Agents REINFORCE",
    "a3c": "async A3C",
    "a3c-textbook": "async A3C, one RMSprop",
}
"""Names of the agents and loops in tables."""
AGENT_FILE, LOOP_FILE = "external.csv", "loops.csv"


class Summary(NamedTuple):
    """Results of one setting at one weight, over its seeds."""

    setting: str
    """One of `NAMES`."""
    variant: str
    weight: float
    """In the setting's own units."""
    learned: SuccessRate
    """Fraction of the seeds that learned, with its Wilson interval."""
    time: Estimate
    """Median time to learn, in episodes for agents and updates for loops; inf if fewer than half of
    the seeds learned."""
    length: Estimate
    """Median over the seeds of the mean length of the last 100 episodes; nan for agents."""
    bias: Estimate
    """Median over seeds of value minus target; nan if it was not measured."""
    predicted_bias: float
    """The bias by `Loops.predicted_error`, median over seeds; nan if there is no formula."""


class AgentSetting(NamedTuple):
    """Setting of an agent: an `ExternalRun` without its seed and its length."""

    agent: Agent
    network: Network
    returns: Returns
    vf_coef: float
    max_grad_norm: float = 0.5


class LoopSetting(NamedTuple):
    """Setting of a loop: all fields of a `LoopRun` but the seed."""

    loop: Loop
    baseline: Baseline
    weight: float


@lru_cache(maxsize=1)
def agents() -> Agents:
    """The published runs of other people's agents."""
    return Agents(read_outcomes(published(AGENT_FILE), ExternalOutcome))


@lru_cache(maxsize=1)
def loops() -> Loops:
    """The published runs of other people's training loops."""
    return Loops(read_outcomes(published(LOOP_FILE), LoopOutcome))


class Agents:
    """Runs of A2C and RecurrentPPO."""

    def __init__(self, outcomes: Sequence[ExternalOutcome]) -> None:
        times: dict[AgentSetting, list[float]] = {}
        for outcome in sorted(outcomes, key=lambda each: each.run):
            run = outcome.run
            setting = AgentSetting(
                run.agent, run.network, run.returns, run.vf_coef, run.max_grad_norm
            )
            times.setdefault(setting, []).append(outcome.time)
        self.times = {setting: np.array(seeds) for setting, seeds in times.items()}
        """Episodes until each seed of a setting had learned, inf if it never did: [S]."""

    def summaries(self) -> Iterator[Summary]:
        """Yields the results of every setting."""
        for setting, times in self.times.items():
            clipped = "" if setting.max_grad_norm < inf else ", no clipping"
            yield Summary(
                setting=NAMES[setting.agent],
                variant=f"{setting.network} networks, {setting.returns} returns{clipped}",
                weight=setting.vf_coef,
                learned=success_rate(np.isfinite(times)),
                time=interval(resampled_medians(times)),
                length=Estimate(nan),
                bias=Estimate(nan),
                predicted_bias=nan,
            )


class Loops:
    """Runs of public training loops."""

    def __init__(self, outcomes: Sequence[LoopOutcome]) -> None:
        self._outcomes: dict[LoopSetting, list[LoopOutcome]] = {}
        for outcome in sorted(outcomes, key=lambda each: each.run):
            run = outcome.run
            setting = LoopSetting(run.loop, run.baseline, run.weight)
            self._outcomes.setdefault(setting, []).append(outcome)

    @property
    def settings(self) -> list[LoopSetting]:
        """Every setting."""
        return list(self._outcomes)

    def values(self, setting: LoopSetting, field: str) -> NDArray[np.float64]:
        """A field of the outcomes of each seed of a setting: [S]."""
        return np.array([getattr(outcome, field) for outcome in self._outcomes[setting]], float)

    def summaries(self) -> Iterator[Summary]:
        """Yields the results of every setting."""
        for setting in self.settings:
            times = self.values(setting, "time")
            yield Summary(
                setting=NAMES[setting.loop],
                variant=setting.baseline,
                weight=setting.weight,
                learned=success_rate(np.isfinite(times)),
                time=interval(resampled_medians(times)),
                length=interval(resampled_medians(self.values(setting, "length"))),
                bias=interval(resampled_medians(self.values(setting, "error"))),
                predicted_bias=float(np.median(self.predicted_error(setting))),
            )

    def predicted_error(self, setting: LoopSetting) -> NDArray[np.float64]:
        """The leak's bias of the values, relative to their targets, from each seed's entropy: [S].

        That is H / w where policy loss and half the squared error are summed over the same steps.
        Huber's error counts up to 1. Normalised advantages leak nothing on average. Where each loss
        has its own optimiser (a3c), there is no formula.
        """
        entropy = self.values(setting, "entropy")
        if setting.baseline == "detached" or setting.loop == "reinforce":
            return np.zeros_like(entropy)
        if setting.loop == "a3c":
            return np.full_like(entropy, nan)
        bias = entropy / setting.weight
        return np.minimum(bias, 1.0) if setting.loop == "tutorial" else bias
