"""Drawing of figures by name, and writing of their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
"""Functions that draw the figures of this study's own results, by name."""
NAMES = (*NOTES, *ANSWERS)
"""Names of figures: the notes' experiments, with two figures each, and those of `ANSWERS`."""
IN_PAPER = frozenset(ANSWERS) - {"success"}  # figures that are also written as SVG


def draw(name: str, evidence: Evidence) -> Iterator[dict[str, bytes]]:
    """Draws the one or two figures of a name, and yields the files of each.

    Args:
        name: one of `NAMES`.
        evidence: the runs.
    Yields:
        Contents by file name: a PNG, an SVG if the paper shows the figure, and tables as CSV.
    Raises:
        InputError: a run is missing.
    """
    evidence.read = {}  # now it records the experiments that this figure reads
    if name in ANSWERS:
        yield _files(name, ANSWERS[name], (evidence,), evidence)
        return
    runs, notes_seeds = evidence.of(name), EXPERIMENTS[name].notes_seeds
    yield _files(f"{name}-notes", notes.mean_of_few_seeds, (runs, notes_seeds), evidence)
    files = _files(f"{name}-seeds", notes.every_seed, (runs,), evidence)
    table = learned_table(runs)
    source = _source(learned_table, table, evidence)
    yield files | {f"{name}-learned.csv": _csv(source, table)}


def write(files: Mapping[str, bytes], folder: Path) -> bool:
    """Writes each file that is missing or has another content; returns whether any was written."""
    written = False
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)
            written = True
    return written


def _files(
    stem: str,
    function: Callable[..., tuple[Figure, Table]],
    arguments: Sequence[Any],
    evidence: Evidence,
) -> dict[str, bytes]:
    """Draws a figure with `function`; returns its files by name, which is `stem` with an ending."""
    with mpl.rc_context(fname=STYLE):
        figure, table = function(*arguments)
    source = _source(function, table, evidence)
    files = {f"{stem}.png": rendered(figure, "png", source)}
    if stem in IN_PAPER:
        files[f"{stem}.svg"] = rendered(figure, "svg", source)
    return files | {f"{stem}.csv": _csv(source, table)}


def _source(function: Callable[..., Any], table: Table, evidence: Evidence) -> str:
    """One line on a table's origin: its function, the experiments read, the engine, its digest."""
    return (
        f"{function.__module__}.{function.__name__} of {', '.join(evidence.read)}; "
        f"{evidence.trained_with(evidence.read)}; data {digest(table)}"
    )


def _csv(source: str, table: Table) -> bytes:
    """A table as CSV, below a comment with its origin."""
    return f"# {source}\n".encode() + as_csv(table)
