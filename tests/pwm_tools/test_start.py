"""The check of the start, on critics whose distance and speed are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pwm.core.errors import InputError
from pwm.tools import check_start


def updates(start: float, speed: float) -> tuple[list[list[float]], list[list[float]]]:
    """Values that rise at constant speed, and returns of mean 5 and spread 2."""
    returns = [[3.0 + shift, 7.0 + shift] for shift in (-0.1, 0.1) * 10]
    return [[start + speed * update] * 2 for update in range(20)], returns


def test_distance_spread_and_time_are_right() -> None:
    report = check_start(*updates(0.0, 0.1))
    assert report.distance == pytest.approx(5 - 1.9)
    assert report.spread == pytest.approx(2, rel=0.01)
    assert report.error == pytest.approx(0.1 / np.sqrt(19))
    assert report.updates == pytest.approx(31)
    assert report.far
    assert "advantages = returns - m - values.detach()" in str(report)


def test_a_critic_that_has_arrived_needs_no_advice() -> None:
    report = check_start(*updates(4.5, 0.0))
    assert not report.far
    assert str(report).startswith("NEAR")
    assert "detach" not in str(report)


def test_a_critic_above_the_returns_is_far_too() -> None:
    report = check_start(*updates(9.0, 0.1))
    assert report.far
    assert report.updates == float("inf")
    assert "above" in str(report)
    assert "never, at this speed" in str(report)


@pytest.mark.parametrize("optimiser", [torch.optim.RMSprop, torch.optim.Adam, torch.optim.SGD])
def test_the_time_is_that_of_the_optimiser_within_a_factor_of_three(optimiser: type) -> None:
    torch.manual_seed(0)
    head = torch.nn.Linear(8, 1)
    features = torch.rand(60, 8)
    train = optimiser(head.parameters(), lr=0.01 if optimiser is not torch.optim.SGD else 0.001)
    values, returns, arrived = [], [], 0
    while not arrived:
        value, target = head(features).squeeze(-1), 20 + torch.randn(60)
        values.append(value.detach())
        returns.append(target)
        train.zero_grad()
        (target - value).square().mean().backward()
        train.step()
        arrived = len(values) if value.mean() > 18 else 0
    report = check_start(values[:20], returns[:20])
    assert 1 / 3 < report.updates / (arrived - 20) < 3


def test_too_few_updates_are_refused() -> None:
    values, returns = updates(0.0, 0.1)
    with pytest.raises(InputError, match="4 updates or more"):
        check_start(values[:3], returns[:3])
    with pytest.raises(InputError, match="as many values as returns"):
        check_start(values, returns[:-1])


@pytest.mark.parametrize("numbers", [[0.0, math.nan], [math.inf, -math.inf]])
@pytest.mark.parametrize("name", ["values", "returns"])
def test_numbers_that_are_not_finite_are_refused(name: str, numbers: list[float]) -> None:
    given = {"values": [[0.0, 0.0]] * 4, "returns": [[1.0, 1.0]] * 4}
    given[name] = [*given[name][:3], numbers]
    with pytest.raises(InputError, match=f"{name} with nan or inf: expected finite"):
        check_start(**given)
