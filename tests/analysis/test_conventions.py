"""Conversions of the critic weight, against gradients and constants worked out by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pwm.analysis.conventions import CONVENTIONS, convert_weight, weight_of_library
from pwm.core.losses import LossConfig, Reduction, episode_losses

REDUCTIONS: list[Reduction] = ["sum", "mean"]


@pytest.mark.parametrize(
    ("weight", "steps", "reduction", "library", "converted"),
    [
        # The notes' best weights in libraries that average both losses.
        (5, 60, "sum", "stable-baselines3-a2c", 1 / 12),
        (5, 60, "sum", "cleanrl-ppo", 1 / 6),
        (2, 15, "sum", "rllib-ppo", 2 / 15),
        (2, 15, "sum", "acme-ppo", 2 / 15),
        # With a mean here too, only the factor of one half differs.
        (0.5, 60, "mean", "stable-baselines3-ppo", 0.5),
        (0.5, 60, "mean", "cleanrl-ppo", 1),
    ],
)
def test_weights_converted_by_hand(
    weight: float, steps: int, reduction: Reduction, library: str, converted: float
) -> None:
    assert convert_weight(weight, steps, reduction, to=library) == pytest.approx(converted)


def test_the_libraries_default_weights_in_our_convention() -> None:
    here = {
        name: weight_of_library(convention.weight, 60, "sum", name)
        for name, convention in CONVENTIONS.items()
    }
    assert here == {
        "stable-baselines3-a2c": 30,
        "stable-baselines3-ppo": 30,
        "cleanrl-ppo": 15,
        "rllib-ppo": 60,
        "rllib-a3c": 15,
        "acme-ppo": 60,
    }


@given(
    st.floats(1e-3, 1e3),
    st.integers(1, 100),
    st.sampled_from(REDUCTIONS),
    st.sampled_from(sorted(CONVENTIONS)),
)
def test_the_conversions_are_inverses(
    weight: float, steps: int, reduction: Reduction, library: str
) -> None:
    converted = convert_weight(weight, steps, reduction, library)
    assert weight_of_library(converted, steps, reduction, library) == pytest.approx(weight)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("library", sorted(CONVENTIONS))
def test_a_converted_weight_keeps_the_direction_of_the_gradient(
    library: str, reduction: Reduction
) -> None:
    steps, weight = 7, 3.0
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(3, 1, steps, generator=generator, dtype=torch.float64)
    log_probs, returns, values = draws[0].log(), draws[1], draws[2]
    log_probs.requires_grad_()
    values.requires_grad_()
    config = LossConfig(baseline="detached", policy_reduction=reduction)
    advantages = returns - values
    losses = episode_losses(
        log_probs, torch.zeros(1, steps), advantages, advantages, weight, config
    )
    factor = CONVENTIONS[library].value_factor
    squared = factor * advantages.square().mean()
    policy = -(advantages.detach() * log_probs).mean()
    library_loss = policy + convert_weight(weight, steps, reduction, library) * squared
    ours = torch.cat(torch.autograd.grad(losses.total, [log_probs, values], torch.ones(1)))
    theirs = torch.cat(torch.autograd.grad(library_loss, [log_probs, values]))
    torch.testing.assert_close(theirs, ours * (theirs.norm() / ours.norm()))
