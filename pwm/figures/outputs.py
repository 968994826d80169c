"""Draws figures by name, and writes their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from pwm.analysis.evidence import Evidence
from pwm.experiments import EXPERIMENTS, NOTES
from pwm.figures import answer, climb, elsewhere, law, notes, rules, success, theory
from pwm.figures.render import STYLE, rendered
from pwm.figures.tables import Table, as_csv, learned_table
from pwm.io.files import write_if_changed

ANSWERS: Mapping[str, Callable[[Evidence], tuple[Figure, Table]]] = {
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
"""Functions that draw the figures of this study's own results, by name."""
NAMES = (*NOTES, *ANSWERS)
"""Names of figures: the notes' experiments, with two figures each, and those of `ANSWERS`."""
IN_PAPER = frozenset(ANSWERS) - {"success"}  # these are also written as SVG


def draw(name: str, evidence: Evidence) -> Iterator[dict[str, bytes]]:
    """Draws the figures of a name in `NAMES`; yields the files of each, contents by file name.

    The files are a PNG, an SVG if the paper shows the figure, and tables as CSV. They name the
    experiments that were read; for this, draw a name once per `evidence`, which caches results.

    Raises:
        InputError: a run is missing.
    """
    evidence.read = {}  # now it records the experiments that this figure reads
    if name in ANSWERS:
        yield _files(name, evidence, ANSWERS[name], evidence)
        return
    runs, notes_seeds = evidence.of(name), EXPERIMENTS[name].notes_seeds
    yield _files(f"{name}-notes", evidence, notes.mean_of_few_seeds, runs, notes_seeds)
    files = _files(f"{name}-seeds", evidence, notes.every_seed, runs)
    _, content = _with_source(learned_table(runs), learned_table, evidence)
    yield files | {f"{name}-learned.csv": content}


def write(files: Mapping[str, bytes], folder: Path) -> bool:
    """Writes each file that is missing or differs; returns whether any was written."""
    written = [write_if_changed(folder / name, content) for name, content in files.items()]
    return any(written)


def _files(
    stem: str, evidence: Evidence, function: Callable[..., tuple[Figure, Table]], *arguments: Any
) -> dict[str, bytes]:
    """Draws a figure and its table with `function`; returns their files, named `stem.EXTENSION`.

    `evidence` has the record of the experiments that `function` reads.
    """
    with mpl.rc_context(fname=STYLE):
        figure, table = function(*arguments)
    source, content = _with_source(table, function, evidence)
    files = {f"{stem}.png": rendered(figure, "png", source)}
    if stem in IN_PAPER:
        files[f"{stem}.svg"] = rendered(figure, "svg", source)
    return files | {f"{stem}.csv": content}


def _with_source(
    table: Table, function: Callable[..., Any], evidence: Evidence
) -> tuple[str, bytes]:
    """One line on the origin of a table, and a CSV file of this line and the table.

    The line names the function, the experiments that it read, their engine and version of the
    training code, and the table's hash.
    """
    content = as_csv(table)
    source = (
        f"{function.__module__}.{function.__name__} of {', '.join(evidence.read)}; "
        f"{evidence.trained_with(evidence.read)}; data {sha256(content).hexdigest()[:16]}"
    )
    return source, f"# {source}\n".encode() + content
