"""Weighting of the two losses in public libraries, and conversion of a critic weight."""

from __future__ import annotations

from dataclasses import dataclass

from pwm.core.leak import policy_factor
from pwm.core.losses import Reduction


@dataclass(frozen=True, kw_only=True)
class Convention:
    """A library's sum of the policy's and the critic's loss, both reduced in the same way.

    Its total loss is reduce(policy terms) + weight · value_factor · reduce(squared errors).
    """

    weight: float
    """Default weight of the value loss."""
    value_factor: float = 1.0
    """Factor of the squared error, next to the weight: 1 or ½."""
    source: str
    """Repository and files that define the loss; in brackets, the library's name of the weight."""


CONVENTIONS = {
    "stable-baselines3-a2c": Convention(
        weight=0.5, source="DLR-RM/stable-baselines3: stable_baselines3/a2c/a2c.py (vf_coef)"
    ),
    "stable-baselines3-ppo": Convention(
        weight=0.5, source="DLR-RM/stable-baselines3: stable_baselines3/ppo/ppo.py (vf_coef)"
    ),
    "cleanrl-ppo": Convention(
        weight=0.5, value_factor=0.5, source="vwxyzjn/cleanrl: cleanrl/ppo.py (vf_coef)"
    ),
    "rllib-ppo": Convention(
        weight=1.0,
        source="ray-project/ray: rllib/algorithms/ppo/torch/ppo_torch_learner.py, ppo.py "
        "(vf_loss_coeff)",
    ),
    "rllib-a3c": Convention(
        weight=0.5,
        value_factor=0.5,
        source="ray-project/ray: rllib/algorithms/a3c/a3c_torch_policy.py, a3c.py (vf_loss_coeff)",
    ),
    "acme-ppo": Convention(
        weight=1.0,
        source="google-deepmind/acme: acme/agents/jax/ppo/learning.py, config.py (value_cost)",
    ),
}
"""Conventions by library and algorithm, read in the libraries' own code.

All of them reduce both losses by a mean, except RLlib's A3C, which uses a sum. All detach the
advantage. Some also scale it, clip the losses, or give the critic its own network; no weight can
undo that.
"""


def convert_weight(
    critic_weight: float, steps: int, reduction: Reduction = "sum", to: str = "cleanrl-ppo"
) -> float:
    """Library's weight that balances its two losses as a critic weight does here.

    Here a step's squared error has the factor w / T, and its policy term has the factor c. In a
    library the ratio of the two is weight · value_factor. The ratios are equal at
    weight = w / (c T value_factor); the two totals may still differ by a common factor.

    Args:
        critic_weight: w.
        steps: T, steps per episode, at least 1.
        reduction: of the policy loss here.
        to: the library's convention, a key of `CONVENTIONS`.
    Returns:
        The library's weight.
    """
    return critic_weight / _weight_ratio(steps, reduction, to)


def weight_of_library(
    weight: float, steps: int, reduction: Reduction = "sum", library: str = "cleanrl-ppo"
) -> float:
    """Critic weight that balances the two losses as a library's weight does.

    The inverse of `convert_weight`: w = c T value_factor weight.

    Args:
        weight: the library's.
        steps: T, steps per episode here, at least 1.
        reduction: of the policy loss here.
        library: the library's convention, a key of `CONVENTIONS`.
    Returns:
        w.
    """
    return weight * _weight_ratio(steps, reduction, library)


def _weight_ratio(steps: int, reduction: Reduction, library: str) -> float:
    """Critic weight here divided by the equivalent weight of the library."""
    return policy_factor(steps, reduction) * steps * CONVENTIONS[library].value_factor
