"""Discounted returns.

Shapes: R replicas, T steps per episode. For returns that end with the trial, callers pass each
trial as a row, N trials of L steps as [R N, L] instead of [R, T], and reshape the result.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

# Rewards are padded with zeros to a multiple of this. Returns do not change, and the product below
# was found to round the same way for one replica and for many.
BLOCK = 16


def discounted_returns(rewards: Tensor, discount: float) -> Tensor:
    """Discounted returns G_t = Σ_{k≥t} discount^(k-t) r_k, [R, T], from rewards r, [R, T].

    A matrix product is usually many times as fast as a recursion, but spreads nan to all steps.
    """
    replicas, steps = rewards.shape
    padding = -steps % BLOCK  # up to the next multiple
    padded = pad(rewards, (0, padding))
    matrix = _discount_matrix(steps + padding, discount, rewards.dtype, rewards.device)
    returns = torch.bmm(padded.unsqueeze(1), matrix.expand(replicas, -1, -1)).squeeze(1)
    return returns[:, :steps]


@lru_cache(maxsize=8)
def _discount_matrix(
    steps: int, discount: float, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Matrix [steps, steps] with discount^(k-t) in row k and column t, 0 where k < t."""
    lag = torch.arange(steps).unsqueeze(1) - torch.arange(steps)  # k - t
    weight = torch.where(lag < 0, 0.0, torch.tensor(discount, dtype=torch.float64) ** lag)
    return weight.to(device, dtype)
