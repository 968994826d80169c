"""The losses of one episode, as pure functions.

At step t of an episode of T steps, let

    G_t     be the return to the end of the episode,
    v_t     the critic's value,
    A_t     the advantage G_t - v_t,
    π(a_t)  the policy's probability of the action taken,
    H_t     the policy's entropy,
    w       the critic weight,
    c       1 if the policy loss is a sum over the steps, 1/T if it is a mean.

The losses are

    value loss  = mean_t A_t²
    policy loss = -c Σ_t Ã_t log π(a_t),   Ã = A if attached, stop-gradient(A) if detached
    total       = policy loss + w * value loss - entropy weight * c Σ_t H_t

Hence, with G constant,

    ∂total/∂v_t = -(2 w / T) A_t + (c log π(a_t) if attached, else 0).

The last term is the *leak*: as log π ≤ 0, it raises the critic's values; `pwm.core.leak` says by
how much. The gradient with respect to log π is the same with and without the leak, as stopping a
gradient changes no value; but in a trunk that critic and policy share, the leak also trains weights
that the policy reads.

`pwm.training` adds up the total; by default, the policy loss is a sum (c = 1), and the entropy
weight is 0. Many libraries average the policy loss as well as the value loss. To minimise the total
here, divided by T, they need a critic weight of w / T (5 / 60 = 1/12 for the default here); or of
2 w / T, if they halve the squared error.

Shapes: R replicas, T steps per episode.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

Reduction = Literal["sum", "mean"]


def policy_loss(
    log_probs: Tensor, advantages: Tensor, *, attached: bool = True, reduction: Reduction = "sum"
) -> Tensor:
    """REINFORCE loss with a baseline (Williams, 1992), [R].

    Args:
        log_probs: log-probabilities log π(a_t) of the actions taken, [R, T].
        advantages: A_t, [R, T], with gradients in the values.
        attached: whether these gradients are kept (the leak), or stopped as is usual.
        reduction: whether the loss is a sum over the steps (c = 1) or a mean (c = 1/T).
    """
    baselined = advantages if attached else advantages.detach()
    return -_reduce(baselined * log_probs, reduction)


def value_loss(advantages: Tensor) -> Tensor:
    """The critic's mean squared error, [R], from the advantages A_t, [R, T]."""
    return advantages.square().mean(dim=-1)


def entropy_bonus(entropies: Tensor, reduction: Reduction = "sum") -> Tensor:
    """Entropy bonus c Σ_t H_t, [R], reduced as the policy loss, from the entropies H_t, [R, T]."""
    return _reduce(entropies, reduction)


def _reduce(steps: Tensor, reduction: Reduction) -> Tensor:
    """Sum or mean over the steps: [R] from [R, T]."""
    return steps.sum(dim=-1) if reduction == "sum" else steps.mean(dim=-1)
