"""The page on the libraries' losses, made from the table and the results of running them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pwm.analysis.conventions import CONVENTIONS, Convention, convert_weight, formula
from tests.libraries.installed import FRAMEWORKS

MEASURED = Path(__file__).with_name("measured.json")
PAGE = Path(__file__).parents[2] / "docs" / "libraries.md"
STEPS = 60
INTRODUCTION = f"""\
# What libraries' losses weigh

The loss of each library, by default, with the advantage *A* and the error δ = *G* - *v*, at the
first step of an update. *Notes' 5* is the weight that balances the two losses there as 5 does in
the notes at {STEPS} steps per episode. `python -m pwm.convert` converts any other weight;
[convert.md](convert.md) explains what is converted, and what no weight can make up for.

*Run* means: the library's own code, from PyPI, was run on a batch of 8 steps, and the gradients of
its loss by the logits and the values were compared with those of the formula. The number is the
largest difference over the largest gradient. *Read* means: in the source, not run. Versions and
commits are in the second table. `python -m tests.libraries` repeats this where the libraries are
installed.

*Weight found by* tells how the weight was also found from the library's loss alone, for comparison
with that of the formula: in PyTorch by `check_leak` ([check.md](check.md)), whose verdict on the
baseline was right each time; elsewhere, where it cannot look into the graph, by a fit of the
gradients. The largest relative difference of the two weights is {{largest}}.

"""
LEGEND = """
*Attached*: the policy loss also trains the critic through *A*. *Networks*: whether actor and critic
share parameters; *either* depends on the network that one chooses. *Scaled*: quantities divided by
their standard deviation. *Clipped*: no gradient for values that have moved too far in one update.
*Capped*: none where δ² is above the library's limit. *Huber(δ)* is δ²/2 for errors below 1, then
linear. Entropy bonuses are left out.

"""


class Result(NamedTuple):
    """Comparison of a library with its row of the table."""

    version: str
    date: str
    difference: float
    """Largest difference of the gradients, over the largest gradient."""
    weight: float | None
    """Relative difference of the weights; None if none was found from the loss."""


def results() -> dict[str, Result]:
    """Stored results, by row."""
    return {name: Result(**row) for name, row in json.loads(MEASURED.read_text()).items()}


def page(stored: Mapping[str, Result]) -> str:
    """The page, in Markdown."""
    largest = max(result.weight or 0.0 for result in stored.values())
    return (
        INTRODUCTION.format(largest=f"{largest:.0e}")
        + table(("library", "loss", "notes' 5", "baseline", "networks", "scaled",
                 "checked", "weight found by"),
                (losses_row(name, row, stored.get(name)) for name, row in CONVENTIONS.items()))
        + LEGEND
        + table(("library", "weight", "repository", "file", "version"), sources())
    )  # fmt: skip


def losses_row(name: str, row: Convention, result: Result | None) -> tuple[str, ...]:
    """A line of the first table."""
    checked = "read" if result is None else f"run {result.date}: {result.difference:.0e}"
    return (
        name,
        formula(row, row.weight),
        f"{convert_weight(5, STEPS, to=name):.2g}",
        "attached" if row.attached else "detached",
        row.networks,
        ", ".join(row.normalises) or "nothing",
        checked,
        found_by(name, result),
    )


def found_by(name: str, result: Result | None) -> str:
    """The method by which the weight was found from the loss alone."""
    if result is None or result.weight is None:
        return "-"
    return "`check_leak`" if name in FRAMEWORKS["torch"] else "fit"


def sources() -> Iterator[tuple[str, ...]]:
    """Lines of the second table."""
    for name, row in CONVENTIONS.items():
        weight = f"`{row.parameter}`" if row.parameter else "none"
        package = f"{row.package} {row.version}" if row.package else row.version
        yield name, weight, row.repository, row.file, package


def table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    titles = tuple(heading)
    lines = (titles, ("---",) * len(titles), *rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
