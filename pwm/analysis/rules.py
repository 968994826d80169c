"""Methods that balance the two losses, compared by a protocol fixed before their runs.

The protocol is in `paper/predictions.json` (`fourth`, `rules`). Every method has one setting for
all conditions, and all methods use the same seeds. Success is the fraction of seeds that learn.
Methods are ranked by their mean success over all but the held-out conditions; equal means are
ranked by success in the worst of these conditions. The held-out conditions only test the ranking.

Shapes: M methods, C conditions, S seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pwm.analysis.estimates import (
    Estimate,
    interval,
    median_ratios,
    rate,
    rate_difference,
    resampled,
)
from pwm.analysis.evidence import Evidence
from pwm.analysis.times import median_time
from pwm.experiments import rules
from pwm.experiments.rules import BOTH, CANDIDATE_STEPS, RATES

Selection = tuple[str, Mapping[str, Any]]
"""Selects a method's or a condition's runs: part of an experiment's name, and values of fields."""
METHODS: Mapping[str, Selection] = {
    **{
        f"{returns} {weight:g}": ("fixed", {"returns": returns, "critic_weight": weight})
        for returns in BOTH
        for weight in rules.METHODS["fixed"]["weights"]
    },
    "standardised 100": ("standardised", {}),
    **{
        f"{returns} {rule}": ("rule", {"returns": returns, "balance": rule})
        for returns in BOTH
        for rule in rules.METHODS["rule"]["balance"]
    },
    "popart": ("popart", {}),
    **{f"{returns} separate": ("separate", {"returns": returns}) for returns in BOTH},
    "usual": ("usual", {}),
}
"""Methods of `pwm.experiments.rules` by name: mostly the returns, then the weight or the rule."""
CONDITIONS: Mapping[str, Selection] = {
    **{
        f"{steps} steps, {learning_rate:g}": (
            "rules-length",
            {"episode_length": steps, "learning_rate": learning_rate},
        )
        for learning_rate in RATES
        for steps in rules.CONDITIONS["length"]["episode_length"]
    },
    "trials of 8": ("rules-trial", {}),
    "reward 0.1": ("rules-reward", {"reward": 0.1}),
    "reward 10": ("rules-reward", {"reward": 10.0}),
    "carried": ("rules-carried", {}),
    "36 steps": ("rules-held-out", {"episode_length": 36}),
    "90 steps": ("rules-held-out", {"episode_length": 90}),
}
"""Conditions by name: episode lengths at two learning rates, other tasks, held-out lengths."""
HELD_OUT = ("36 steps", "90 steps")
CANDIDATES: Mapping[str, Selection] = {
    **{
        f"centred {weight:g}": ("fixed", {"critic_weight": weight})
        for weight in rules.CANDIDATES["fixed"]["weights"]
    },
    "centred per-loss": ("per-loss", {}),
    "centred separate": ("separate", {}),
    "usual": ("usual", {}),
}
"""Candidates for the recommended method, by name; they have more seeds and episodes."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Outcomes of methods in conditions, all with the same seeds."""

    methods: tuple[str, ...]
    conditions: tuple[str, ...]
    learned: NDArray[np.bool_]  # whether each run has learned at its end, [M, C, S]
    time: NDArray[np.float64]  # episodes until each run first learned, inf if never, [M, C, S]
    reward: NDArray[np.float64]  # fraction of trials rewarded in the last 500 episodes, [M, C, S]
    held_out: tuple[str, ...] = ()  # conditions that do not count in the ranking

    def ending_above(self, level: float) -> Comparison:
        """The same comparison with `learned` replaced by `reward` above `level`; `time` stays."""
        return replace(self, learned=self.reward > level)

    @property
    def ranked_conditions(self) -> tuple[str, ...]:
        """Conditions by which methods are ranked: all but the held-out ones."""
        return tuple(name for name in self.conditions if name not in self.held_out)

    def learned_by(self, method: str, conditions: Sequence[str] = ()) -> NDArray[np.bool_]:
        """Whether each seed of a method learned, [C, S], by default in the ranked conditions."""
        indices = [self.conditions.index(name) for name in conditions or self.ranked_conditions]
        return np.asarray(self.learned[self.methods.index(method), indices])

    def success(self, method: str, *conditions: str) -> Estimate:
        """Fraction of seeds that learned, mean over `conditions`, by default the ranked ones."""
        return rate(self.learned_by(method, conditions))

    def worst_success(self, method: str) -> float:
        """Lowest success of a method in any ranked condition."""
        return float(self.learned_by(method).mean(axis=-1).min())

    def failed_conditions(self, method: str) -> tuple[str, ...]:
        """Conditions, held out or not, in which fewer than half of a method's seeds learned."""
        return tuple(
            name for name in self.conditions if self.learned_by(method, [name]).mean() < 0.5
        )

    def difference(self, one: str, other: str, *conditions: str) -> Estimate:
        """`success` of the method `one` minus that of the method `other`, paired by seed."""
        return rate_difference(self.learned_by(one, conditions), self.learned_by(other, conditions))

    def tied(self, one: str, other: str) -> bool:
        """Whether two methods are tied: the interval of their `difference` includes zero."""
        difference = self.difference(one, other)
        return difference.low <= 0 <= difference.high

    def median_episodes(self, method: str, condition: str) -> float:
        """Episodes until half of a method's seeds had learned; inf if fewer ever did."""
        return float(median_time(self._times(method, condition)))

    def time_ratio(self, one: str, other: str, condition: str) -> Estimate:
        """Median time to learn of the method `one` over that of `other`, paired by seed."""
        times, reference = self._times(one, condition), self._times(other, condition)
        return interval(median_ratios(times, reference))

    def _times(self, method: str, condition: str) -> NDArray[np.float64]:
        """Times to learn of a method's seeds in a condition: [S]."""
        return np.asarray(self.time[self.methods.index(method), self.conditions.index(condition)])

    def ranking(self) -> tuple[str, ...]:
        """The methods, best first; those with equal `_scores` stay in the order of `methods`."""
        scores = self._scores(self.ranked_conditions)[:, 0]  # for the original seeds: (M,)
        return tuple(self.methods[index] for index in np.argsort(-scores, kind="stable"))

    def rank(self, method: str) -> float:
        """Rank of a method, 1 for the best; methods with equal `_scores` share their mean rank."""
        scores = self._scores(self.ranked_conditions)[:, 0]
        return float(rankdata(-scores)[self.methods.index(method)])

    def rank_correlation(self) -> Estimate:
        """Spearman correlation of ranks in ranked and in held-out conditions; needs both kinds."""
        ranks = rankdata(self._scores(self.ranked_conditions), axis=0)  # (M, 1 + resamples)
        held_out_ranks = rankdata(self._scores(self.held_out), axis=0)
        # Spearman's is Pearson's correlation of the ranks.
        one = ranks - ranks.mean(axis=0)
        other = held_out_ranks - held_out_ranks.mean(axis=0)
        squares = (one**2).sum(axis=0) * (other**2).sum(axis=0)
        with np.errstate(invalid="ignore"):  # nan where all methods have the same rank
            return interval((one * other).sum(axis=0) / np.sqrt(squares))

    def _scores(self, conditions: Sequence[str]) -> NDArray[np.int64]:
        """Score of each method, for the original seeds, then each resample: [M, 1 + resamples].

        A higher score is a higher mean success or, if means are equal, a higher success in the
        worst condition. Scores are integers, so ties are exact.
        """
        indices = [self.conditions.index(name) for name in conditions]
        num_seeds = self.learned.shape[-1]
        seeds = resampled(num_seeds)  # (1 + resamples, S)
        num_learned = self.learned[:, indices][..., seeds].sum(axis=-1)  # (M, C, 1 + resamples)
        # The lowest count is at most S, so adding it only breaks ties between equal sums.
        return np.asarray(num_learned.sum(axis=1) * (num_seeds + 1) + num_learned.min(axis=1))


