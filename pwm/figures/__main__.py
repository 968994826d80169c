"""`python -m pwm.figures`: draws the figures, and writes the numbers that they plot.

Each figure is written as SVG and PNG, and as CSV what it shows: the curves, the seeds behind
them, and how many learned.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray
from tqdm import tqdm

from pwm import answers, stats, tables, theory_figures
from pwm.analysis import theory
from pwm.analysis.estimates import SuccessRate
from pwm.analysis.outcomes import Evidence
from pwm.analysis.theory import value_floor
from pwm.core.config import TrainConfig
from pwm.core.errors import require
from pwm.core.history import History
from pwm.core.task import reward_levels
from pwm.engines import EngineName
from pwm.experiments import NOTES, chosen
from pwm.figures.success import ANSWERS
from pwm.figures.tables import (
    COLUMNS,
    FAINT_SEEDS,
    Row,
    curves_table,
    faint_curves,
    learned_table,
    quartiles,
    quartiles_table,
    seeds_table,
    success,
    success_table,
)
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.files import make_folder, write_atomically
from pwm.runs.experiment import Experiment, Size
from pwm.runs.shards import plan
from pwm.runs.storage import Store

COLOURS = {"value_loss": "#D55E00", "policy_loss": "#0072B2", "reward": "#007A5A"}
WIDTH = 7.0  # inches, the text width of a page
SUCCESS = "success"
SUCCESS_SERIES = {
    "15 steps, 10,000 episodes": ("eplen15-edge", "eplen15"),
    "60 steps, 10,000 episodes": ("lrate0.005",),
    "60 steps, 30,000 episodes": ("eplen60",),
}
"""Experiments of the figure of success against the critic weight, by curve."""
Drawing = Callable[[], None]
STYLE = Path(__file__).with_suffix(".mplstyle")


def notes_figure(rows: Sequence[Row], title: str) -> Figure:
    """A figure in the notes' layout, each curve the mean over its replicas.

    Args:
        rows: from top to bottom.
        title: printed above.
    """
    figure, axes = _panels(rows, title)
    for row, (value_axes, policy_axes, reward_axes) in zip(rows, axes, strict=True):
        thousands = row.history.episode / 1000
        for panel, name in zip((value_axes, policy_axes, reward_axes), COLUMNS, strict=True):
            curve = getattr(row.history, name).mean(axis=0)
            panel.plot(thousands, curve, color=COLOURS[name], linewidth=0.6)
        value_axes.set_ylim(bottom=0)
    return figure


def seeds_figure(rows: Sequence[Row], title: str) -> Figure:
    """The notes' layout over seeds: median, interquartile range, the first seeds faint.

    Args:
        rows: from top to bottom.
        title: printed above.
    """
    figure, axes = _panels(rows, title)
    for row, panels in zip(rows, axes, strict=True):
        thousands = row.history.episode / 1000
        coarse = faint_curves(row.history)
        for panel, name in zip(panels, COLUMNS, strict=True):
            low, median, high = quartiles(getattr(row.history, name))
            colour = COLOURS[name]
            panel.plot(
                coarse.episode / 1000,
                getattr(coarse, name).T,
                color=colour,
                alpha=0.22,
                linewidth=0.4,
                rasterized=True,
            )
            panel.fill_between(
                thousands, low, high, color=colour, alpha=0.25, linewidth=0, rasterized=True
            )
            panel.plot(thousands, median, color="black", linewidth=0.6)
        panels[0].set_yscale("log")
        panels[0].yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        panels[0].yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.5)))
        _print_success(panels[2], success(row))
    return figure


def success_figure(series: Mapping[str, Sequence[Row]]) -> Figure:
    """Fraction of seeds that learned against the critic weight, with Wilson intervals.

    Args:
        series: rows by what they have in common; each is a curve, drawn 3% beside the last.
    """
    figure = Figure(figsize=(4.6, 2.6), layout="constrained")
    axes = figure.subplots()
    styles = zip(series.items(), ("#0072B2", "#E69F00", "#CC3311"), ("o", "s", "^"), strict=True)
    for shift, ((name, rows), colour, marker) in enumerate(styles):
        rates = [success(row) for row in rows]
        weights = np.array([row.critic_weight for row in rows]) * 1.03 ** (shift - 1)
        fraction = np.array([rate.rate for rate in rates])
        spread = [fraction - [rate.low for rate in rates], [rate.high for rate in rates] - fraction]
        axes.errorbar(
            weights, fraction, np.clip(spread, 0, 1), label=name, color=colour, marker=marker,
            markersize=4, linewidth=1, elinewidth=0.8, capsize=2,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("critic weight")
    axes.set_ylabel("fraction of seeds that learned")
    axes.legend(frameon=False, fontsize=7, loc="center left")
    return figure


def training_curves(runs: Sequence[TrainConfig], history: History, path: Path) -> None:
    """Draws one population's curves, a seed a line and their median, as PNG."""
    run = runs[0]
    has_floor = (
        not run.agent.carry_state
        and run.loss.discount == 1
        and not (run.task.timeout or run.task.hold_reward)
    )
    row = Row(run.critic_weight, history, run.task, has_floor)
    rates = f"learning rate {runs[0].learning_rate:g}, {runs[0].task.stimulus_set}, seeds: "
    title = rates + " ".join(str(run.seed) for run in runs)
    with mpl.rc_context(fname=STYLE):
        figure = notes_figure([row], title) if len(runs) == 1 else seeds_figure([row], title)
        write_atomically(path, _rendered(figure, "png", "pwm.figures.training_curves"))


