"""`python -m pwm.figures`: draws the figures, and writes the numbers that they plot.

Each figure is written as SVG and PNG, and as CSV what it shows: the curves, the seeds behind
them, and how many learned.
"""

from __future__ import annotations

import hashlib
import io
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, NullFormatter
from numpy.typing import NDArray
from tqdm import tqdm

from pwm import stats, theory
from pwm.cli import errors_in_one_line, parse
from pwm.experiments import Experiment, Size, chosen
from pwm.files import write_atomically
from pwm.stats import SuccessRate, learned, success_rate
from pwm.store import Store
from pwm.sweep import plan
from pwm.task import TaskConfig, reward_levels
from pwm.theory import value_floor
from pwm.train import METRICS, History, TrainConfig

COLUMNS = {"value_loss": "value loss", "policy_loss": "policy loss", "reward": "reward"}
COLOURS = {"value_loss": "#D55E00", "policy_loss": "#0072B2", "reward": "#007A5A"}
WIDTH = 7.0  # inches, the text width of a page
SEED_WINDOWS = 10  # windows averaged for the faint curve of a single seed
STYLE = Path(__file__).with_suffix(".mplstyle")


@dataclass(frozen=True)
class Row:
    """One row of panels: the replicas that share a critic weight."""

    critic_weight: float
    history: History
    task: TaskConfig


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
    """The notes' layout over seeds: median, interquartile range, each seed faint.

    Args:
        rows: from top to bottom.
        title: printed above.
    """
    figure, axes = _panels(rows, title)
    for row, panels in zip(rows, axes, strict=True):
        thousands = row.history.episode / 1000
        coarse = coarsened(row.history, SEED_WINDOWS)
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
            panel.plot(thousands, median, color="black", linewidth=0.8)
        panels[0].set_yscale("log")
        panels[0].yaxis.set_major_formatter(LogFormatter(labelOnlyBase=False))
        panels[0].yaxis.set_minor_formatter(NullFormatter())
        _print_success(panels[2], success(row))
    return figure


def training_curves(runs: Sequence[TrainConfig], history: History, path: Path) -> None:
    """Draws one population's curves, a seed a line and their median, as PNG."""
    row = Row(runs[0].critic_weight, history, runs[0].task)
    rates = f"learning rate {runs[0].learning_rate:g}, {runs[0].task.stimulus_set}, seeds: "
    title = rates + " ".join(str(run.seed) for run in runs)
    with mpl.rc_context(fname=STYLE):
        figure = notes_figure([row], title) if len(runs) == 1 else seeds_figure([row], title)
        write_atomically(path, _rendered(figure, "png", "pwm.figures.training_curves"))


def success(row: Row) -> SuccessRate:
    """Fraction of a row's replicas that learned."""
    outcome = learned(row.history, row.task)
    return success_rate(int(outcome.sum()), len(outcome))


