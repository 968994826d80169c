"""The leak in closed form: the bias of the critic under an attached baseline.

If the baseline is attached, the policy loss also trains the critic. The gradient of the total loss
with respect to a value is then, with the symbols of `pwm.core.losses`,

    ∂total/∂v_t = -(2 w / T) (G_t - v_t) + c log π(a_t)
                = -(2 w / T) (target_t - v_t),   target_t = G_t - α log π(a_t),   α = c T / (2 w).

So, at every update and in any network, a critic with an attached baseline learns as one with a
detached baseline would from these targets in place of G_t (the policy's advantage stays). Since
E[-log π(a_t)] = H_t, the mean target is the mean return plus α H_t. Unlike in maximum-entropy
reinforcement learning, later entropies are not added.

With the defaults of training (T = 60, w = 5, c = 1, no discount), α = 60 / (2 · 5) = 6 reward per
nat. Agents first learn not to hold at a trial's last step, and take left and right with probability
1/2 there; before it, no action is rewarded, and each still has a probability of 1/3. The mean
entropy of this policy is (2 log 3 + log 2) / 3 = 0.96 nats. It earns half of the rewards: returns
fall from 10 in the first of 20 trials to 1/2 in the last, 5.25 on average. While this policy lasts,
the mean value should settle not at 5.25 but at 5.25 + 6 · 0.96 = 11.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that the formulas need no PyTorch
    from pwm.core.losses import Reduction


def leak_temperature(steps: int, critic_weight: float, reduction: Reduction = "sum") -> float:
    """Temperature α = c T / (2 w) of the leak's entropy bonus in the critic's target.

    It is in reward per nat. The leak's bonus is unrelated to the `entropy_bonus` of the policy.
    There are T steps per episode, at least 1, and the critic weight w is above 0.
    """
    c_times_steps = steps if reduction == "sum" else 1  # exact, unlike (1 / T) * T
    return c_times_steps / (2 * critic_weight)


def critic_bias(
    steps: int, entropy: float, critic_weight: float, reduction: Reduction = "sum"
) -> float:
    """Predicted bias b = α H = c T H / (2 w) of an attached critic at its fixed point, in reward.

    The critic sees only s, the observations since the LSTM was last reset. For a fixed policy, its
    value settles at the mean target given s: v(s) = E[G|s] + α H(s). This holds for the losses of
    the core, but not with Huber's loss, λ-returns and scaled errors, options of `pwm.training`.

    Args:
        steps: T, steps per episode (not per trial, even if returns end with it), at least 1.
        entropy: H(s), entropy of the policy given s, in nats; or a mean, for the mean bias.
        critic_weight: w, above 0.
        reduction: reduction of the policy loss, "sum" (c = 1) or "mean" (c = 1/T).
    """
    return leak_temperature(steps, critic_weight, reduction) * entropy


def start_entropy(trial_length: int) -> float:
    """Entropy H, in nats, of the policy that agents learn first: mean over a trial's steps.

    This is not the entropy before training, about log 3. Before a trial's last step, the policy
    picks all three actions with equal probability; at it, left or right. Agents learn it first if
    there are neither timeouts nor rewards for holding.
    """
    return ((trial_length - 1) * log(3) + log(2)) / trial_length
