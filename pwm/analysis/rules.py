"""Methods that balance the two losses, compared by the protocol fixed before their runs.

The protocol is in `paper/predictions.json` (`fourth`, `rules`). Every method has one setting for
all conditions, and all methods share their seeds. Methods are ranked by their mean success over the
ranked conditions, ties by the worst of these; the held-out conditions only test the ranking.

Shapes: M methods, C conditions, S seeds, B selections of seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pwm.analysis.estimates import Estimate, over_seeds, rate, rate_difference
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.times import median_time
from pwm.experiments import rules
from pwm.experiments.rules import BOTH, CANDIDATE_STEPS, RATES


class Selection(NamedTuple):
    """Selection of runs: the group in the name of their experiment, and values on its axes."""

    group: str
    values: Mapping[str, Any]


METHODS: Mapping[str, Selection] = MappingProxyType(
    {
        **{
            f"{returns} {weight:g}": Selection(
                "fixed", {"returns": returns, "critic_weight": weight}
            )
            for returns in BOTH
            for weight in rules.METHODS["fixed"]["weights"]
        },
        "standardised 100": Selection("standardised", {"critic_weight": 100.0}),
        **{
            f"{returns} {rule}": Selection(
                "rule", {"returns": returns, "balance": rule, "critic_weight": 1.0}
            )
            for returns in BOTH
            for rule in rules.METHODS["rule"]["balance"]
        },
        "popart": Selection("popart", {"critic_weight": 1.0}),
        **{
            f"{returns} separate": Selection("separate", {"returns": returns, "critic_weight": 1.0})
            for returns in BOTH
        },
        "usual": Selection("usual", {"critic_weight": 0.5}),
    }
)
"""Methods by name."""
CONDITIONS: Mapping[str, Selection] = MappingProxyType(
    {
        **{
            f"{steps} steps, {learning_rate:g}": Selection(
                "length", {"episode_length": steps, "learning_rate": learning_rate}
            )
            for learning_rate in RATES
            for steps in rules.CONDITIONS["length"]["episode_length"]
        },
        "trials of 8": Selection("trial", {}),
        "reward 0.1": Selection("reward", {"reward": 0.1}),
        "reward 10": Selection("reward", {"reward": 10.0}),
        "carried": Selection("carried", {}),
        "36 steps": Selection("held-out", {"episode_length": 36}),
        "90 steps": Selection("held-out", {"episode_length": 90}),
    }
)
"""Conditions by name: lengths at two learning rates, other tasks, and those held out."""
HELD_OUT = ("36 steps", "90 steps")
CANDIDATES: Mapping[str, Selection] = MappingProxyType(
    {
        **{
            f"centred {weight:g}": Selection("fixed", {"critic_weight": weight})
            for weight in rules.CANDIDATES["fixed"]["weights"]
        },
        "centred per-loss": Selection("per-loss", {"critic_weight": 1.0}),
        "centred separate": Selection("separate", {"critic_weight": 1.0}),
        "usual": Selection("usual", {"critic_weight": 0.5}),
    }
)
"""Candidates for the recommendation by name: some of the methods, with more seeds and episodes."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Outcomes of methods in conditions, with the same seeds."""

    methods: tuple[str, ...]
    conditions: tuple[str, ...]
    learned: NDArray[np.bool_]  # (M, C, S)
    time: NDArray[np.float64]  # (M, C, S), episodes until each learned; inf if never
    held_out: tuple[str, ...] = ()
    """Conditions that are not ranked."""

    @property
    def ranked(self) -> tuple[str, ...]:
        """Conditions that methods are ranked by."""
        return tuple(name for name in self.conditions if name not in self.held_out)

    def cells(self, method: str, conditions: Sequence[str] = ()) -> NDArray[np.bool_]:
        """Whether the seeds of a method learned, in the ranked conditions or in those given.

        Returns:
            Whether each learned, [conditions, S].
        """
        places = [self.conditions.index(name) for name in conditions or self.ranked]
        return np.asarray(self.learned[self.methods.index(method), places])

    def success(self, method: str, *conditions: str) -> Estimate:
        """Mean success of a method over the ranked conditions or those given."""
        return rate(self.cells(method, conditions))

    def worst(self, method: str) -> float:
        """Least success of a method over the ranked conditions."""
        return float(self.cells(method).mean(axis=-1).min())

    def failures(self, method: str) -> tuple[str, ...]:
        """Conditions, held out or not, in which fewer than half of a method's seeds learned."""
        rates = self.learned[self.methods.index(method)].mean(axis=-1)
        return tuple(name for name, each in zip(self.conditions, rates, strict=True) if each < 0.5)

    def difference(self, one: str, other: str, *conditions: str) -> Estimate:
        """Mean success of one method minus that of another, paired by seed."""
        return rate_difference(self.cells(one, conditions), self.cells(other, conditions))

    def tied(self, one: str, other: str) -> bool:
        """Whether two methods are tied: the interval of their difference includes zero."""
        _, low, high = self.difference(one, other)
        return low <= 0 <= high

    def median(self, method: str, condition: str) -> float:
        """Episodes until half of a method's seeds had learned; inf if fewer ever did."""
        return float(median_time(self._times(method, condition)))

    def time_ratio(self, one: str, other: str, condition: str) -> Estimate:
        """Ratio of the median times to learn of two methods, with an interval paired by seed."""
        times = [self._times(method, condition) for method in (one, other)]
        return over_seeds(
            lambda seeds: np.divide(*(median_time(each[seeds]) for each in times)), len(times[0])
        )

    def _times(self, method: str, condition: str) -> NDArray[np.float64]:
        """Times to learn of a method's seeds in a condition: [S]."""
        place = self.methods.index(method), self.conditions.index(condition)
        return np.asarray(self.time[place])

    def ranking(self) -> tuple[str, ...]:
        """The methods, the best score first; equal scores in the order of the methods."""
        (scores,) = self._scores(self.ranked, np.arange(self.learned.shape[-1])[None]).T
        return tuple(self.methods[place] for place in np.argsort(-scores, kind="stable"))

    def rank(self, method: str) -> Estimate:
        """Place of a method in the ranking, the best being 1; equal scores share their mean."""
        place = self.methods.index(method)
        return over_seeds(
            lambda seeds: rankdata(-self._scores(self.ranked, seeds), axis=0)[place],
            self.learned.shape[-1],
        )

    def rank_correlation(self) -> Estimate:
        """Spearman's correlation of the ranking with that by the held-out conditions."""

        def correlation(seeds: NDArray[np.intp]) -> NDArray[np.float64]:
            """Pearson's correlation of the two rankings, for each selection of seeds: [B]."""
            one, other = (
                rankdata(self._scores(names, seeds), axis=0)
                for names in (self.ranked, self.held_out)
            )  # (M, B)
            one, other = one - one.mean(axis=0), other - other.mean(axis=0)
            variances = (one**2).sum(axis=0) * (other**2).sum(axis=0)
            return np.asarray((one * other).sum(axis=0) / np.sqrt(variances))

        return over_seeds(correlation, self.learned.shape[-1])

    def _scores(self, conditions: Sequence[str], seeds: NDArray[np.intp]) -> NDArray[np.int64]:
        """Scores that rank methods by mean success, and equal ones by their worst condition.

        They are integers, so that ties are exact.

        Args:
            conditions: names of the conditions to include.
            seeds: indices of B selections of S seeds, [B, S].
        Returns:
            Score of each of M methods for each selection, [M, B].
        """
        places = [self.conditions.index(name) for name in conditions]
        num_chosen = seeds.shape[-1]
        successes = np.stack(
            [self.learned[:, place, :][:, seeds].sum(axis=-1) for place in places]
        )  # (conditions, M, B)
        return np.asarray(successes.sum(axis=0) * (num_chosen + 1) + successes.min(axis=0))


