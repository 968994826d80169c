"""The leak in closed form: the bias of the critic under an attached baseline.

If the baseline is attached, the policy loss also trains the critic. With a squared value loss and
Monte Carlo returns G, the total loss of an episode of T steps (`pwm.core.losses`, which defines
the other symbols) has ∂total/∂v_t = -(2 w / T) (G_t - v_t) + c log π(a_t). This is also the
gradient of w times the value loss with targets G_t - α log π(a_t), where α = c T / (2 w), if the
targets are held constant. The two agree at every update, for any network that computes the values.
Since E[-log π] is the policy's entropy H, the leak adds an entropy bonus α H to the critic's
target. The bonus is that of step t alone, not of later steps; for λ-returns, which contain later
values and so their bonus, see `pwm.analysis.fixed_points`. With the defaults, α = 60 / (2 · 5) = 6
reward per nat. The policy that is learned first has a mean entropy of 0.96 nats (`start_entropy`)
and a mean return of 5.25: values settle 5.8 above it.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pwm.core.losses import Reduction


def policy_factor(steps: int, reduction: Reduction) -> float:
    """Factor c of each step's term in the policy loss: 1 for a sum, 1/T for a mean of T steps."""
    return 1.0 if reduction == "sum" else 1 / steps


def leak_temperature(steps: int, critic_weight: float, reduction: Reduction = "sum") -> float:
    """Temperature α = c T / (2 w) of the entropy bonus in the critic's target, in reward per nat.

    There are T steps per episode, at least 1, and the critic weight w is above 0.
    """
    c_times_steps = steps if reduction == "sum" else 1  # exact, unlike the product
    return c_times_steps / (2 * critic_weight)


def critic_bias(
    steps: int, entropy: float, critic_weight: float, reduction: Reduction = "sum"
) -> float:
    """Predicted bias b = α H = c T H / (2 w) of an attached critic at its fixed point, in reward.

    With Monte Carlo returns, a squared value loss, and no scaling of errors, losses or updates
    (`LossConfig.scales_errors`), the critic's fixed point is the mean of its target given the state
    s, all that the critic has seen: v = E[G|s] + α H. `History.critic_bias` is the measured bias, a
    mean over steps.

    Args:
        steps: T, steps per episode (not per trial, even if returns end with it), at least 1.
        entropy: H, entropy of the policy in that state, in nats; or a mean, for the mean bias.
        critic_weight: w, above 0.
        reduction: reduction of the policy loss, "sum" (c = 1) or "mean" (c = 1/T).
    """
    return leak_temperature(steps, critic_weight, reduction) * entropy


def start_entropy(trial_length: int) -> float:
    """Entropy H, in nats, of the policy that agents learn first: mean over a trial's steps.

    It picks all three actions with equal probability before the last step, and left or right with
    equal probability at it. Agents learn it first if there are neither timeouts nor rewards for
    holding; `TrainConfig.critic_start` can start the critic at its fixed point under this policy.
    """
    return ((trial_length - 1) * log(3) + log(2)) / trial_length
