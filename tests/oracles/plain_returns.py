"""Returns by a double loop, λ-returns by their definition, and running moments from all episodes.

The oracle for `pwm.core.returns`, `bootstrapped_returns` of `pwm.training.loss_options` and
`pwm.training.tracking`, in double precision.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pwm.training.config import TrainConfig


def returns_by_double_loop(rewards: Sequence[float], discount: float) -> list[float]:
    """Monte Carlo return of each step of an episode."""
    return [
        sum(discount ** (later - step) * rewards[later] for later in range(step, len(rewards)))
        for step in range(len(rewards))
    ]


def returns_of(run: TrainConfig, rewards: Tensor, values: Tensor | None = None) -> Tensor:
    """Returns of an episode, [T], with the run's discount and horizon.

    Args:
        run: the configuration.
        rewards: rewards of the steps, [T].
        values: values in units of reward, [T], for λ-returns; if None, Monte Carlo returns.
    """
    loss, returns = run.loss, []
    length = run.task.trial_length if run.loss.return_horizon == "trial" else len(rewards)
    for start in range(0, len(rewards), length):
        part = slice(start, start + length)
        if values is None:
            plain = returns_by_double_loop(rewards[part].tolist(), loss.discount)
            returns += [torch.tensor(one, dtype=torch.float64) for one in plain]
        else:
            returns += lambda_returns(
                rewards[part].tolist(), list(values[part]), loss.discount, loss.trace_decay
            )
    return torch.stack(returns)


def lambda_returns(
    rewards: Sequence[float], values: Sequence[Tensor], discount: float, trace_decay: float
) -> list[Tensor]:
    """λ-return of each step: average of its n-step returns, weighted by (1 - λ) λ^(n - 1).

    The longest n-step return, which reaches the end and contains no value, gets the remaining
    weight, λ^(n - 1). Source: Sutton & Barto (2018), section 12.1.

    Args:
        rewards: rewards of T steps.
        values: values of the same steps; the result is differentiable with respect to them.
        discount: γ, the discount.
        trace_decay: λ, the decay of traces.
    """
    steps = len(rewards)
    averages = []
    for step in range(steps):
        average = torch.zeros((), dtype=values[step].dtype)
        for n in range(1, steps - step + 1):
            end = step + n
            n_step = sum(discount**k * rewards[step + k] for k in range(n))
            last = end == steps
            bootstrap = 0.0 if last else discount**n * values[end]
            weight = trace_decay ** (n - 1) * (1 if last else 1 - trace_decay)
            average = average + weight * (n_step + bootstrap)
        averages.append(average)
    return averages


def moments(episodes: Sequence[NDArray[np.float64]], least_rate: float) -> tuple[float, float]:
    """Running mean and variance over the steps of all episodes so far, by weighted averages.

    The n-th episode gets the weight max(1/n, `least_rate`), and the weights of all earlier episodes
    are multiplied by one minus this weight. The first 1 / `least_rate` episodes therefore have
    equal weights.

    Args:
        episodes: values at each step, [T] per episode.
        least_rate: above 0, at most 1.
    """
    weights: list[float] = []
    for number in range(1, len(episodes) + 1):
        rate = max(1 / number, least_rate)
        weights = [*((1 - rate) * weight for weight in weights), rate]
    mean = np.average([terms.mean() for terms in episodes], weights=weights)
    variance = np.average([((terms - mean) ** 2).mean() for terms in episodes], weights=weights)
    return float(mean), float(variance)
