"""`python -m tests.tools.external_page`: prints the tables of docs/external.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import inf, isfinite, isnan, nan

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import Estimate, mean
from pwm.analysis.external import (
    AgentSetting,
    Baseline,
    Loop,
    LoopSetting,
    agent_times,
    loops,
)
from pwm.analysis.external_predictions import agent_statements, loop_statements
from pwm.analysis.predictions import predictions
from pwm.analysis.statements import Statement
from pwm.analysis.times import median_time

BASELINES: tuple[Baseline, ...] = ("attached", "detached")
NAMES: Mapping[Loop, str] = {
    "tutorial": "TensorFlow tutorial",
    "reinforce": "TF-Agents REINFORCE",
    "a3c": "async A3C",
    "a3c-textbook": "async A3C, one RMSprop",
}


def agent_table() -> Iterator[str]:
    """Yields a row per variant with a column per weight: seeds that learned, median episodes."""
    rows: dict[AgentSetting, list[AgentSetting]] = {}
    for setting in sorted(agent_times()):
        rows.setdefault(setting._replace(vf_coef=0.0), []).append(setting)
    for row, settings in rows.items():
        clipped = "" if row.max_grad_norm < inf else ", no clipping"
        variant = f"{row.network} networks, {row.returns} returns{clipped}"
        times = [agent_times()[setting] for setting in settings]
        columns = [f"{_learned(of_setting)}, {_median(of_setting)}" for of_setting in times]
        yield "| " + " | ".join([f"{row.agent}, {variant}", *columns]) + " |"


def loop_table() -> Iterator[str]:
    """Yields a row per loop and weight: success, times, lengths and errors of both baselines."""
    found = loops()
    for loop, weight in sorted({(setting.loop, setting.weight) for setting in found.settings}):
        attached, detached = (LoopSetting(loop, baseline, weight) for baseline in BASELINES)
        # For each field, the values of the attached and of the detached runs, [S] each.
        times, lengths, errors = (
            (found.values(attached, field), found.values(detached, field))
            for field in ("time", "length", "error")
        )
        formula = _predicted_error(attached, found.values(attached, "entropy"))
        comparable = isfinite(formula) and formula > 0
        columns = (
            NAMES[loop],
            f"{weight:g}",
            *map(_learned, times),
            *map(_median, times),
            _number(mean(lengths[0] - lengths[1]), ".0f"),
            *(f"{median_time(each):.2f}" for each in errors),
            f"{formula:.2f}" if isfinite(formula) else "none",
            f"{mean(errors[0] - errors[1]).value / formula:.2f}" if comparable else "",
        )
        yield "| " + " | ".join(columns) + " |"


def _predicted_error(setting: LoopSetting, entropies: NDArray[np.float64]) -> float:
    """Median over seeds of the bias predicted for an attached critic; nan if there is no formula.

    The bias is H / w if the policy loss and half the squared error are summed over the same steps.
    With the Huber loss (tutorial), it is capped at 1. Normalised advantages (reinforce) leak
    nothing on average. For separate optimisers (a3c), there is no formula.
    """
    bias = entropies / setting.weight
    by_loop = {"tutorial": np.minimum(bias, 1.0), "reinforce": 0 * bias, "a3c": nan * bias}
    return float(np.median(by_loop.get(setting.loop, bias)))


def verdict_table(part: str, statements: Iterable[Statement]) -> Iterator[str]:
    """Yields a row per statement: text, region, measurement, verdict, whether sure, and rival."""
    for statement in statements:
        said = predictions()["external"][part][statement.name]
        judged = not isnan(statement.estimate.value)
        verdict = ("right" if statement.right else "**wrong**") if judged else "cannot tell"
        inside = "yes" if statement.right and not statement.unsure else "no"
        found = (
            statement.says,
            _region(*statement.region),
            _number(statement.estimate),
            verdict,
            inside if judged else "",
            said["rival"],
        )
        yield "| " + " | ".join(found) + " |"


def page_tables() -> list[str]:
    """Rows of all the page's tables."""
    return [
        *agent_table(),
        *verdict_table("agents", agent_statements(agent_times())),
        *loop_table(),
        *verdict_table("loops", loop_statements(loops())),
    ]


def _learned(times: NDArray[np.float64]) -> str:
    """Number of seeds that learned, over the number of seeds."""
    return f"{np.isfinite(times).sum()}/{len(times)}"


def _median(times: NDArray[np.float64]) -> str:
    """Median time to learn, in episodes or updates; a dash if it is infinite."""
    time = float(median_time(times))
    return f"{time:,.0f}" if isfinite(time) else "–"


def _region(low: float, high: float) -> str:
    """Describes the interval of values for which a statement is right."""
    if high == inf:
        return f"at least {low:g}"
    return f"at most {high:g}" if low in (-inf, -1) else f"{low:g} to {high:g}"


def _number(estimate: Estimate, form: str = ".2f") -> str:
    """Text of an estimate with its interval, or "too few learned" if it is nan."""
    if isnan(estimate.value):
        return "too few learned"
    value, low, high = (f"{each:{form}}" if isfinite(each) else "∞" for each in estimate)
    return f"{value} [{low}, {high}]"


if __name__ == "__main__":
    print("\n".join(page_tables()))
