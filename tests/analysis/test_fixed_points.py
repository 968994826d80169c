"""Fixed points of a critic, compared with zeros of the loss gradient and with simulation."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pwm.analysis.fixed_points import fixed_point_values, huber_bias
from pwm.core.leak import leak_temperature
from pwm.core.task import TaskConfig
from pwm.training.config import TrainConfig
from pwm.training.loss_config import Baseline, LossConfig
from pwm.training.loss_options import bootstrapped_returns, episode_losses

WEIGHT = 1.5


class Episodes(NamedTuple):
    """Episodes of a policy that differs from step to step, and the critic's features."""

    config: LossConfig
    rewards: Tensor  # (E, T), like log-probabilities
    log_probs: Tensor
    features: Tensor  # (T, period): an indicator for each step of a period
    horizon: int

    def returns(self, values: Tensor) -> Tensor:
        """Computes the λ-returns, [E, T], that bootstrap from `values`, one per step, [T]."""
        rows = (-1, self.horizon)
        later = values.expand_as(self.rewards).reshape(rows)
        discount, decay = self.config.discount, self.config.trace_decay
        targets = bootstrapped_returns(self.rewards.reshape(rows), later, discount, decay)
        return targets.reshape(self.rewards.shape)

    def gradient(self, head: Tensor) -> Tensor:
        """Mean gradient of the losses with respect to a linear value head."""
        head = head.clone().requires_grad_()
        values = self.features @ head
        errors = self.returns(values.detach()) - values
        advantages = self.returns(values) - values if self.config.leaking_targets else errors
        outputs = self.log_probs, torch.zeros(())
        losses = episode_losses(*outputs, errors, advantages, WEIGHT, self.config)
        (gradient,) = torch.autograd.grad(losses.total.mean(), head)
        return gradient

    def settled(self) -> Tensor:
        """Values where the gradient, which is linear in the head's weights, is zero: [T]."""
        units = torch.eye(self.features.shape[1], dtype=torch.float64)
        start = self.gradient(0 * units[0])
        slopes = torch.stack([self.gradient(unit) - start for unit in units], dim=1)
        head: Tensor = torch.linalg.solve(slopes, -start)
        return self.features @ head

    def theory(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Returns `fixed_point_values` for the episodes' mean rewards and mean -log π: [T]."""
        config, steps = self.config, self.rewards.shape[1]
        attached = config.baseline == "attached"
        return fixed_point_values(
            self.rewards.mean(dim=0).numpy(),
            -self.log_probs.mean(dim=0).numpy(),
            leak_temperature(steps, WEIGHT, config.policy_reduction) * attached,
            discount=config.discount,
            trace_decay=config.trace_decay,
            leaking_targets=config.leaking_targets,
            horizon=self.horizon,
            period=self.features.shape[1],
        )


def episodes(config: LossConfig, trials: int, length: int, period: int, horizon: int) -> Episodes:
    random = np.random.default_rng(trials)
    steps = trials * length
    policies = random.dirichlet([1.0, 1.0], size=steps)
    actions = (random.random((30, steps)) < policies[:, 1]).astype(int)
    log_probs = np.log(policies)[np.arange(steps), actions]
    features = np.eye(period)[np.arange(steps) % period]
    arrays = [torch.from_numpy(each) for each in (1.0 * actions, log_probs, features)]
    return Episodes(config, arrays[0], arrays[1], arrays[2], horizon)


@st.composite
def cases(draw: st.DrawFn) -> Episodes:
    trials, length = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    steps = trials * length
    baseline: Baseline = draw(st.sampled_from(["attached", "detached"]))
    config = LossConfig(
        baseline=baseline,
        policy_reduction=draw(st.sampled_from(["sum", "mean"])),
        discount=draw(st.sampled_from([1.0, 0.9, 0.3, 0.0])),
        trace_decay=draw(st.floats(0, 1)),
        leaking_targets=baseline == "attached" and draw(st.booleans()),
    )
    period, horizon = (draw(st.sampled_from([length, steps])) for _ in range(2))
    return episodes(config, trials, length, period, horizon)


@given(cases())
def test_the_losses_gradient_is_zero_at_the_settled_values(case: Episodes) -> None:
    settled = case.theory()
    np.testing.assert_allclose(settled, case.settled(), rtol=1e-6, atol=1e-6)


@given(cases())
def test_an_attached_value_alone_lowers_advantages_by_the_same_at_every_decay(
    case: Episodes,
) -> None:
    config = replace(case.config, baseline="attached", leaking_targets=False)
    case = case._replace(config=config)
    values = torch.from_numpy(case.theory())
    alpha = leak_temperature(len(values), WEIGHT, config.policy_reduction)
    gap = (case.returns(values) - values - alpha * case.log_probs).mean(dim=0)
    assert (gap @ case.features).tolist() == pytest.approx([0] * case.features.shape[1], abs=1e-6)


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("trace_decay", [0.0, 0.5, 1.0])
def test_the_limits_of_long_episodes(discount: float, trace_decay: float) -> None:
    steps, middle = 400, 200
    settings: dict[str, Any] = {
        "discount": discount,
        "trace_decay": trace_decay,
        "horizon": steps,
        "period": steps,
    }
    zero, one = np.zeros(steps), np.ones(steps)
    own = fixed_point_values(zero, one, 2.0, **settings)[middle]
    assert own == pytest.approx(2 * (1 - discount * trace_decay) / (1 - discount), rel=1e-6)
    every = fixed_point_values(zero, one, 2.0, leaking_targets=True, **settings)[middle]
    assert every == pytest.approx(2, rel=1e-6)


def test_undiscounted_biases_by_hand() -> None:
    # Six steps, α H = 2. With TD(0), each value adds up the leaks of all steps to come: 12 ... 2.
    # If later values leak too, all but the first step's cancel.
    zero, one = np.zeros(6), np.ones(6)
    td: dict[str, Any] = {"discount": 1.0, "trace_decay": 0.0, "horizon": 6, "period": 6}
    assert fixed_point_values(zero, one, 2.0, **td).tolist() == pytest.approx([12, 10, 8, 6, 4, 2])
    every = fixed_point_values(zero, one, 2.0, leaking_targets=True, **td)
    assert every.tolist() == pytest.approx([2, 0, 0, 0, 0, 0])
    # A critic that knows only the step within a trial of 3 has the first trial's biases in both.
    blind_td = td | {"period": 3}
    blind = fixed_point_values(zero, one, 2.0, **blind_td)
    assert blind.tolist() == pytest.approx([12, 10, 8] * 2)
    # To it, every trial is the last with probability 1/2, so it expects 2 trials of reward 1/2.
    reward = np.tile([0, 0, 0.5], 2)
    assert fixed_point_values(reward, one, 0.0, **blind_td).tolist() == pytest.approx([1] * 6)
    monte_carlo = fixed_point_values(reward, one, 0.0, **blind_td | {"trace_decay": 1.0})
    assert monte_carlo.tolist() == pytest.approx([0.75] * 6)


def test_huber_bounds_what_an_error_can_hold_against_the_leak() -> None:
    run = TrainConfig(task=TaskConfig(episode_length=15), critic_weight=10.0)
    assert huber_bias(run, 4 / 3, 0.5) == inf
    assert huber_bias(run, 1.3, 0.5) < inf
    mean, generator = 1.5, np.random.default_rng(0)
    left = generator.integers(1, 6, size=200_000)
    value = mean + huber_bias(run, 0.8, 0.5)
    clipped = np.clip(generator.binomial(left, 0.5) - value, -1, 1).mean()
    assert clipped == pytest.approx(-0.75 * 0.8, abs=0.01)


def test_hubers_location_is_the_mean_of_symmetric_returns_only() -> None:
    run = TrainConfig(task=TaskConfig(episode_length=15))
    assert huber_bias(run, 0.0, 1.0) == pytest.approx(0.0, abs=1e-9)
    # With 5 trials, it need not be between mean, 1.8, and median, 2.
    assert huber_bias(run, 0.0, 0.6) == pytest.approx(-0.098, abs=0.001)
