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

    A sample of `sampled` runs, drawn without replacement, has `wrong` wrong ones. The bound is the
    largest W for which a sample from a population with W wrong runs has `wrong` or fewer of them
    with a probability above 1 - `CONFIDENCE`. It is the one-sided bound of Clopper and Pearson
    (1934) for a finite population, where the number in a sample is hypergeometric.
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
    """Probability that `sampled` runs include a wrong one if `wrong` of all `total` are wrong."""
    return float(hypergeom.sf(0, total, wrong, sampled))
