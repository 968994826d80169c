"""Rival laws for the slowdown caused by a heavy critic that starts away from the mean return.

A slowdown is a ratio of times to learn. Each rival has one constant. Like the constant of the law
of the climb (`pwm.analysis.climb.SHARE`), it was fitted before the fourth set of predictions, to
runs in 42 settings with episodes of 15 steps, at learning rate 0.001.
"""

from __future__ import annotations

from pwm.analysis.climb import ARRIVED, Setting, climb, critic_share, mean_gain
from pwm.analysis.theory import slowdown

RIVALS = ("weight", "weight per step", "share", "saturation")


def rival_slowdowns(setting: Setting) -> dict[str, float]:
    """Predicted slowdown of a detached critic over a light one from the mean return, by rival.

    In the first three, the critic's gradient in the trunk, which the policy shares, slows learning.
    Relative to the policy's, this gradient is proportional to the weight, to the weight per step,
    or to `critic_share`. In "saturation", units saturated by the climb pass on less gradient.
    """
    weight, share = setting.critic_weight, critic_share(setting)
    end = climb(setting, ARRIVED)[-1]  # position of the critic after its climb
    return {
        "weight": slowdown(critic=0.436 * weight),
        "weight per step": slowdown(critic=6.54 * weight / setting.steps),
        "share": slowdown(critic=0.995 * share),
        "saturation": mean_gain(end, setting) ** -3.407,
    }
