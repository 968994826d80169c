"""Optimisers agree with PyTorch's at every step, with a learning rate per replica."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pwm.training.config import OptimizerName, TrainConfig
from pwm.training.optimiser import Optimiser

RATES = (1e-4, 0.01, 3.0)
CONFIGS = {
    "rmsprop": TrainConfig(),
    "rmsprop, other settings": TrainConfig(square_decay=0.7, epsilon=1e-3),
    "adam": TrainConfig(optimizer="adam"),
    "adam, other settings": TrainConfig(
        optimizer="adam", momentum_decay=0.3, square_decay=0.999, epsilon=1e-3
    ),
    "adam without averages": TrainConfig(optimizer="adam", momentum_decay=0.0, square_decay=0.0),
    "sgd": TrainConfig(optimizer="sgd"),
}


def in_pytorch(config: TrainConfig, parameter: Tensor, rate: float) -> torch.optim.Optimizer:
    """PyTorch's optimiser for a parameter."""
    made: dict[OptimizerName, Any] = {
        "rmsprop": lambda: torch.optim.RMSprop(
            [parameter], rate, alpha=config.square_decay, eps=config.epsilon
        ),
        "adam": lambda: torch.optim.Adam(
            [parameter], rate, (config.momentum_decay, config.square_decay), eps=config.epsilon
        ),
        "sgd": lambda: torch.optim.SGD([parameter], rate),
    }
    optimiser: torch.optim.Optimizer = made[config.optimizer]()
    return optimiser


def some_gradients() -> Tensor:
    """Gradients of 30 updates, down to scales at which epsilon and its place matter."""
    generator = torch.Generator().manual_seed(0)
    scales = torch.logspace(-12, 3, 40, dtype=torch.float64)
    return scales * torch.randn(30, len(RATES), 40, generator=generator, dtype=torch.float64)


def stepping(config: TrainConfig, parameters: Tensor, num_gradients: int = 1) -> Optimiser:
    """An optimiser for parameters [R, P], with one of `RATES` per replica."""
    rates = torch.tensor(RATES, dtype=torch.float64).unsqueeze(1).expand_as(parameters)
    return Optimiser(parameters, rates, config, num_gradients)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_every_step_is_that_of_pytorch_at_every_learning_rate(config: TrainConfig) -> None:
    gradients = some_gradients()
    start = torch.randn(len(RATES), 40, generator=torch.Generator().manual_seed(1)).double()
    ours = start.clone()
    optimiser = stepping(config, ours)
    expected = [row.clone().requires_grad_() for row in start]
    theirs = [in_pytorch(config, *each) for each in zip(expected, RATES, strict=True)]
    for gradient in gradients:
        optimiser.step(gradient.clone())
        for row, parameter, each in zip(gradient, expected, theirs, strict=True):
            parameter.grad = row
            each.step()
        stacked = torch.stack([parameter.detach() for parameter in expected])
        torch.testing.assert_close(ours, stacked, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_each_gradient_has_an_optimiser_of_its_own(config: TrainConfig) -> None:
    gradients = some_gradients()
    both, first, second = (torch.zeros(len(RATES), 40).double() for _ in range(3))
    together, one, other = (
        stepping(config, both, 2),
        stepping(config, first),
        stepping(config, second),
    )
    for gradient in gradients:
        together.step(gradient.clone(), gradient.flip(1).square())
        one.step(gradient.clone())
        other.step(gradient.flip(1).square())
    torch.testing.assert_close(both, first + second, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_an_optimiser_continues_from_its_state(config: TrainConfig) -> None:
    gradients = some_gradients()
    whole, parts = torch.zeros(2, len(RATES), 40).double()
    optimiser, before, after = (
        stepping(config, whole), stepping(config, parts), stepping(config, parts)
    )  # fmt: skip
    for number, gradient in enumerate(gradients):
        optimiser.step(gradient.clone())
        if number == 11:
            for name, part in before.state.items():
                after.state[name].copy_(part)
        (before if number < 11 else after).step(gradient.clone())
    assert torch.equal(parts, whole)
