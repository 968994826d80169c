"""Losses of public loops that leak: their policy loss also trains the critic.

Each is written anew from what the loop's source does, and returns the policy loss and the value
loss of an update, the latter without its weight. The arguments are the same for all:

- `log_probs`: log-probabilities of the actions taken;
- `values`: the critic's;
- `targets`: returns, which the critic is trained to predict;
- `baseline`: what advantages are measured from: the values, as in the source, or the values
  detached, without a leak;
- `played`: 1 for a step of the episode, 0 for one after its end.

All are [..., steps], and the losses are [...].
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
    """Losses of TensorFlow's actor-critic tutorial: sums, with Huber's value loss.

    The targets are standardised.
    """
    policy = -(log_probs * (targets - baseline) * played).sum(-1)
    return Losses(policy, (huber_loss(values, targets, reduction="none") * played).sum(-1))


def reinforce_losses(
    log_probs: Tensor, values: Tensor, targets: Tensor, baseline: Tensor, played: Tensor
) -> Losses:
    """Losses of TF-Agents' REINFORCE: sums, with advantages standardised over the update.

    Gradients flow through the mean and the standard deviation of the advantages.
    """
    advantages = standardised(targets - baseline, played)
    policy = -(log_probs * advantages * played).sum(-1)
    return Losses(policy, ((targets - values).square() * played).sum(-1))


def a3c_losses(
    log_probs: Tensor, values: Tensor, targets: Tensor, baseline: Tensor, played: Tensor
) -> Losses:
    """Losses of the A3C of coreylynch/async-rl: sums, with half the squared error.

    The targets are bootstrapped returns.
    """
    policy = -(log_probs * (targets - baseline) * played).sum(-1)
    return Losses(policy, 0.5 * ((targets - values).square() * played).sum(-1))


def standardised(values: Tensor, played: Tensor) -> Tensor:
    """Scales values to mean 0 and standard deviation 1 over the steps played; [..., steps]."""
    count = played.sum(-1, keepdim=True)
    centred = (values - (values * played).sum(-1, keepdim=True) / count) * played
    deviation = (centred.square().sum(-1, keepdim=True) / count).sqrt()
    return centred / (deviation + EPSILON)
