"""Other people's code: success, times and biases by cell, and the verdicts on the predictions.

The statements are those of `external` in `paper/predictions.json`, in order. Statistics are arrays
[1 + resamples]: of the seeds as they are, then of each resample of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import inf, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import Estimate, SuccessRate, interval, resampled, success_rate
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
from pwm.analysis.fourth_predictions import Statement
from pwm.analysis.predictions import predictions
from pwm.analysis.times import median_time
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


class Cell(NamedTuple):
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


class AgentCell(NamedTuple):
    """A setting of an agent: an `ExternalRun` without its seed and its length."""

    agent: Agent
    network: Network
    returns: Returns
    vf_coef: float
    max_grad_norm: float = 0.5


class LoopCell(NamedTuple):
    """All fields of a `LoopRun` but the seed."""

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
        times: dict[AgentCell, list[float]] = {}
        for each in sorted(outcomes, key=lambda outcome: outcome.run):
            run = each.run
            cell = AgentCell(run.agent, run.network, run.returns, run.vf_coef, run.max_grad_norm)
            times.setdefault(cell, []).append(each.time)
        self.times = {cell: np.array(seeds) for cell, seeds in times.items()}
        """Episodes until each seed of a cell had learned, inf if it never did: [S]."""

    def cells(self) -> Iterator[Cell]:
        """Yields every cell."""
        for cell, times in self.times.items():
            clipped = "" if cell.max_grad_norm < inf else ", no clipping"
            yield Cell(
                setting=NAMES[cell.agent],
                variant=f"{cell.network} networks, {cell.returns} returns{clipped}",
                weight=cell.vf_coef,
                learned=success_rate(np.isfinite(times)),
                time=interval(_median(times)),
                length=Estimate(nan),
                bias=Estimate(nan),
                predicted_bias=nan,
            )

    def statements(self) -> Iterator[Statement]:
        """Yields the verdicts on the predictions."""
        separate = [AgentCell(agent, "separate", "raw", 0.5) for agent in ("A2C", "RecurrentPPO")]
        shared = {
            returns: AgentCell("A2C", "shared", returns, 0.5)
            for returns in ("raw", "normalised", "centred")
        }
        ppo = separate[1]
        slow = [self._ratio(cell._replace(vf_coef=50.0), cell) for cell in separate]
        found = {
            "no-lower-edge": _largest_factor(
                self._ratio(cell._replace(vf_coef=0.005), cell) for cell in separate
            ),
            "without-clipping": _largest_factor(
                self._ratio(cell._replace(vf_coef=50.0), cell)
                for cell in (each._replace(max_grad_norm=inf) for each in separate)
            ),
            "clipping": np.minimum(*slow),
            "clipping-parameters": slow[1] / slow[0],
            "upper-edge": self._success(shared["raw"], 0.05) - self._success(shared["raw"], 5.0),
            "centred": self._success(shared["centred"], 0.05)
            - self._success(shared["centred"], 50.0),
            "normalised": self._success(shared["normalised"], 5.0)
            - self._success(shared["centred"], 5.0),
            "centring-separate": _largest_factor(
                [self._ratio(ppo, ppo._replace(returns="centred"))]
            ),
        }
        yield from _judged("agents", found)

    def _ratio(self, one: AgentCell, other: AgentCell) -> NDArray[np.float64]:
        """Ratio of two cells' median times, as `_ratio`."""
        return _ratio(self.times[one], self.times[other])

    def _success(self, cell: AgentCell, vf_coef: float) -> NDArray[np.float64]:
        """Fraction of seeds that learned in a cell, but with the weight given."""
        return _mean(np.isfinite(self.times[cell._replace(vf_coef=vf_coef)]))