def compared(evidence: Evidence) -> Comparison:
    """Compares all methods in all conditions."""
    return _comparison(evidence, METHODS, CONDITIONS, HELD_OUT)


def candidates(evidence: Evidence) -> Comparison:
    """Compares the candidates for the recommended method, at several episode lengths."""
    conditions = {
        f"{steps} steps": ("candidates", {"episode_length": steps}) for steps in CANDIDATE_STEPS
    }
    return _comparison(evidence, CANDIDATES, conditions)


def _comparison(
    evidence: Evidence,
    methods: Mapping[str, Selection],
    conditions: Mapping[str, Selection],
    held_out: tuple[str, ...] = (),
) -> Comparison:
    """Compares methods in conditions.

    The runs of a pair are in the experiment CONDITION-METHOD, after the names in its selections.
    """
    runs = []
    for method, method_fields in methods.values():
        for condition, condition_fields in conditions.values():
            outcomes = evidence.of(f"{condition}-{method}")
            runs.append(outcomes.at(**condition_fields, **method_fields))
    # Other axes than the seed have one value each, so `ravel` gives (S,).
    shape = (len(methods), len(conditions), -1)  # (M, C, S)
    return Comparison(
        methods=tuple(methods),
        conditions=tuple(conditions),
        learned=np.reshape([each.learned.ravel() for each in runs], shape),
        time=np.reshape([each.time.ravel() for each in runs], shape),
        reward=np.reshape([each.reward.ravel() for each in runs], shape),
        held_out=held_out,
    )