def _panels(rows: Sequence[Row], title: str) -> tuple[Figure, NDArray[np.object_]]:
    """Empty panels with everything but the curves."""
    figure = Figure(figsize=(WIDTH, 0.75 + 1.12 * len(rows)), layout="constrained")
    figure.suptitle(title, fontsize=9)
    axes = figure.subplots(len(rows), len(COLUMNS), squeeze=False, sharex=True)
    for column, name in enumerate(COLUMNS):
        axes[0, column].set_title(COLUMNS[name])
        axes[-1, column].set_xlabel("episode (thousands)")
    for row, (value_axes, policy_axes, reward_axes) in zip(rows, axes, strict=True):
        value_axes.set_ylabel(f"critic weight {row.critic_weight:g}", fontweight="bold")
        if row.has_floor:
            floor = value_floor(1.0, row.task.num_trials)
            _reference(value_axes, floor, f"floor\nif solved\n{floor:.4g}")
        policy_axes.axhline(0, color="0.6", linewidth=0.5, zorder=0)
        reward_axes.set_ylim(0.2, 1.04)
        reward_axes.set_yticks([0.2, 0.4, 0.6, 0.8, 1.0])
        levels = reward_levels(row.task.stimulus_set)._asdict()
        for level in sorted(set(levels.values())):
            names = [name for name, value in levels.items() if value == level]
            _reference(reward_axes, level, " = ".join(names).replace("_", "-"))
        value_axes.margins(x=0)
    return figure, axes


def _reference(axes: Axes, level: float, label: str) -> None:
    """A labelled line at a level."""
    axes.axhline(level, color="0.45", linewidth=0.5, linestyle=(0, (4, 3)), zorder=0)
    axes.annotate(
        label,
        (1, level),
        xycoords=("axes fraction", "data"),
        xytext=(2, 0),
        textcoords="offset points",
        fontsize=5.5,
        color="0.3",
        va="center",
        annotation_clip=False,
    )


def _print_success(axes: Axes, rate: SuccessRate) -> None:
    text = f"learned {rate.successes}/{rate.total}  [{rate.low:.2f}, {rate.high:.2f}]"
    axes.text(
        0.98,
        0.03,
        text,
        transform=axes.transAxes,
        ha="right",
        va="bottom",
        fontsize=6.5,
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
    )


