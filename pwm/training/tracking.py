"""Running statistics of returns and rewards, used to scale errors.

With `LossConfig.returns` other than raw, or the rule popart, the value head does not learn the
return G itself but (G - m) / s. Here m is the running mean of the returns; s is 1 if they are
centred, and otherwise their running standard deviation. Each replica has its own m and s. If the
head's output is v, the value in reward is m + s v.

The statistics are exponential moving averages over Monte Carlo returns, even if the critic learns
λ-returns. Their rate at the n-th episode is max(1/n, `LossConfig.tracking_rate`): the first
episode counts in full, and episodes older than about 1/rate are forgotten. The default rate of 0.1
was chosen from exploratory runs; a rate of 1 does about as well (experiment `tracking`).
Slower averages lag behind the return, and the critic must make up the difference.

The statistics are updated only after an episode's losses have been computed, and used from the
next update on. So they do not depend on the episode's own actions, and with the baseline m + s v
the policy's gradient stays unbiased (Williams, 1992).

Shapes: R replicas, T steps per episode.
"""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor

LEAST_SCALE = 1e-4  # least standard deviation, as in PopArt's code


class Tracked(IntEnum):
    """Columns of the running statistics, [R, columns].

    Only the rule `return-scale` uses the columns of rewards, and only `uncertainty` the last two:
    log σ², which it learns, and the running mean square of the gradient with respect to log σ².
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

    At the n-th episode, the rate is ρ = max(1/n, least_rate). Let δ be the episode's mean minus the
    running mean. The running mean grows by ρ δ, and the running variance V becomes
    (1 - ρ) (V + ρ δ²) + ρ times the episode's variance. This is the variance of a mixture of the
    past, with weight 1 - ρ, and the episode, with weight ρ.

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
        widened = tracked[:, variance] + rate * change.square()  # V + ρ δ²
        tracked[:, mean] += rate * change
        tracked[:, variance] = (1 - rate) * widened + rate * episode_variance


def standard_deviation(variance: Tensor, num_episodes: Tensor) -> Tensor:
    """Root of a running variance [R], at least `LEAST_SCALE`; 1 before the first episode: [R]."""
    root = variance.sqrt().clamp(min=LEAST_SCALE)
    return torch.where(num_episodes > 0, root, 1.0)
