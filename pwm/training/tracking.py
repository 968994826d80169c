"""Running statistics of returns and rewards, by which training scales them.

With `LossConfig.returns` other than raw, the value head does not learn the return G itself but
(G - m) / s. Here m is the running mean of the returns; s is their running standard deviation if
they are standardised, and 1 if they are centred. Each replica has its own m and s. The value of a
step in reward is then m + s v.

m and s are exponential moving averages with rate max(1/n, `LossConfig.tracking_rate`) after the
n-th episode: they start from the first, and later forget what is older than about 1/rate episodes.
The default rate of 0.1 was chosen from exploratory runs; any from 0.1 to 1 does as well (experiment
`tracking`). Slower averages fall behind the return, and the critic must make up the difference.
An episode updates them after it has trained, so that the baseline m + s v does not depend on the
episode's own actions, and the policy's gradient stays unbiased (Williams, 1992).

m and s are those of Monte Carlo returns, even where the critic learns λ-returns.

Shapes: R replicas, T steps per episode.
"""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor

LEAST_SCALE = 1e-4  # of a standard deviation, as in PopArt's code


class Tracked(IntEnum):
    """Columns of the running statistics, [R, columns].

    The last two serve the rule `uncertainty` alone: the log σ² that it learns, and the running mean
    square of this parameter's gradient.
    """

    EPISODES = 0
    RETURN_MEAN = 1
    RETURN_VARIANCE = 2
    REWARD_MEAN = 3
    REWARD_VARIANCE = 4
    LOG_VARIANCE = 5
    LOG_VARIANCE_MEAN_SQUARE = 6


def track(tracked: Tensor, rewards: Tensor, returns: Tensor, least_rate: float) -> None:
    """Updates the running means and variances of rewards and returns from one episode, in place.

    The rate is ρ = max(1/n, least_rate) at the n-th episode. With the episode's mean m and variance
    v, and δ = m - mean, the running mean grows by ρ δ, and the running variance becomes
    (1 - ρ) (variance + ρ δ²) + ρ v.

    Args:
        tracked: the running statistics, [R, columns].
        rewards: rewards of the episode, [R, T].
        returns: returns of the episode, [R, T].
        least_rate: lower bound on the rate.
    """
    tracked[:, Tracked.EPISODES] += 1
    rate = (1 / tracked[:, Tracked.EPISODES]).clamp(min=least_rate)
    for mean, variance, terms in (
        (Tracked.RETURN_MEAN, Tracked.RETURN_VARIANCE, returns),
        (Tracked.REWARD_MEAN, Tracked.REWARD_VARIANCE, rewards),
    ):
        episode_mean = terms.mean(dim=-1)
        episode_variance = (terms - episode_mean.unsqueeze(-1)).square().mean(dim=-1)
        change = episode_mean - tracked[:, mean]
        widened = tracked[:, variance] + rate * change.square()
        tracked[:, mean] += rate * change
        tracked[:, variance] = (1 - rate) * widened + rate * episode_variance


def standard_deviation(variance: Tensor, num_episodes: Tensor) -> Tensor:
    """Root of a running variance, at least `LEAST_SCALE`; 1 before the first episode; [R] each."""
    root = variance.sqrt().clamp(min=LEAST_SCALE)
    return torch.where(num_episodes > 0, root, 1.0)
