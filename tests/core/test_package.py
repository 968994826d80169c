"""The example in the documentation of the core runs, and does what it says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import pwm.core
from pwm.core.agent import Agent, AgentConfig
from pwm.core.losses import policy_loss, value_loss
from pwm.core.returns import discounted_returns
from pwm.core.rollout import Draws, DrawSource, Rollout
from pwm.core.task import TaskConfig
from pwm.training.balance import episode_scales
from pwm.training.config import TrainConfig
from pwm.training.episode import play_episode
from pwm.training.tracking import Tracked

NAMES = {
    "Agent": Agent, "AgentConfig": AgentConfig, "Draws": Draws, "DrawSource": DrawSource,
    "Rollout": Rollout, "TaskConfig": TaskConfig, "discounted_returns": discounted_returns,
    "policy_loss": policy_loss, "value_loss": value_loss,
}  # fmt: skip
EXAMPLE = "\n".join(
    line[4:] for line in (pwm.core.__doc__ or "").splitlines() if line.startswith("    ")
)


def after(example: str) -> SimpleNamespace:
    """The variables after the example."""
    found: dict[str, object] = dict(NAMES)
    exec(example, found)
    return SimpleNamespace(**found)


def test_the_example_gives_each_replica_its_own_gradient() -> None:
    together = after(EXAMPLE).parameters.grad
    assert (together.abs().sum(dim=1) > 0).all()
    for replica, seed in enumerate([0, 1]):
        alone = after(EXAMPLE.replace("[0, 1]", f"[{seed}]")).parameters.grad
        assert torch.equal(alone[0], together[replica])


def test_training_by_default_differentiates_the_loss_of_the_example() -> None:
    example, run = after(EXAMPLE), TrainConfig()
    parameters = example.parameters.detach().clone().requires_grad_()
    played = play_episode(
        Rollout(run.task, example.agent),
        parameters,
        Draws(example.trials[0], example.noise[0]),
        run.loss,
        torch.full((2,), run.critic_weight),
        episode_scales(torch.zeros(2, len(Tracked)), run),
    )
    played.losses.total.sum().backward()
    assert torch.equal(played.losses.total, example.total)
    assert torch.equal(parameters.grad, example.parameters.grad)
    assert run.critic_weight == pytest.approx(5)
