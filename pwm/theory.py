"""Closed forms. No torch."""

from __future__ import annotations


def value_floor(success: float, num_trials: int) -> float:
    """Smallest value loss of a critic that cannot see its position in the episode.

    A step of the n-th of N trials is followed by S successes among n' = N - n + 1 trials, so
    its return has mean p n' and variance p (1 - p) n'. A critic that is blind to n can do no
    better than the overall mean, and is left with the variance of p n' over n and the mean of
    the variance: p² (N² - 1) / 12 + p (1 - p) (N + 1) / 2. It holds for undiscounted returns
    over whole episodes, with the LSTM's state reset at every trial and every trial alike.

    Args:
        success: p, probability that a trial is rewarded, in [0, 1].
        num_trials: N, trials an episode, at least 1.
    Returns:
        Variance of the return over positions and outcomes, in reward².
    """
    between = success**2 * (num_trials**2 - 1) / 12
    within = success * (1 - success) * (num_trials + 1) / 2
    return between + within
