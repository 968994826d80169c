"""Tables of docs/external.md from the outcomes: `python -m tests.tools.external_page`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf, isfinite, isnan

import numpy as np

from pwm.analysis.estimates import Estimate, mean
from pwm.analysis.external import Baseline
from pwm.analysis.external_predictions import agent_statements, loop_statements
from pwm.analysis.external_results import NAMES, LoopSetting, Summary, agents, loops
from pwm.analysis.predictions import predictions
from pwm.analysis.statements import Statement

BASELINES: tuple[Baseline, ...] = ("attached", "detached")


def agent_table() -> Iterator[str]:
    """Yields a row per variant with a column per weight: seeds that learned, median episodes."""
    rows: dict[tuple[str, str], list[Summary]] = {}
    for cell in agents().summaries():
        rows.setdefault((cell.setting, cell.variant), []).append(cell)
    for (setting, variant), cells in rows.items():
        found = " | ".join(
            f"{cell.learned.successes}/{cell.learned.total}, {_count(cell.time.value)}"
            for cell in sorted(cells, key=lambda cell: cell.weight)
        )
        yield f"| {setting.split()[-1]}, {variant} | {found} |"


def loop_table() -> Iterator[str]:
    """Yields a row per loop and weight: success, times, lengths and errors of both baselines."""
    found = loops()
    cells = {(cell.setting, cell.weight, cell.variant): cell for cell in found.summaries()}
    for loop, weight in sorted({(cell.loop, cell.weight) for cell in found.settings}):
        both = [cells[NAMES[loop], weight, baseline] for baseline in BASELINES]
        settings = [LoopSetting(loop, baseline, weight) for baseline in BASELINES]
        lengths, errors = (
            np.subtract(*(found.values(setting, name) for setting in settings))
            for name in ("length", "error")
        )
        formula = both[0].predicted_bias
        comparable = isfinite(formula) and formula > 0
        columns = (
            f"{NAMES[loop]}",
            f"{weight:g}",
            *(f"{cell.learned.successes}/{cell.learned.total}" for cell in both),
            *(_count(cell.time.value) for cell in both),
            _number(mean(lengths), ".0f"),
            *(f"{cell.bias.value:.2f}" for cell in both),
            f"{formula:.2f}" if isfinite(formula) else "none",
            f"{mean(errors).value / formula:.2f}" if comparable else "",
        )
        yield "| " + " | ".join(columns) + " |"


def verdict_table(part: str, statements: Iterable[Statement]) -> Iterator[str]:
    """Yields a row per statement: what it is about, what is right, what was measured, verdicts."""
    for statement in statements:
        said = predictions()["external"][part][statement.name]
        judged = not isnan(statement.estimate.value)
        verdict = ("right" if statement.right else "**wrong**") if judged else "cannot tell"
        found = (_region(*statement.region), _number(statement.estimate), verdict, said["rival"])
        yield f"| {statement.says} | " + " | ".join(found) + " |"


def page_tables() -> list[str]:
    """All rows that the page has."""
    return [
        *agent_table(),
        *verdict_table("agents", agent_statements(agents())),
        *loop_table(),
        *verdict_table("loops", loop_statements(loops())),
    ]


def _count(number: float) -> str:
    """A number of episodes or updates; a dash if it is not finite."""
    return f"{number:,.0f}" if isfinite(number) else "–"


def _region(low: float, high: float) -> str:
    """The values with which a statement is right, in words."""
    if high == inf:
        return f"at least {low:g}"
    return f"at most {high:g}" if low in (-inf, -1) else f"{low:g} to {high:g}"


def _number(estimate: Estimate, form: str = ".2f") -> str:
    """An estimate with its interval; words if it is nan."""
    if isnan(estimate.value):
        return "too few learned"
    value, low, high = (f"{each:{form}}" if isfinite(each) else "∞" for each in estimate)
    return f"{value} [{low}, {high}]"


if __name__ == "__main__":
    print("\n".join(page_tables()))
