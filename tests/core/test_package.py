"""The example in the documentation of the core runs, and does what it says."""

from __future__ import annotations

import torch

import pwm.core
from pwm.core.agent import Agent
from pwm.core.config import TrainConfig
from pwm.core.episode import Scales, play_episode
from pwm.core.rollout import Draws, DrawSource, Rollout

NAMES = {
    "torch": torch, "Agent": Agent, "Draws": Draws, "DrawSource": DrawSource, "Rollout": Rollout,
    "Scales": Scales, "TrainConfig": TrainConfig, "play_episode": play_episode,
}  # fmt: skip


def gradient(example: str) -> torch.Tensor:
    """Gradient of the parameters after the example: [R, P]."""
    found: dict[str, object] = dict(NAMES)
    exec(example, found)
    parameters = found["parameters"]
    assert isinstance(parameters, torch.Tensor)
    assert parameters.grad is not None
    return parameters.grad


def test_the_example_gives_each_replica_its_own_gradient() -> None:
    lines = (pwm.core.__doc__ or "").splitlines()
    example = "\n".join(line[4:] for line in lines if line.startswith("    "))
    together = gradient(example)
    assert (together.abs().sum(dim=1) > 0).all()
    for replica, seed in enumerate([0, 1]):
        alone = gradient(example.replace("[0, 1], torch.ones(2)", f"[{seed}], torch.ones(1)"))
        assert torch.equal(alone[0], together[replica])
