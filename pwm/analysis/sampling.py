"""Sampling of runs without replacement, and an exact bound on the number of wrong ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from scipy.stats import hypergeom

CONFIDENCE = 0.95
Item = TypeVar("Item")


def drawn(items: Sequence[Item], count: int, seed: int) -> list[Item]:
    """Draws `count` items without replacement, in random order; all items if there are fewer."""
    order = np.random.default_rng(seed).permutation(len(items))
    return [items[index] for index in order[:count].tolist()]


def most_wrong(total: int, sampled: int, wrong: int) -> int:
    """Upper confidence bound on the number of wrong runs in a population of `total` runs.

    Of the `sampled` runs, drawn at random, `wrong` are wrong. The bound is the largest number of
    wrong runs in the population for which a sample has at most `wrong` of them with a probability
    above 1 - `CONFIDENCE` (hypergeometric distribution; the one-sided bound of Clopper and Pearson,
    1934, for a finite population).
    """
    lowest, highest = wrong, total - sampled + wrong  # at most, all runs not drawn are wrong
    while lowest < highest:  # bisection: the probability falls as `middle` grows
        middle = (lowest + highest + 1) // 2
        if hypergeom.cdf(wrong, total, middle, sampled) > 1 - CONFIDENCE:
            lowest = middle
        else:
            highest = middle - 1
    return lowest


def power(total: int, sampled: int, wrong: int) -> float:
    """Probability that `sampled` of `total` runs include at least one of the `wrong` wrong ones."""
    return float(hypergeom.sf(0, total, wrong, sampled))
