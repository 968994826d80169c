"""Losses of public training loops that leak: their policy loss also trains the critic.

Each function `..._losses` reimplements those of one loop: the policy loss and the value loss of an
update, without the critic weight. These functions have the same arguments:

- `log_probs`: log-probabilities of the actions taken;
- `values`: values that the critic predicts;
- `targets`: returns, which the critic is trained to predict;
- `baseline`: subtracted from the targets to give the advantages: the values, as in the source, or
  the detached values, through which the policy loss does not train the critic;
- `played`: 1 for a step of an episode, 0 for one after its end.

All arguments are [..., steps], and the losses are [...]. The steps are those of an update; if it
has several episodes, they are concatenated.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import huber_loss


class Losses(NamedTuple):
    """Losses of an update, [...] each."""

    policy: Tensor
    value: Tensor


def tutorial_losses(
    log_probs: Tensor, values: Tensor, targets: Tensor, baseline: Tensor, played: Tensor
) -> Losses:
    """Losses of TensorFlow's actor-critic tutorial, summed over steps, with a Huber value loss.

    The value loss is linear beyond an error of 1. The caller passes standardised targets.
    """
    policy = -(log_probs * (targets - baseline) * played).sum(-1)
    return Losses(policy, (huber_loss(values, targets, reduction="none") * played).sum(-1))


def reinforce_losses(
    log_probs: Tensor, values: Tensor, targets: Tensor, baseline: Tensor, played: Tensor
) -> Losses:
    """Losses of TF-Agents' REINFORCE, summed over steps; advantages are standardised.

    Their mean and standard deviation are over all steps of the update; gradients flow through both.
    """
    advantages = standardised(targets - baseline, played)
    policy = -(log_probs * advantages * played).sum(-1)
    return Losses(policy, ((targets - values).square() * played).sum(-1))


def a3c_losses(
    log_probs: Tensor, values: Tensor, targets: Tensor, baseline: Tensor, played: Tensor
) -> Losses:
    """Losses of A3C in coreylynch/async-rl, summed over steps; squared errors are halved.

    The caller passes bootstrapped returns as targets.
    """
    policy = -(log_probs * (targets - baseline) * played).sum(-1)
    return Losses(policy, 0.5 * ((targets - values).square() * played).sum(-1))


def standardised(numbers: Tensor, played: Tensor) -> Tensor:
    """Shifts and scales numbers, [..., steps], to mean 0 and standard deviation 1.

    Mean and deviation are over the steps played, and gradients pass through both; the result is 0
    at all other steps.
    """
    count = played.sum(-1, keepdim=True)
    centred = (numbers - (numbers * played).sum(-1, keepdim=True) / count) * played
    deviation = (centred.square().sum(-1, keepdim=True) / count).sqrt()
    return centred / (deviation + torch.finfo(torch.float32).eps)
