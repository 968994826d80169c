"""Exact bounds on a population from a sample drawn without replacement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from scipy.stats import hypergeom

CONFIDENCE = 0.95
Item = TypeVar("Item")


def drawn(items: Sequence[Item], count: int, seed: int) -> list[Item]:
    """Draws `count` items without replacement, in random order; all if there are fewer."""
    order = np.random.default_rng(seed).permutation(len(items))
    return [items[place] for place in order[:count].tolist()]


def most_wrong(total: int, drawn: int, wrong: int, confidence: float = CONFIDENCE) -> int:
    """Upper confidence bound on the number of wrong runs, from a sample.

    It is the largest number of wrong runs of which a sample shows `wrong` or fewer with a
    probability above 1 - confidence (hypergeometric distribution; the one-sided bound of Clopper
    and Pearson, 1934, for a finite population).

    Args:
        total: number of runs.
        drawn: number of runs in the sample.
        wrong: number of wrong runs in the sample.
        confidence: least probability that the bound of a sample holds.
    """
    lowest, highest = wrong, total - drawn + wrong  # numbers that the sample does not rule out
    while lowest < highest:  # bisection: the probability falls as the number grows
        middle = (lowest + highest + 1) // 2
        if hypergeom.cdf(wrong, total, middle, drawn) > 1 - confidence:
            lowest = middle
        else:
            highest = middle - 1
    return lowest


def power(total: int, drawn: int, wrong: int) -> float:
    """Probability that a sample shows at least one of the wrong runs.

    Args:
        total: number of runs.
        drawn: number of them in the sample.
        wrong: number of wrong ones among all.
    """
    return float(hypergeom.sf(0, total, wrong, drawn))