def _rendered(figure: Figure, kind: str, source: str) -> bytes:
    """The figure as bytes that name the function and data behind it, and not the time."""
    buffer = io.BytesIO()
    if kind == "svg":
        FigureCanvasSVG(figure)
        metadata = {"Description": source, "Date": None, "Creator": "pwm"}
    else:
        FigureCanvasAgg(figure)
        metadata = {"Description": source, "Software": "pwm"}
    figure.savefig(buffer, format=kind, metadata=metadata, dpi=200)
    return buffer.getvalue()


def drawing(experiment: Experiment, store: Store, folder: Path) -> Drawing | None:
    """What is left to do for an experiment's two figures and their tables.

    Args:
        experiment: in the size that is stored.
        store: holds all its runs.
        folder: gets the files.
    Returns:
        A function that draws and writes them all; None if they are there.
    Raises:
        InputError: a run is missing.
    """
    rows = rows_of(experiment, store)
    digest = _digest(rows, experiment)
    notes, seeds = folder / f"{experiment.name}-notes", folder / f"{experiment.name}-seeds"
    learned = folder / f"{experiment.name}-learned.csv"  # written last
    files = [*_files(notes), *_files(seeds), _beside(seeds, "-each.csv")]
    if _is_of(learned, digest) and all(file.exists() for file in files):
        return None
    task, count = experiment.base.task, experiment.notes_seeds
    few = [replace(row, history=row.history.select(range(count))) for row in rows]
    title = (
        f"{task.stimulus_set}, {task.episode_length} steps an episode, "
        f"learning rate {experiment.base.learning_rate:g}"
    )
    of_few = f"mean of {count} seeds" if count > 1 else "one seed"
    num_seeds = len(experiment.axes["seed"])
    faint = f"{FAINT_SEEDS} of them" if num_seeds > FAINT_SEEDS else "each"
    of_all = f"{num_seeds} seeds: median (black), quartiles (band), {faint} (faint)"
    trained = store.trained_with(plan(experiment))
    source = f"{{}} of experiment {experiment.name}, {trained}, data {digest}"

    def draw() -> None:
        made_by = source.format("pwm.figures.__main__.notes_figure")
        with mpl.rc_context(fname=STYLE):
            _write(notes_figure(few, f"{title}: {of_few}, as in the notes"), notes, made_by)
        write_atomically(_beside(notes, ".csv"), curves_table(few, made_by))
        made_by = source.format("pwm.figures.__main__.seeds_figure")
        with mpl.rc_context(fname=STYLE):
            _write(seeds_figure(rows, f"{title}: {of_all}"), seeds, made_by)
        write_atomically(_beside(seeds, ".csv"), quartiles_table(rows, made_by))
        write_atomically(_beside(seeds, "-each.csv"), seeds_table(rows, made_by))
        write_atomically(learned, learned_table(rows, made_by))

    return draw


def success_drawing(
    size: Size, store: Store, folder: Path, engine: EngineName = "fused"
) -> Drawing | None:
    """What is left to do for success against the critic weight; as `drawing`."""
    experiments = {name: chosen(parts, size, engine) for name, parts in SUCCESS_SERIES.items()}
    series = {
        name: [row for part in parts for row in rows_of(part, store)]
        for name, parts in experiments.items()
    }
    digest = _digest([row for rows in series.values() for row in rows], SUCCESS_SERIES)
    stem = folder / "success"
    if _is_of(_beside(stem, ".csv"), digest) and all(file.exists() for file in _files(stem)):
        return None
    every = itertools.chain.from_iterable(experiments.values())
    trained = store.trained_with(shard for part in every for shard in plan(part))
    names = ", ".join(name for names in SUCCESS_SERIES.values() for name in names)
    made_by = (
        f"pwm.figures.__main__.success_figure of experiments {names}, {trained}, data {digest}"
    )

    def draw() -> None:
        with mpl.rc_context(fname=STYLE):
            _write(success_figure(series), stem, made_by)
        write_atomically(_beside(stem, ".csv"), success_table(series, made_by))

    return draw


