"""The figures by name, and their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from pwm.analysis.evidence import Evidence
from pwm.experiments import EXPERIMENTS, NOTES
from pwm.figures import answer, climb, elsewhere, law, notes, rules, success, theory
from pwm.figures.render import STYLE, rendered
from pwm.figures.tables import Table, as_csv, digest, learned_table
from pwm.io.files import write_atomically

ANSWERS: Mapping[str, Callable[[Evidence], tuple[Figure, Table]]] = MappingProxyType(
    {
        "success": success.success_figure,
        "answer": answer.answer_figure,
        "climb": climb.climb_figure,
        "law": law.law_figure,
        "bias": theory.bias_figure,
        "places": success.places_figure,
        "rates": success.rates_figure,
        "variants": success.variants_figure,
        "rules": rules.rules_figure,
        "elsewhere": elsewhere.elsewhere_figure,
    }
)
"""Functions of the figures that are not about one of the notes' experiments, by name."""
NAMES = (*NOTES, *ANSWERS)
"""Names of figures: the notes' experiments, with two figures each, and those of `ANSWERS`."""
IN_PAPER = frozenset(ANSWERS) - {"success"}  # written as SVG too


def drawn(name: str, evidence: Evidence) -> Iterator[dict[str, bytes]]:
    """Draws the figures of a name, and yields the contents of their files.

    Args:
        name: one of `NAMES`.
        evidence: the runs.
    Yields:
        For each figure, contents by file name: PNG, SVG if the paper shows it, and tables.
    Raises:
        InputError: a run is missing.
    """
    evidence.read = {}
    if name in ANSWERS:
        yield _files(name, ANSWERS[name], evidence)
        return
    runs, notes_seeds = evidence.of(name), EXPERIMENTS[name].notes_seeds
    yield _files(f"{name}-notes", notes.mean_of_few_seeds, evidence, runs, notes_seeds)
    learned = learned_table(runs)
    source = _source(learned_table, learned, evidence)
    table = {f"{name}-learned.csv": _csv(source, learned)}
    yield _files(f"{name}-seeds", notes.every_seed, evidence, runs) | table


def write(files: Mapping[str, bytes], folder: Path) -> bool:
    """Writes the files that differ from those in the folder; returns whether there were any."""
    different = [
        name
        for name, content in files.items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != content
    ]
    for name in different:
        write_atomically(folder / name, files[name])
    return bool(different)


def _files(
    stem: str,
    function: Callable[..., tuple[Figure, Table]],
    evidence: Evidence,
    *arguments: Any,
) -> dict[str, bytes]:
    """A figure's files: `function` draws it from the arguments or, without any, the evidence."""
    with mpl.rc_context(fname=STYLE):
        figure, table = function(*(arguments or (evidence,)))
    source = _source(function, table, evidence)
    files = {f"{stem}.png": rendered(figure, "png", source)}
    if stem in IN_PAPER:
        files[f"{stem}.svg"] = rendered(figure, "svg", source)
    return files | {f"{stem}.csv": _csv(source, table)}


def _source(function: Callable[..., Any], table: Table, evidence: Evidence) -> str:
    """Origin of a table in one line: function, experiments read, engine, and a digest."""
    return (
        f"{function.__module__}.{function.__name__} of {', '.join(evidence.read)}; "
        f"{evidence.trained_with(evidence.read)}; data {digest(table)}"
    )


def _csv(source: str, table: Table) -> bytes:
    """A table as CSV, below a comment with its origin."""
    return f"# {source}\n".encode() + as_csv(table)
