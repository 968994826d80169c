"""The example in the documentation of the core runs, and does what it says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

import pwm.core
from pwm.core.agent import AgentConfig
from pwm.core.losses import policy_loss, value_loss
from pwm.core.returns import discounted_returns
from pwm.core.rollout import Draws, Rollout
from pwm.core.task import TaskConfig
from pwm.training.balance import episode_scales
from pwm.training.config import TrainConfig
from pwm.training.episode import play_episode
from pwm.training.parameters import Layout
from pwm.training.tracking import Tracked

NAMES = {
    "AgentConfig": AgentConfig, "Draws": Draws, "Layout": Layout, "Rollout": Rollout,
    "TaskConfig": TaskConfig, "discounted_returns": discounted_returns, "policy_loss": policy_loss,
    "torch": torch, "value_loss": value_loss,
}  # fmt: skip


@pytest.fixture
def example() -> SimpleNamespace:
    """The variables after the example."""
    lines = (pwm.core.__doc__ or "").splitlines()
    found: dict[str, Any] = dict(NAMES)
    exec("\n".join(line[4:] for line in lines if line.startswith("    ")), found)
    return SimpleNamespace(**found)


def test_the_example_gives_each_replica_its_own_gradient(example: SimpleNamespace) -> None:
    weights = example.layout.weights(example.parameters)
    episode = Rollout(example.task, example.agent).play(weights, example.draws)
    alone, _ = episode.log_probs.sum(dim=(1, 2))
    (gradient,) = torch.autograd.grad(alone, example.parameters)
    assert gradient[0].any()
    assert not gradient[1].any()
    assert (example.parameters.grad.abs().sum(dim=1) > 0).all()


def test_training_by_default_differentiates_the_loss_of_the_example(
    example: SimpleNamespace,
) -> None:
    run, layout = TrainConfig(), example.layout
    parameters = layout.initial_parameters([0, 1]).requires_grad_()
    played = play_episode(
        Rollout(run.task, run.agent),
        layout.weights(parameters),
        example.draws,
        run.loss,
        torch.full((2,), run.critic_weight),
        episode_scales(torch.zeros(2, len(Tracked)), run),
    )
    played.losses.total.sum().backward()
    assert torch.equal(played.losses.total, example.total)
    assert torch.equal(parameters.grad, example.parameters.grad)
