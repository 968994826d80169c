"""Losses worked out by hand, and their gradients in closed form, in double precision."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pwm.core.losses import Reduction, entropy_bonus, policy_loss, value_loss

REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)


@pytest.mark.parametrize("attached", [True, False])
def test_losses_worked_out_by_hand(attached: bool) -> None:
    log_probs, entropies = torch.tensor([[-1.0, -2.0]]), torch.tensor([[1.0, 0.5]])
    advantages = torch.tensor([[3.0, -1.0]])  # 3 * 1 - 1 * 2 = 1
    assert policy_loss(log_probs, advantages, attached=attached).tolist() == [1]
    mean = policy_loss(log_probs, advantages, attached=attached, reduction="mean")
    assert mean.tolist() == [0.5]
    assert value_loss(advantages).tolist() == [5]
    assert entropy_bonus(entropies).tolist() == [1.5]
    assert entropy_bonus(entropies, "mean").tolist() == [0.75]


@given(
    replicas=st.integers(1, 3),
    steps=st.integers(1, 20),
    weight=st.sampled_from([0.0, 0.5, 4.0]),
    attached=st.booleans(),
    reduction=st.sampled_from(REDUCTIONS),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_gradient_in_the_values_is_the_documented_one(
    replicas: int, steps: int, weight: float, attached: bool, reduction: Reduction, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    returns, values, numbers = (
        torch.randn(replicas, steps, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    log_probs = -numbers.abs()
    values.requires_grad_()
    log_probs.requires_grad_()
    advantages = returns - values
    policy = policy_loss(log_probs, advantages, attached=attached, reduction=reduction)
    total = policy + weight * value_loss(advantages)
    by_values, by_log_probs = torch.autograd.grad(total.sum(), (values, log_probs))
    factor = 1.0 if reduction == "sum" else 1 / steps  # c
    leak = factor * log_probs if attached else 0.0
    torch.testing.assert_close(by_values, -2 * weight / steps * advantages + leak)
    torch.testing.assert_close(by_log_probs, -factor * advantages)