def quartiles(curves: NDArray[np.float32]) -> NDArray[np.float64]:
    """Quartiles over replicas of each window, ignoring what diverged: [R, K] to [3, K]."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nanquantile(curves.astype(np.float64), [0.25, 0.5, 0.75], axis=0)


def coarsened(history: History, windows: int) -> History:
    """The history averaged over groups of that many windows; a rest too short is left out."""
    groups = max(len(history.episode) // windows, 1)
    windows = min(windows, len(history.episode))
    kept = groups * windows
    curves = (getattr(history, name)[:, :kept] for name in METRICS)
    return History(
        history.episode[windows - 1 : kept : windows],
        *(np.mean(curve.reshape(len(curve), groups, windows), axis=2) for curve in curves),
    )


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
        floor = value_floor(1.0, row.task.num_trials)
        _reference(value_axes, floor, f"floor\nif solved\n{floor:.3g}")
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


def _csv(source: str, header: str, lines: Iterable[Sequence[float]]) -> bytes:
    rows = [",".join(f"{value:.5g}" for value in line) for line in lines]
    return "\n".join([f"# {source}", header, *rows, ""]).encode()


def _curves_csv(rows: Sequence[Row], source: str) -> bytes:
    """Mean over replicas of every window."""
    header = ",".join(["critic_weight", "episode", *COLUMNS])
    lines = (
        (row.critic_weight, episode, *means)
        for row in rows
        for episode, *means in zip(
            row.history.episode,
            *(getattr(row.history, name).mean(axis=0) for name in COLUMNS),
            strict=True,
        )
    )
    return _csv(source, header, lines)


def _quartiles_csv(rows: Sequence[Row], source: str) -> bytes:
    """Quartiles over replicas of every window."""
    names = [f"{name}_{part}" for name in COLUMNS for part in ("q25", "median", "q75")]
    lines = (
        (row.critic_weight, *values)
        for row in rows
        for values in zip(
            row.history.episode,
            *(part for name in COLUMNS for part in quartiles(getattr(row.history, name))),
            strict=True,
        )
    )
    return _csv(source, ",".join(["critic_weight", "episode", *names]), lines)


def _seeds_csv(rows: Sequence[Row], source: str) -> bytes:
    """Every seed, as coarse as it is drawn."""
    lines = (
        (row.critic_weight, seed, *values)
        for row in rows
        for coarse in [coarsened(row.history, SEED_WINDOWS)]
        for seed in range(len(coarse.reward))
        for values in zip(
            coarse.episode, *(getattr(coarse, name)[seed] for name in COLUMNS), strict=True
        )
    )
    return _csv(source, ",".join(["critic_weight", "seed", "episode", *COLUMNS]), lines)


def _learned_csv(rows: Sequence[Row], source: str) -> bytes:
    lines = ((row.critic_weight, *success(row)) for row in rows)
    return _csv(source, "critic_weight,learned,seeds,rate,wilson_low,wilson_high", lines)


def draw(experiment: Experiment, store: Store, folder: Path) -> bool:
    """Draws an experiment's two figures and writes their tables, unless they are there.

    Args:
        experiment: in the size that is stored.
        store: holds all its runs.
        folder: gets the files.
    Returns:
        Whether anything was drawn.
    Raises:
        InputError: a run is missing.
    """
    history = store.gather(plan(experiment))
    digest = _digest(history)
    marker = folder / f"{experiment.name}-learned.csv"  # written last
    if marker.exists() and f" {digest}\n".encode() in marker.read_bytes():
        return False
    task = experiment.base.task
    by_weight = [
        (weight, range(start, start + experiment.seeds))
        for weight, start in zip(
            experiment.critic_weights,
            range(0, len(history.reward), experiment.seeds),
            strict=True,
        )
    ]
    rows = [Row(weight, history.select(replicas), task) for weight, replicas in by_weight]
    few = [
        Row(weight, history.select(replicas[: experiment.notes_seeds]), task)
        for weight, replicas in by_weight
    ]
    title = (
        f"{task.stimulus_set}, {task.episode_length} steps an episode, "
        f"learning rate {experiment.base.learning_rate:g}"
    )
    count = experiment.notes_seeds
    of_notes = f"mean of {count} seeds" if count > 1 else "one seed"
    source = f"{{}} of experiment {experiment.name}, data {digest}"
    with mpl.rc_context(fname=STYLE):
        made_by = source.format("pwm.figures.notes_figure")
        stem = folder / f"{experiment.name}-notes"
        _write(notes_figure(few, f"{title}: {of_notes}, as in the notes"), stem, made_by)
        write_atomically(stem.with_name(f"{stem.name}.csv"), _curves_csv(few, made_by))

        made_by = source.format("pwm.figures.seeds_figure")
        stem = folder / f"{experiment.name}-seeds"
        of_all = f"median and quartiles of {experiment.seeds} seeds"
        _write(seeds_figure(rows, f"{title}: {of_all}"), stem, made_by)
        write_atomically(stem.with_name(f"{stem.name}.csv"), _quartiles_csv(rows, made_by))
        write_atomically(stem.with_name(f"{stem.name}-each.csv"), _seeds_csv(rows, made_by))
    write_atomically(marker, _learned_csv(rows, made_by))
    return True


def _digest(history: History) -> str:
    """Identifies what the figures are made of: the histories and the code that draws them."""
    digest = hashlib.sha256()
    for array in history.arrays().values():
        digest.update(np.ascontiguousarray(array).tobytes())
    for file in (__file__, stats.__file__, theory.__file__, STYLE):
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()[:16]


def _write(figure: Figure, stem: Path, source: str) -> None:
    for kind in ("svg", "png"):
        write_atomically(stem.parent / f"{stem.name}.{kind}", _rendered(figure, kind, source))


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.figures`."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Experiments; all of them if none is named."""
    size: Size = "paper"
    """The size that was trained."""
    results: Path = Path("results")
    """Folder that histories are kept in."""
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
        experiments = chosen(arguments.names, arguments.size)
        drawn = sum(
            draw(experiment, Store(arguments.results), arguments.out)
            for experiment in tqdm(experiments, unit=" experiments", file=sys.stderr)
        )
    print(f"{drawn} of {len(experiments)} experiments drawn anew into {arguments.out}.")


if __name__ == "__main__":
    main()
