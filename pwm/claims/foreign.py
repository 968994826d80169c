"""Numbers about other people's code that the paper quotes, from its two csv files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf, isnan
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.external import AgentSetting, Baseline, Loop, LoopSetting, agent_times, loops
from pwm.analysis.external_predictions import agent_statements, loop_statements
from pwm.analysis.statements import Statement
from pwm.claims.grids import Number

AGENTS: Mapping[str, AgentSetting] = MappingProxyType(
    {
        "a2c-shared": AgentSetting("A2C", "shared", "raw", 0.5),
        "a2c-centred": AgentSetting("A2C", "shared", "centred", 0.5),
        "a2c-separate": AgentSetting("A2C", "separate", "raw", 0.5),
        "ppo-clipped": AgentSetting("RecurrentPPO", "separate", "raw", 0.5),
        "ppo-free": AgentSetting("RecurrentPPO", "separate", "raw", 0.5, inf),
    }
)
VF_COEFS = (0.005, 0.5, 50.0)
"""A light weight, the default and a heavy one, of the agents."""
LOOPS: Mapping[Loop, tuple[float, float, float]] = MappingProxyType(
    {"tutorial": (0.1, 1.0, 10.0), "reinforce": (0.02, 0.2, 2.0), "a3c": (0.1, 1.0, 10.0)}
)
"""A light weight, the default and a heavy one, in each loop's own units."""
BASELINES: tuple[Baseline, ...] = ("attached", "detached")
PLACES = ("light", "default", "heavy")


def foreign_numbers() -> dict[str, Number]:
    """Seeds that learned, by code and weight, and statements that are right (`foreign.*`)."""
    found: dict[str, Number] = {}
    for name, setting in AGENTS.items():
        for place, weight in zip(PLACES, VF_COEFS, strict=True):
            learned = np.isfinite(agent_times()[setting._replace(vf_coef=weight)])
            found[f"foreign.{name}-{place}"] = _of(learned)
    for place, weight in zip(PLACES, VF_COEFS, strict=True):
        found[f"foreign.vf-coef-{place}"] = {"text": f"{weight:g}"}
    for loop, weights in LOOPS.items():
        for place, weight in zip(PLACES, weights, strict=True):
            found[f"foreign.weight-{loop}-{place}"] = {"text": f"{weight:g}"}
            for baseline in BASELINES:
                learned = np.isfinite(loops().values(LoopSetting(loop, baseline, weight), "time"))
                found[f"foreign.{loop}-{baseline}-{place}"] = _of(learned)
    found |= _verdicts("agents", agent_statements(agent_times()))
    return found | _verdicts("loops", loop_statements(loops()))


def _of(learned: NDArray[np.bool_]) -> Number:
    """The number and the fraction of seeds that learned."""
    return {"text": f"{int(learned.sum())}/{len(learned)}", "value": float(learned.mean())}


def _verdicts(part: str, statements: Iterable[Statement]) -> dict[str, Number]:
    """Counts of a part's statements: all, right and wrong; some cannot be judged."""
    every = list(statements)
    judged = [one.right for one in every if not isnan(one.estimate.value)]
    counts = {"statements": len(every), "right": sum(judged), "wrong": judged.count(False)}
    return {
        f"foreign.{part}-{name}": {"text": str(count), "value": count}
        for name, count in counts.items()
    }
