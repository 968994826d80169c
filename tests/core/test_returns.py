"""Returns by hand, by a double loop, and as averages of n-step returns."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pwm.core.returns import bootstrapped_returns, discounted_returns
from tests.oracles.plain_returns import lambda_returns, returns_by_double_loop


def test_returns_worked_out_by_hand() -> None:
    rewards = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0, 1.0]])
    for discount, returns in (
        (1.0, [2, 2, 2, 1, 1, 1]),
        (0.5, [0.28125, 0.5625, 1.125, 0.25, 0.5, 1]),
        (0.0, [0, 0, 1, 0, 0, 1]),
    ):
        assert discounted_returns(rewards, discount).tolist() == [returns]


@given(
    replicas=st.integers(1, 4),
    steps=st.integers(1, 70),
    discount=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_returns_agree_with_a_double_loop(
    replicas: int, steps: int, discount: float, seed: int
) -> None:
    rewards = torch.from_numpy(np.random.default_rng(seed).normal(size=(replicas, steps)))
    expected = [returns_by_double_loop(row, discount) for row in rewards.tolist()]
    torch.testing.assert_close(
        discounted_returns(rewards, discount), torch.tensor(expected, dtype=torch.float64)
    )
    # Sums of ones are exact in single precision too.
    ones = torch.ones((replicas, steps))
    assert discounted_returns(ones, 1.0)[0].tolist() == list(range(steps, 0, -1))


def test_lambda_returns_worked_out_by_hand() -> None:
    rewards, values = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[9.0, 2.0, 4.0]])
    for discount, decay, returns in (
        (1.0, 0.0, [2, 4, 1]),  # the next value
        (0.5, 0.0, [1, 2, 1]),
        (1.0, 0.5, [2.25, 2.5, 1]),  # (4 + 1) / 2, and (2 + 2.5) / 2
        (1.0, 1.0, [1, 1, 1]),
    ):
        assert bootstrapped_returns(rewards, values, discount, decay).tolist() == [returns]


@settings(max_examples=50)
@given(
    replicas=st.integers(1, 3),
    steps=st.integers(1, 20),
    discount=st.floats(0, 1),
    trace_decay=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_lambda_returns_are_averages_of_n_step_returns(
    replicas: int, steps: int, discount: float, trace_decay: float, seed: int
) -> None:
    rewards, values, surprises = torch.from_numpy(
        np.random.default_rng(seed).normal(size=(3, replicas, steps))
    )
    values.requires_grad_()
    found = bootstrapped_returns(rewards, values, discount, trace_decay)
    expected = torch.stack(
        [
            torch.stack(lambda_returns(row.tolist(), list(of_row), discount, trace_decay))
            for row, of_row in zip(rewards, values, strict=True)
        ]
    )
    torch.testing.assert_close(found, expected)
    # The gradient of a leak, Σ_t G_t x_t for any x, by autograd of the written-out averages.
    if trace_decay < 1 and steps > 1:
        ours, theirs = (
            torch.autograd.grad((returns * surprises).sum(), values)
            for returns in (found, expected)
        )
        torch.testing.assert_close(ours, theirs)


@given(st.integers(1, 70), st.floats(0, 1), st.sampled_from([0.0, float("inf"), float("nan")]))
def test_monte_carlo_returns_do_not_depend_on_values(
    steps: int, discount: float, value: float
) -> None:
    rewards = torch.rand(2, steps, generator=torch.Generator().manual_seed(steps))
    found = bootstrapped_returns(rewards, torch.full_like(rewards, value), discount, 1.0)
    assert torch.equal(found, discounted_returns(rewards, discount))
