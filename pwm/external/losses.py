"""Losses of public loops that leak, written from what they do.

Each gives the policy loss and the value loss of an update, without the weight of the latter. The
advantage is measured from a baseline: pass the values for what the loop does, detached values for
what it should do. All tensors are [..., steps]; losses are [...].
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

EPSILON = torch.finfo(torch.float32).eps  # added to a standard deviation


class Losses(NamedTuple):
    """The two losses of an update."""

    policy: Tensor
    value: Tensor


def tutorial_losses(
    log_probs: Tensor, values: Tensor, targets: Tensor, baseline: Tensor, played: Tensor
) -> Losses:
    """Actor-critic of TensorFlow's tutorial: sums, with Huber's loss for the critic.

    Args:
        log_probs: of the actions taken.
        values: of the critic.
        targets: standardised returns.
        baseline: the values, or the values detached.
        played: 1 for a step of the episode, 0 for one after its end.
    """
    policy = -(log_probs * (targets - baseline) * played).sum(-1)
    return Losses(policy, (huber_loss(values, targets, reduction="none") * played).sum(-1))


def reinforce_losses(
    log_probs: Tensor, values: Tensor, targets: Tensor, baseline: Tensor, played: Tensor
) -> Losses:
    """REINFORCE of TF-Agents: advantages standardised over the update.

    Gradients flow through the mean and the deviation. Arguments as of `tutorial_losses`, but the
    targets are returns that are not standardised.
    """
    advantages = standardised(targets - baseline, played)
    policy = -(log_probs * advantages * played).sum(-1)
    return Losses(policy, ((targets - values).square() * played).sum(-1))


def a3c_losses(
    log_probs: Tensor, values: Tensor, targets: Tensor, baseline: Tensor, played: Tensor
) -> Losses:
    """A3C of coreylynch/async-rl: sums over the steps of a segment, half the squared error.

    Args: as those of `tutorial_losses`; the targets are bootstrapped returns.
    """
    policy = -(log_probs * (targets - baseline) * played).sum(-1)
    return Losses(policy, 0.5 * ((targets - values).square() * played).sum(-1))


def standardised(values: Tensor, played: Tensor) -> Tensor:
    """Values of the steps played, with mean 0 and standard deviation 1; [..., steps]."""
    count = played.sum(-1, keepdim=True)
    centred = (values - (values * played).sum(-1, keepdim=True) / count) * played
    deviation = (centred.square().sum(-1, keepdim=True) / count).sqrt()
    return centred / (deviation + EPSILON)
