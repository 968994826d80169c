"""Rival laws of the slowdown by a heavy critic that starts away from the mean return.

Each has one constant. It was fitted as the law's own (`pwm.analysis.climb.SHARE`) was, before the
fourth set of predictions: to the same 42 cells (settings, each run with several seeds) of 15 steps
at learning rate 0.001.
"""

from __future__ import annotations

from pwm.analysis.climb import ARRIVED, Setting, climb, critic_share, mean_gain
from pwm.analysis.theory import slowdown

RIVALS = ("weight", "weight per step", "share", "saturation")


def rival_slowdowns(setting: Setting) -> dict[str, float]:
    """Slowdown that each rival predicts, over a light critic that starts at the mean return."""
    weight, share = setting.critic_weight, critic_share(setting)
    gain_after_climb = mean_gain(climb(setting, ARRIVED)[-1], setting)
    return {
        "weight": slowdown(critic=0.436 * weight),
        "weight per step": slowdown(critic=6.54 * weight / setting.steps),
        "share": slowdown(critic=0.995 * share),
        "saturation": gain_after_climb**-3.407,
    }