def compared(evidence: Evidence) -> Comparison:
    """The comparison of all methods in all conditions."""
    runs = [
        [
            evidence.of(f"rules-{condition.group}-{method.group}").at(
                **condition.values, **method.values
            )
            for condition in CONDITIONS.values()
        ]
        for method in METHODS.values()
    ]
    return _comparison(METHODS, CONDITIONS, runs, HELD_OUT)


def candidates(evidence: Evidence) -> Comparison:
    """Compares the candidates for the recommendation over lengths, at learning rate 0.005."""
    names = {f"{steps} steps": steps for steps in CANDIDATE_STEPS}
    runs = [
        [
            evidence.of(f"candidates-{method.group}").at(episode_length=steps, **method.values)
            for steps in CANDIDATE_STEPS
        ]
        for method in CANDIDATES.values()
    ]
    return _comparison(CANDIDATES, names, runs)


def _comparison(
    methods: Mapping[str, Any],
    conditions: Mapping[str, Any],
    runs: list[list[Outcomes]],
    held_out: tuple[str, ...] = (),
) -> Comparison:
    """A comparison from the runs of each method in each condition, whose one axis is the seed."""
    return Comparison(
        methods=tuple(methods),
        conditions=tuple(conditions),
        learned=np.array([[cell.learned for cell in row] for row in runs]),
        time=np.array([[cell.time for cell in row] for row in runs]),
        held_out=held_out,
    )
