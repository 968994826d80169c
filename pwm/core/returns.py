"""Discounted returns, and λ-returns, which bootstrap from the critic's values.

Shapes: R replicas, T steps per episode. For returns that end with the trial, callers pass each
trial as a row: N trials of L steps are [R N, L] instead of [R, T].
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

BLOCK = 16  # steps; padded to a multiple, products have the same bits for one replica and many


def discounted_returns(rewards: Tensor, discount: float) -> Tensor:
    """Discounted returns G_t = Σ_k≥t discount^(k-t) r_k, [R, T], from rewards r, [R, T].

    A matrix product is usually many times as fast as a recursion, but spreads nan to all steps.
    """
    replicas, steps = rewards.shape
    padding = -steps % BLOCK  # up to the next multiple
    padded = pad(rewards, (0, padding))
    matrix = _discount_matrix(steps + padding, discount, rewards.dtype, rewards.device)
    returns = torch.bmm(padded.unsqueeze(1), matrix.expand(replicas, -1, -1)).squeeze(1)
    return returns[:, :steps]


def bootstrapped_returns(
    rewards: Tensor, values: Tensor, discount: float, trace_decay: float
) -> Tensor:
    """λ-returns G_t = r_t + γ ((1 - λ) v_t+1 + λ G_t+1), [R, T]; v and G are 0 after the end.

    Since G_t = (r_t + γ (1 - λ) v_t+1) + γ λ G_t+1, they are the discounted returns of the terms
    in brackets, with discount γ λ. G_t - v_t is the advantage of GAE(λ) (Schulman et al., 2016).
    Rewards r and values v are [R, T], in units of reward; γ is `discount` and λ is `trace_decay`.
    If λ is 1, the values are not used; otherwise gradients pass through to them.
    """
    if trace_decay == 1:
        return discounted_returns(rewards, discount)
    next_values = pad(values[:, 1:], (0, 1))  # 0 after the last step
    bootstrapped = rewards + discount * (1 - trace_decay) * next_values
    return discounted_returns(bootstrapped, discount * trace_decay)


@lru_cache(maxsize=8)
def _discount_matrix(
    steps: int, discount: float, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Matrix [steps, steps] with discount^(k-t) in row k and column t, 0 where k < t."""
    lag = torch.arange(steps).unsqueeze(1) - torch.arange(steps)  # k - t
    weight = torch.where(lag < 0, 0.0, torch.tensor(discount, dtype=torch.float64) ** lag)
    return weight.to(device, dtype)