class Loops:
    """Runs of public loops."""

    def __init__(self, outcomes: Sequence[LoopOutcome]) -> None:
        self._outcomes: dict[LoopCell, list[LoopOutcome]] = {}
        for each in sorted(outcomes, key=lambda outcome: outcome.run):
            cell = LoopCell(each.run.loop, each.run.baseline, each.run.weight)
            self._outcomes.setdefault(cell, []).append(each)

    @property
    def keys(self) -> list[LoopCell]:
        """Every cell."""
        return list(self._outcomes)

    def values(self, cell: LoopCell, name: str) -> NDArray[np.float64]:
        """A field of the outcomes of each seed of a cell: [S]."""
        return np.array([getattr(outcome, name) for outcome in self._outcomes[cell]], np.float64)

    def cells(self) -> Iterator[Cell]:
        """Yields every cell."""
        for cell in self._outcomes:
            times = self.values(cell, "time")
            predicted = np.median(self.predicted_error(cell))
            yield Cell(
                setting=NAMES[cell.loop],
                variant=cell.baseline,
                weight=cell.weight,
                learned=success_rate(np.isfinite(times)),
                time=interval(_median(times)),
                length=interval(_median(self.values(cell, "length"))),
                bias=interval(_median(self.values(cell, "error"))),
                predicted_bias=float(predicted),
            )

    def predicted_error(self, cell: LoopCell) -> NDArray[np.float64]:
        """The leak's bias of the values, relative to their targets, from each seed's entropy: [S].

        That is H / w where policy loss and half the squared error are summed over the same steps.
        Huber's error counts up to 1. Normalised advantages leak nothing on average. Where each loss
        has its own optimiser (a3c), there is no formula.
        """
        entropy = self.values(cell, "entropy")
        if cell.baseline == "detached" or cell.loop == "reinforce":
            return np.zeros_like(entropy)
        if cell.loop == "a3c":
            return np.full_like(entropy, nan)
        bias = entropy / cell.weight
        return np.minimum(bias, 1.0) if cell.loop == "tutorial" else bias

    def statements(self) -> Iterator[Statement]:
        """Yields the verdicts on the predictions."""
        yield from _judged("loops", self._tutorial() | self._reinforce() | self._a3c())

    def _tutorial(self) -> dict[str, NDArray[np.float64]]:
        """Measured numbers of the predictions about TensorFlow's tutorial, by name."""
        light = (0.1, 0.3)
        return {
            "tutorial-bias": _geometric(self._errors("tutorial", w) for w in (1.0, 3.0, 10.0)),
            "tutorial-climb": _least(
                _median(self.values(LoopCell("tutorial", "attached", w), "error")) for w in light
            ),
            "tutorial-lower-edge": _least(self._lost("tutorial", w) for w in light),
            "tutorial-default": self._slowdown("tutorial", 1.0),
            "tutorial-heavy": _most(self._slowdown("tutorial", w) for w in (3.0, 10.0)),
            "tutorial-no-upper-edge": self._heavy("tutorial"),
        }

    def _reinforce(self) -> dict[str, NDArray[np.float64]]:
        """Measured numbers of the predictions about TF-Agents' REINFORCE, by name."""
        slowdowns = [self._slowdown("reinforce", w) for w in (0.02, 0.2, 2.0)]
        return {
            "reinforce-bias": _most(self._excess(w) for w in (0.02, 0.2)),
            "reinforce-slowdown": _farthest(slowdowns),
        }

    def _a3c(self) -> dict[str, NDArray[np.float64]]:
        """Measured numbers of the predictions about both variants of A3C, by name."""
        light, heavy = (
            _median(self.values(LoopCell("a3c", "attached", w), "error")) for w in (0.1, 10.0)
        )
        with np.errstate(invalid="ignore"):  # errors of opposite sign are infinitely far apart
            factor = np.where(light * heavy > 0, np.exp(np.abs(np.log(np.abs(light / heavy)))), inf)
        textbook: Loop = "a3c-textbook"
        return {
            "a3c-weight": factor,
            "a3c-slowdown": self._slowdown("a3c", 1.0),
            "textbook-error": _geometric(self._errors(textbook, w) for w in (0.3, 1.0, 3.0, 10.0)),
            "textbook-bias": _geometric(self._biases(w) for w in (1.0, 3.0, 10.0)),
            "textbook-light": self._slowdown(textbook, 0.1),
            "textbook-heavy": _most(self._slowdown(textbook, w) for w in (3.0, 10.0)),
            "textbook-upper-edge": self._heavy(textbook),
        }

    def _errors(self, loop: Loop, weight: float) -> NDArray[np.float64]:
        """Mean error of an attached critic, relative to H / w."""
        cell = LoopCell(loop, "attached", weight)
        return _mean(self.values(cell, "error")) / _mean(self.values(cell, "entropy") / weight)

    def _biases(self, weight: float) -> NDArray[np.float64]:
        """Bias of the textbook's values, attached minus detached, relative to the formula's."""
        attached = LoopCell("a3c-textbook", "attached", weight)
        less = _mean(self.values(attached, "bias")) - _mean(
            self.values(attached._replace(baseline="detached"), "bias")
        )
        factor = 1 - _mean(self.values(attached, "bootstrap"))
        return less / (_mean(self.values(attached, "entropy")) / weight / factor)

    def _excess(self, weight: float) -> NDArray[np.float64]:
        """Change of TF-Agents' error, attached minus detached: its size relative to H / 2w."""
        cell = LoopCell("reinforce", "attached", weight)
        detached = self.values(cell._replace(baseline="detached"), "error")
        less = _mean(self.values(cell, "error")) - _mean(detached)
        return np.abs(less) / (_mean(self.values(cell, "entropy")) / (2 * weight))

    def _lost(self, loop: Loop, weight: float) -> NDArray[np.float64]:
        """Success lost by attaching: detached minus attached."""
        attached, detached = self._times(loop, weight)
        return _mean(np.isfinite(detached)) - _mean(np.isfinite(attached))

    def _slowdown(self, loop: Loop, weight: float) -> NDArray[np.float64]:
        """Ratio of median times, attached over detached, as `_ratio`."""
        attached, detached = self._times(loop, weight)
        return _ratio(attached, detached)

    def _heavy(self, loop: Loop) -> NDArray[np.float64]:
        """Detached: median time at weight 10, relative to that at weight 0.1."""
        (_, light), (_, heavy) = (self._times(loop, weight) for weight in (0.1, 10.0))
        return _ratio(heavy, light)

    def _times(self, loop: Loop, weight: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times to learn of the attached and of the detached seeds: [S] each."""
        attached, detached = (
            self.values(LoopCell(loop, baseline, weight), "time")
            for baseline in ("attached", "detached")
        )
        return attached, detached


def _judged(part: str, found: Mapping[str, NDArray[np.float64]]) -> Iterator[Statement]:
    """Yields the statements of a part of the predictions, given their measured numbers by name."""
    for name, said in predictions()["external"][part].items():
        low, high = said["right"]
        yield Statement(
            name=name,
            says=said["measured"],
            estimate=interval(found[name]),
            region=(-inf if low is None else low, inf if high is None else high),
            experiments=(),
        )


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over the seeds as they are and over each resample: [1 + resamples] from [S]."""
    return median_time(values[resampled(len(values))])


def _ratio(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ratio of two median times: [1 + resamples]; nan where neither is finite.

    A median time is infinite if fewer than half of the seeds learned.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(_median(one) / _median(other))


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean over the seeds as they are and over each resample: [1 + resamples] from [S]."""
    return np.asarray(values[resampled(len(values))].mean(axis=-1))


def _largest_factor(ratios: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The largest factor between 1 and any of the ratios, in either direction."""
    return np.asarray(np.max([np.maximum(ratio, 1 / ratio) for ratio in ratios], axis=0))


def _least(values: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The smallest of several statistics, for each resample."""
    return np.asarray(np.min(list(values), axis=0))


def _most(values: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The largest of several statistics, for each resample."""
    return np.asarray(np.max(list(values), axis=0))


def _farthest(ratios: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Of several ratios, the one that is farthest from 1 by its logarithm."""
    stacked = np.array(list(ratios))
    with np.errstate(divide="ignore"):
        worst = np.abs(np.log(stacked)).argmax(axis=0)
    return np.asarray(np.take_along_axis(stacked, worst[None], axis=0)[0])


def _geometric(ratios: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Geometric mean of ratios; 0 where one is negative."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.exp(np.mean(np.log(np.maximum(list(ratios), 0)), axis=0)))