def answer_drawing(name: str, evidence: Evidence, folder: Path) -> Drawing | None:
    """What is left to do for a figure of the answer; as `drawing`."""
    _, table = ANSWERS[name](evidence)
    digest = hashlib.sha256(repr(table).encode())
    for file in (__file__, answers.__file__, theory_figures.__file__, STYLE):
        digest.update(Path(file).read_bytes())
    stem = folder / name
    key = digest.hexdigest()[:16]
    if _is_of(_beside(stem, ".csv"), key) and all(file.exists() for file in _files(stem)):
        return None
    made_by = f"{ANSWERS[name].__module__}.{ANSWERS[name].__name__}, data {key}"
    content = io.StringIO(f"# {made_by}\n")
    content.seek(0, io.SEEK_END)
    csv.writer(content, lineterminator="\n").writerows(table)

    def draw() -> None:
        with mpl.rc_context(fname=STYLE):
            _write(ANSWERS[name](evidence)[0], stem, made_by)
        write_atomically(_beside(stem, ".csv"), content.getvalue().encode())

    return draw


def rows_of(experiment: Experiment, store: Store) -> list[Row]:
    """An experiment's stored replicas by critic weight."""
    history = store.gather(plan(experiment))
    runs = np.arange(experiment.num_runs).reshape(-1, len(experiment.axes["seed"]))
    return [
        Row(weight, history.select(replicas.tolist()), experiment.base.task)
        for weight, replicas in zip(experiment.axes["critic_weight"], runs, strict=True)
    ]


def _digest(rows: Sequence[Row], plan: object) -> str:
    """Identifies what a figure is made of: histories, plan, and the code that draws them."""
    digest = hashlib.sha256(repr(plan).encode())
    for row in rows:
        for array in row.history.arrays().values():
            digest.update(np.ascontiguousarray(array).tobytes())
    for file in (__file__, tables.__file__, stats.__file__, theory.__file__, STYLE):
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()[:16]


def _is_of(table: Path, digest: str) -> bool:
    """Whether a table is there and was made of that data."""
    return table.exists() and f" {digest}\n".encode() in table.read_bytes()


def _beside(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)


def _files(stem: Path) -> list[Path]:
    return [_beside(stem, ending) for ending in (".svg", ".png", ".csv")]


def _write(figure: Figure, stem: Path, source: str) -> None:
    for kind in ("svg", "png"):
        write_atomically(_beside(stem, f".{kind}"), _rendered(figure, kind, source))


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.figures`."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Figures: the notes' experiments, success, or one of the answer's; all if none is named."""
    size: Size = "paper"
    """The size that was trained."""
    results: Path = Path("results")
    """Folder that histories are kept in."""
    engine: EngineName = "fused"
    """What trained them."""
    out: Path = Path("figures")
    """Folder for the figures."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and ends the program."""
    arguments = parse(
        Arguments,
        "python -m pwm.figures",
        "Draws the figures of some experiments from their stored runs.",
        argv,
    )
    with errors_in_one_line():
        store, out, size = Store(arguments.results), arguments.out, arguments.size
        every = (*NOTES, SUCCESS, *ANSWERS)
        for name in arguments.names:
            require(name in every, "names", name, "some of " + ", ".join(every))
        names = arguments.names or every
        notes = [name for name in names if name in NOTES]
        experiments = chosen(tuple(notes), size, arguments.engine) if notes else ()
        drawings = [drawing(experiment, store, out) for experiment in experiments]
        if SUCCESS in names:
            drawings.append(success_drawing(size, store, out, arguments.engine))
        evidence = Evidence(store, size, arguments.engine)
        drawings += [answer_drawing(name, evidence, out) for name in names if name in ANSWERS]
        left = [draw for draw in drawings if draw is not None]
        make_folder("out", out)
        for draw in tqdm(left, unit=" drawings", file=sys.stderr, disable=not left):
            draw()
    print(f"{len(left)} of {len(drawings)} drawn anew into {out}; the rest was there.")


if __name__ == "__main__":
    main()
