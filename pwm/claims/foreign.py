"""Numbers that the paper quotes about other people's code, from two CSV files and the predictions.

The agents are those of Stable-Baselines3 and sb3-contrib (`paper/external.csv`); the loops are
public actor-critic training loops (`paper/loops.csv`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf, isnan

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.external import AgentSetting, Baseline, Loop, LoopSetting, agent_times, loops
from pwm.analysis.external_predictions import agent_statements, loop_statements
from pwm.analysis.statements import Statement
from pwm.claims.claim import Number, number

VF_COEFS: Mapping[str, float] = {"light": 0.005, "default": 0.5, "heavy": 50.0}
"""Quoted critic weights of every agent, by name."""
AGENTS: Mapping[str, AgentSetting] = {
    "a2c-shared": AgentSetting("A2C", "shared", "raw", 0.5),
    "a2c-centred": AgentSetting("A2C", "shared", "centred", 0.5),
    "a2c-separate": AgentSetting("A2C", "separate", "raw", 0.5),
    "ppo-clipped": AgentSetting("RecurrentPPO", "separate", "raw", 0.5),
    "ppo-free": AgentSetting("RecurrentPPO", "separate", "raw", 0.5, inf),
}
"""Agents' settings, at the default weight; "ppo-free" does not clip gradients."""
LOOPS: Mapping[Loop, tuple[float, float, float]] = {
    "tutorial": (0.1, 1.0, 10.0),
    "reinforce": (0.02, 0.2, 2.0),
    "a3c": (0.1, 1.0, 10.0),
}
"""Quoted weights of each loop, in its own units and in the order of `VF_COEFS`."""
BASELINES: tuple[Baseline, ...] = ("attached", "detached")


def foreign_numbers() -> dict[str, Number]:
    """Returns all numbers `foreign.*` of the paper by name.

    They are the critic weights, how many seeds learned, and how many predictions were right.
    """
    entries: dict[str, Number] = {}
    for name, weight in VF_COEFS.items():
        entries[f"foreign.vf-coef-{name}"] = {"text": f"{weight:g}"}
        for agent, setting in AGENTS.items():
            times = agent_times()[setting._replace(vf_coef=weight)]
            entries[f"foreign.{agent}-{name}"] = _learned(times)
    for loop, weights in LOOPS.items():
        for name, weight in zip(VF_COEFS, weights, strict=True):
            entries[f"foreign.weight-{loop}-{name}"] = {"text": f"{weight:g}"}
            for baseline in BASELINES:
                times = loops().values(LoopSetting(loop, baseline, weight), "time")
                entries[f"foreign.{loop}-{baseline}-{name}"] = _learned(times)
    entries |= _verdicts("agents", agent_statements(agent_times()))
    return entries | _verdicts("loops", loop_statements(loops()))


def _learned(times: NDArray[np.float64]) -> Number:
    """Entry for the number of seeds that learned, such as "12/24", given their times, [S]."""
    learned = np.isfinite(times)
    return {"text": f"{int(learned.sum())}/{len(learned)}", "value": float(learned.mean())}


def _verdicts(part: str, statements: Iterable[Statement]) -> dict[str, Number]:
    """Counts of statements: all, right, unsure (some of the right ones), and wrong."""
    judged = list(statements)
    # A statement whose number is nan is neither right nor wrong.
    verdicts = [each.right for each in judged if not isnan(each.estimate.value)]
    return {
        f"foreign.{part}-statements": number(len(judged)),
        f"foreign.{part}-right": number(verdicts.count(True)),
        f"foreign.{part}-unsure": number(sum(each.unsure for each in judged)),
        f"foreign.{part}-wrong": number(verdicts.count(False)),
    }
