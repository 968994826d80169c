"""Conventions of public libraries for weighting the two losses, and conversions between them."""

from __future__ import annotations

from dataclasses import dataclass

from pwm.analysis.theory import Reduction, policy_factor


@dataclass(frozen=True)
class Convention:
    """How a library adds the losses of policy and critic, both reduced in the same way.

    Its total is reduce(policy terms) + weight · value_factor · reduce(squared errors).
    """

    value_factor: float
    """Factor before the squared error, beside the weight: 1 or ½."""
    default_weight: float
    """Weight of the value loss, unless the user sets another."""
    option: str
    """Name of that weight."""
    source: str
    """Repository and file that define the loss."""


CONVENTIONS = {
    "stable-baselines3-a2c": Convention(
        1.0, 0.5, "vf_coef", "DLR-RM/stable-baselines3: stable_baselines3/a2c/a2c.py"
    ),
    "stable-baselines3-ppo": Convention(
        1.0, 0.5, "vf_coef", "DLR-RM/stable-baselines3: stable_baselines3/ppo/ppo.py"
    ),
    "cleanrl-ppo": Convention(0.5, 0.5, "vf_coef", "vwxyzjn/cleanrl: cleanrl/ppo.py"),
    "rllib-ppo": Convention(
        1.0,
        1.0,
        "vf_loss_coeff",
        "ray-project/ray: rllib/algorithms/ppo/torch/ppo_torch_learner.py, ppo.py",
    ),
    "rllib-a3c": Convention(
        0.5,
        0.5,
        "vf_loss_coeff",
        "ray-project/ray: rllib/algorithms/a3c/a3c_torch_policy.py, a3c.py",
    ),
    "acme-ppo": Convention(
        1.0, 1.0, "value_cost", "google-deepmind/acme: acme/agents/jax/ppo/learning.py, config.py"
    ),
}
"""Conventions read in the libraries' own code, by library and algorithm.

All reduce both losses by a mean, but RLlib's A3C by a sum. All detach the advantage, and some
also scale it, clip the losses or give the critic its own network, which no weight undoes.
"""


def convert_weight(
    critic_weight: float, steps: int, reduction: Reduction = "sum", to: str = "cleanrl-ppo"
) -> float:
    """Weight that balances a library's two losses as a critic weight does here.

    Here the squared error of a step has the factor w / T, and its policy term c. A library that
    reduces both alike has the ratio weight · value_factor instead, which is the same at
    weight = w / (c T value_factor). The total may differ by a factor common to both losses.

    Args:
        critic_weight: w here.
        steps: T, steps an episode, at least 1.
        reduction: of the policy loss here.
        to: name of the library's convention, a key of `CONVENTIONS`.
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
        steps: T, steps an episode here, at least 1.
        reduction: of the policy loss here.
        library: name of the library's convention, a key of `CONVENTIONS`.
    Returns:
        w here.
    """
    return weight * _weight_ratio(steps, reduction, library)


def _weight_ratio(steps: int, reduction: Reduction, library: str) -> float:
    """Critic weight here over the library's."""
    return policy_factor(steps, reduction) * steps * CONVENTIONS[library].value_factor
