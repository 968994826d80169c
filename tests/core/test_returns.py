"""Returns by hand, and by a double loop."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from pwm.core.returns import discounted_returns
from tests.oracles.plain_returns import returns_by_double_loop


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
