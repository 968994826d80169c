"""Figures and their tables: what they show is what is stored, and the same data the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from numpy.typing import ArrayLike, NDArray

from pwm import figures
from pwm.analysis.estimates import success_rate
from pwm.analysis.learning import learned
from pwm.core.agent import AgentConfig
from pwm.core.config import SEMANTICS, TrainConfig
from pwm.core.history import METRICS, History
from pwm.core.losses import LossConfig
from pwm.core.task import TaskConfig
from pwm.experiments import EXPERIMENTS, NOTES
from pwm.figures.__main__ import (
    drawing,
    notes_figure,
    seeds_figure,
    success_drawing,
    success_figure,
    training_curves,
)
from pwm.figures.tables import COLUMNS, Row, coarsened, quartiles
from pwm.runs.experiment import Experiment
from pwm.runs.shards import plan
from pwm.runs.storage import Store
from tests.support.folders import contents, times
from tests.support.histories import made_up, same, session

# The experiments

# Stimulus set, episode length, learning rate, episodes, weights, seeds of the notes' figure:
# `../shared/mission.md`, section 2, for those with a figure in the notes.
AUXILIARY = (0.05, 3, 10, 20)
GRIDS = {
    "eplen60": ("pwm5", 60, 0.005, 30_000, (2, 3, 4, 5), 1),
    "eplen15": ("pwm5", 15, 0.005, 10_000, (2, 3, 4, 5), 3),
    "eplen15-edge": ("pwm5", 15, 0.005, 10_000, (0.25, 0.5, 1, 1.5), 3),
    "lrate0.001": ("pwm5", 60, 0.001, 10_000, AUXILIARY, 1),
    "lrate0.005": ("pwm5", 60, 0.005, 10_000, AUXILIARY, 1),
    "lrate0.01": ("pwm5", 60, 0.01, 10_000, AUXILIARY, 1),
    "pwm0": ("pwm0", 60, 0.005, 10_000, (0.05, 3, 10, 15, 20), 1),
}


def done(left: Callable[[], None] | None) -> bool:
    """Draws what is left to draw; whether anything was."""
    if left is not None:
        left()
    return left is not None


def draw(experiment: Experiment, store: Store, folder: Path) -> bool:
    return done(drawing(experiment, store, folder))


def test_the_experiments_are_the_grids_of_the_notes() -> None:
    grids = {
        name: (
            experiment.base.task.stimulus_set,
            experiment.base.task.episode_length,
            experiment.base.learning_rate,
            experiment.base.num_episodes,
            experiment.axes["critic_weight"],
            experiment.notes_seeds,
        )
        for name, experiment in EXPERIMENTS.items()
        if experiment.notes_seeds
    }
    assert grids == GRIDS
    assert tuple(GRIDS) == NOTES


@pytest.mark.parametrize("name", NOTES)
def test_what_the_notes_leave_unsaid_is_the_same_in_every_experiment(name: str) -> None:
    experiment = EXPERIMENTS[name]
    runs = experiment.runs()
    assert experiment.name == name
    for run in runs:
        task = replace(run.task, stimulus_set="pwm5", episode_length=60)
        assert task == TaskConfig(
            stimulus_set="pwm5", trial_length=3, episode_length=60, timeout=False, hold_reward=0.0
        )
        assert run.agent == AgentConfig(hidden_size=24, carry_state=False, separate_trunks=False)
        assert run.loss == LossConfig(
            baseline="attached", policy_reduction="sum", discount=1.0, entropy_weight=0.0
        )
        assert run.log_every == 10
    drawn = [(run.critic_weight, run.seed) for run in runs]
    weights = GRIDS[name][4]
    assert drawn == [(weight, seed) for weight in weights for seed in range(96)]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_smoke_size_differs_in_budget_alone(name: str) -> None:
    paper, smoke = EXPERIMENTS[name].sized("paper"), EXPERIMENTS[name].sized("smoke")
    assert paper == EXPERIMENTS[name]
    budget = {name: getattr(paper.base, name) for name in ("num_episodes", "log_every")}
    same_budget = replace(smoke.base, **budget)
    assert replace(smoke, base=same_budget, axes=paper.axes) == paper
    assert smoke.axes == {**paper.axes, "seed": (0, 1, 2)}
    assert len(smoke.axes["seed"]) >= smoke.notes_seeds
    # a few seconds at what one core does
    assert sum(run.num_episodes for run in smoke.runs()) <= (5000 if name in NOTES else 80_000)


# What was stored for the figures of these tests

EXPERIMENT = Experiment(
    name="made-up",
    about="none",
    base=TrainConfig(num_episodes=1000),
    axes={"critic_weight": (2.0, 10.0), "seed": (0, 1, 2, 3)},
    notes_seeds=2,
)
WINDOWS = 100
LEARNED = {2.0: 1, 10.0: 3}
SOLVED = {2.0: 0, 10.0: 2}


def histories(seed: int = 0) -> dict[float, History]:
    """A history for each weight; of its seeds the last ones learned, and the very last solved."""
    made = {}
    for number, weight in enumerate(LEARNED):
        history = made_up(4, WINDOWS, seed=10 * seed + number)
        level = np.full((4, 1), 0.5, np.float32)
        level[4 - LEARNED[weight] :] = 0.8
        level[4 - SOLVED[weight] :] = 0.96
        made[weight] = replace(
            history,
            reward=level + history.reward * np.float32(0.04),
            value_loss=50 * history.value_loss,
            policy_loss=20 * history.policy_loss - 10,
        )
    return made


def rows(stimulus_set: str = "pwm5") -> list[Row]:
    return [
        Row(weight, history, TaskConfig(stimulus_set=stimulus_set))
        for weight, history in histories().items()
    ]


def stored(folder: Path, *, seed: int = 0) -> Store:
    """A store that holds the experiment."""
    store = Store(folder)
    (shard,) = plan(EXPERIMENT)
    parts = histories(seed).values()
    curves = (np.concatenate([getattr(part, name) for part in parts]) for name in METRICS)
    store.put(shard, History(next(iter(parts)).episode, *curves), [session(0, 1000)])
    return store


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the experiment; not to be changed."""
    folder = tmp_path_factory.mktemp("drawn")
    assert draw(EXPERIMENT, stored(folder / "results"), folder / "figures")
    return folder / "figures"


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendering takes longer than all the rest; what is written says where it is from."""

    def blank(_figure: Figure, _kind: str, source: str) -> bytes:
        return source.encode()

    monkeypatch.setattr(figures, "_rendered", blank)


PICTURES = {f"made-up-{kind}.{end}" for kind in ("notes", "seeds") for end in ("svg", "png")}
TABLES = {f"made-up-{part}.csv" for part in ("notes", "seeds", "seeds-each", "learned")}


# Files


def test_an_experiment_is_two_figures_and_their_tables(drawn: Path) -> None:
    assert set(contents(drawn)) == PICTURES | TABLES
    for name, content in contents(drawn).items():
        kind = "notes" if "notes" in name else "seeds"
        made_by = (
            f"pwm.figures.__main__.{kind}_figure of experiment made-up, engine fused, "
            f"semantics {SEMANTICS}, data "
        ).encode()
        assert made_by in content, name


def test_the_same_data_give_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    assert draw(EXPERIMENT, stored(tmp_path / "results"), tmp_path / "figures")
    assert contents(tmp_path / "figures") == contents(drawn)


@pytest.mark.usefixtures("no_pictures")
def test_what_is_drawn_is_not_drawn_again_until_its_data_change(tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    store = stored(tmp_path / "results")
    assert draw(EXPERIMENT, store, folder)
    first, written = contents(folder), times(folder)
    assert not draw(EXPERIMENT, store, folder)
    assert times(folder) == written

    stored(tmp_path / "results", seed=1)
    assert draw(EXPERIMENT, store, folder)
    second = contents(folder)
    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in first)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("deleted", ["made-up-seeds.svg", "made-up-notes.csv"])
def test_a_file_that_was_deleted_is_written_again(deleted: str, tmp_path: Path) -> None:
    store, folder = stored(tmp_path / "results"), tmp_path / "figures"
    draw(EXPERIMENT, store, folder)
    before = contents(folder)
    (folder / deleted).unlink()
    assert draw(EXPERIMENT, store, folder)
    assert contents(folder) == before


@pytest.mark.usefixtures("no_pictures")
def test_another_choice_of_seeds_is_drawn_again(tmp_path: Path) -> None:
    store, folder = stored(tmp_path / "results"), tmp_path / "figures"
    draw(EXPERIMENT, store, folder)
    before = contents(folder)
    assert draw(replace(EXPERIMENT, notes_seeds=1), store, folder)
    assert contents(folder)["made-up-notes.csv"] != before["made-up-notes.csv"]


@pytest.mark.usefixtures("no_pictures")
def test_a_figures_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, place = tmp_path / "results", tmp_path / "a file"
    store = Store(results)
    experiment = EXPERIMENTS["pwm0"].sized("smoke")
    (shard,) = plan(experiment)
    store.put(shard, made_up(len(shard.runs), 20), [session(0, 200)])
    place.write_bytes(b"a file")
    flags = ["pwm0", "--size", "smoke", "--results", str(results), "--out", str(place)]
    with pytest.raises(SystemExit) as stop:
        figures.main(flags)
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.out == ""
    assert captured.err.startswith(f"error: --out {place}: expected")
    assert captured.err.count("\n") == 1


@pytest.mark.usefixtures("no_pictures")
def test_the_command_draws_what_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "results")
    experiment = EXPERIMENTS["pwm0"].sized("smoke")
    (shard,) = plan(experiment)
    store.put(shard, made_up(len(shard.runs), 20), [session(0, 200)])
    flags = ["pwm0", "--size", "smoke", "--results", str(store.folder)]
    flags += ["--out", str(tmp_path / "figures")]
    figures.main(flags)
    assert capsys.readouterr().out.startswith("1 of 1 ")
    before = times(tmp_path / "figures")
    assert {name.partition("-")[0] for name in before} == {"pwm0"}
    figures.main(flags)
    assert capsys.readouterr().out.startswith("0 of 1 ")
    assert times(tmp_path / "figures") == before


# Tables


def read_table(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Column names and values of a CSV, below the line that names its source."""
    source, header, *lines = path.read_text().splitlines()
    assert source.startswith("# pwm.figures.__main__.")
    return header.split(","), np.array(
        [[float(cell) for cell in line.split(",")] for line in lines]
    )


def assert_table(path: Path, names: Sequence[str], expected: Sequence[Sequence[float]]) -> None:
    header, values = read_table(path)
    assert header == list(names)
    # Five digits are written.
    np.testing.assert_allclose(values, np.array(expected, np.float64), rtol=6e-5)


def quantile(values: Sequence[float], part: float) -> float:
    """A quantile by its definition: linear between the ranked values."""
    ranked = sorted(value for value in values if not np.isnan(value))
    place = part * (len(ranked) - 1)
    below = int(place)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (place - below) * (ranked[above] - ranked[below])


def test_the_table_of_the_notes_figure_is_the_mean_over_the_notes_seeds(drawn: Path) -> None:
    expected = [
        [weight, history.episode[window]]
        + [np.mean([getattr(history, name)[seed, window] for seed in (0, 1)]) for name in COLUMNS]
        for weight, history in histories().items()
        for window in range(WINDOWS)
    ]
    names = ["critic_weight", "episode", "value_loss", "policy_loss", "reward"]
    assert_table(drawn / "made-up-notes.csv", names, expected)


def test_the_table_of_the_seeds_figure_is_the_quartiles_over_all_seeds(drawn: Path) -> None:
    expected = [
        [weight, history.episode[window]]
        + [
            quantile(getattr(history, name)[:, window].tolist(), part)
            for name in COLUMNS
            for part in (0.25, 0.5, 0.75)
        ]
        for weight, history in histories().items()
        for window in range(WINDOWS)
    ]
    parts = [f"{name}_{part}" for name in COLUMNS for part in ("q25", "median", "q75")]
    assert_table(drawn / "made-up-seeds.csv", ["critic_weight", "episode", *parts], expected)


def test_the_table_of_each_seed_is_its_mean_over_100_episodes(drawn: Path) -> None:
    expected = [
        [weight, seed, history.episode[start + 9]]
        + [np.mean(getattr(history, name)[seed, start : start + 10]) for name in COLUMNS]
        for weight, history in histories().items()
        for seed in range(4)
        for start in range(0, WINDOWS, 10)
    ]
    names = ["critic_weight", "seed", "episode", "value_loss", "policy_loss", "reward"]
    assert_table(drawn / "made-up-seeds-each.csv", names, expected)


def test_the_table_of_who_learned_has_counts_and_intervals(drawn: Path) -> None:
    header, values = read_table(drawn / "made-up-learned.csv")
    table = dict(zip(header, values.T, strict=True))
    nan, inf = np.nan, np.inf
    expected: dict[str, list[float]] = {
        "critic_weight": [2, 10],
        "learned": [1, 3],
        "seeds": [4, 4],
        "rate": [0.25, 0.75],
        # Wilson's intervals and that of the difference, worked out by hand.
        "wilson_low": [0.045587, 0.30064],
        "wilson_high": [0.69936, 0.95441],
        "change": [nan, 0.5],
        "change_low": [nan, -0.13549],
        "change_high": [nan, 0.78908],
        "reward": [],
        # At weight 2, fewer than half learn; at weight 10, as soon as 500 episodes were played.
        "episodes": [inf, 500],
        "episodes_low": [-inf, -inf],  # four seeds do not settle it
        "episodes_high": [inf, inf],
        "peak_value_loss": [],
        "solved": [SOLVED[2.0], SOLVED[10.0]],
        "solved_value_loss": [],
    }
    for weight, history in histories().items():
        final = sorted(np.mean(curve[50:]) for curve in history.reward.astype(np.float64))
        expected["reward"].append(float(np.mean(final[1:3])))  # the middle half
        peaks = [max(curve) for curve in history.value_loss.tolist()]
        expected["peak_value_loss"].append(quantile(peaks, 0.5))
        # Of the seeds that solved it, over the last 500 of the 1000 episodes; none at weight 2.
        settled = [np.mean(curve[50:]) for curve in history.value_loss[2:]]
        expected["solved_value_loss"].append(float(np.mean(settled)) if SOLVED[weight] else nan)
        place = len(expected["reward"]) - 1
        assert final[0] - 1e-5 <= table["reward_low"][place] < table["reward"][place]
        assert table["reward"][place] < table["reward_high"][place] <= final[-1] + 1e-5
    assert set(header) == {*expected, "reward_low", "reward_high"}
    for name, column in expected.items():
        np.testing.assert_allclose(table[name], column, rtol=6e-5, err_msg=name)
    for row in rows():
        assert learned(row.history, row.task).sum() == LEARNED[row.critic_weight]


# Panels

Drawing = Callable[[Sequence[Row], str], Figure]


def panels_of(figure: Figure) -> list[list[Axes]]:
    """Axes, row by row."""
    return [figure.axes[start : start + 3] for start in range(0, len(figure.axes), 3)]


def curves(axes: Axes) -> list[Line2D]:
    return [line for line in axes.lines if len(np.atleast_1d(line.get_xdata())) > 2]


def levels(axes: Axes) -> set[float]:
    """Heights of the lines across a panel."""
    across = (np.asarray(line.get_ydata()) for line in axes.lines if line not in curves(axes))
    return {float(heights[0]) for heights in across if heights[0] == heights[-1]}


def assert_close(values: ArrayLike, expected: ArrayLike, *, rtol: float, atol: float) -> None:
    np.testing.assert_allclose(
        np.asarray(values, np.float64), np.asarray(expected, np.float64), rtol=rtol, atol=atol
    )


def assert_curve(line: Line2D, x: ArrayLike, y: ArrayLike) -> None:
    for plotted, expected in ((line.get_xdata(), x), (line.get_ydata(), y)):
        assert_close(plotted, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("drawing", [notes_figure, seeds_figure])
def test_rows_are_weights_and_columns_the_notes_three(drawing: Drawing) -> None:
    figure = drawing(rows(), "the title")
    panels = panels_of(figure)
    assert [len(row) for row in panels] == [3, 3]
    assert figure.get_suptitle() == "the title"
    titles = [axes.get_title() for axes in panels[0]]
    assert titles == ["value loss", "policy loss", "reward"]
    assert [axes.get_title() for axes in panels[1]] == ["", "", ""]
    labels = [row[0].get_ylabel() for row in panels]
    assert labels == ["critic weight 2", "critic weight 10"]
    assert {axes.get_xlabel() for axes in panels[1]} == {"episode (thousands)"}
    tops = [axes.get_position().y0 for axes, _, _ in panels]
    assert tops[0] > tops[1]
    for value_axes, _, reward_axes in panels:
        bottom, top = reward_axes.get_ylim()
        assert bottom == 0.2
        assert 1 <= top <= 1.05
        assert reward_axes.get_yticks().tolist() == [0.2, 0.4, 0.6, 0.8, 1.0]
        assert 33.25 in levels(value_axes)  # the floor if solved, 20 trials


@pytest.mark.parametrize("drawing", [notes_figure, seeds_figure])
@pytest.mark.parametrize(
    ("stimulus_set", "lines"),
    [
        ("pwm5", {1 / 3: "uniform", 0.5: "one-sided", 0.625: "memoryless", 1.0: "solved"}),
        ("pwm0", {1 / 3: "uniform", 0.5: "one-sided", 1.0: "memoryless = solved"}),
    ],
)
def test_the_reward_levels_are_labelled_lines(
    stimulus_set: str, lines: dict[float, str], drawing: Drawing
) -> None:
    for _, _, reward_axes in panels_of(drawing(rows(stimulus_set), "")):
        assert sorted(levels(reward_axes)) == pytest.approx(sorted(lines))
        for level, label in lines.items():
            (text,) = (text for text in reward_axes.texts if text.get_text() == label)
            assert isinstance(text, Annotation)
            assert text.xy[1] == pytest.approx(level)


def test_the_notes_figure_plots_the_mean_over_its_replicas() -> None:
    for row, panels in zip(rows(), panels_of(notes_figure(rows(), "")), strict=True):
        for axes, name in zip(panels, COLUMNS, strict=True):
            (line,) = curves(axes)
            values = getattr(row.history, name)
            means = [np.mean(values[:, window]) for window in range(WINDOWS)]
            assert_curve(line, row.history.episode / 1000, means)
        assert panels[0].get_yscale() == "linear"
        assert panels[0].get_ylim()[0] == 0


def test_the_seeds_figure_plots_median_quartiles_and_each_seed() -> None:
    for row, panels in zip(rows(), panels_of(seeds_figure(rows(), "")), strict=True):
        thousands = row.history.episode / 1000
        for axes, name in zip(panels, COLUMNS, strict=True):
            values = getattr(row.history, name)
            *seeds, middle = curves(axes)
            low, median, high = (
                [quantile(values[:, window].tolist(), part) for window in range(WINDOWS)]
                for part in (0.25, 0.5, 0.75)
            )
            assert_curve(middle, thousands, median)
            assert len(seeds) == 4
            for seed, line in enumerate(seeds):
                assert_curve(line, thousands[9::10], values[seed].reshape(10, 10).mean(axis=1))
                assert (line.get_alpha() or 1) < 0.5
            (band,) = axes.collections
            corners = band.get_paths()[0].vertices
            for edge in (low, high):
                for x, y in zip(thousands, edge, strict=True):
                    assert np.isclose(corners, (x, y), rtol=1e-6, atol=1e-6).all(axis=1).any()
        assert panels[0].get_yscale() == "log"


def test_the_seeds_figure_says_how_many_learned() -> None:
    panels = panels_of(seeds_figure(rows(), ""))
    printed = [text.get_text() for row in panels for axes in row for text in axes.texts]
    counts = [text for text in printed if "learned" in text]
    assert counts == ["learned 1/4  [0.05, 0.70]", "learned 3/4  [0.30, 0.95]"]
    for row, text in zip(panels, counts, strict=True):
        assert text in [item.get_text() for item in row[2].texts]


def test_nothing_is_drawn_beyond_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    # The experiment with the longest title; two of its rows are enough.
    edge = EXPERIMENTS["eplen15-edge"]
    experiment = replace(edge, axes={**edge.axes, "critic_weight": (0.25, 0.5)})
    made: list[Figure] = []

    def kept(figure: Figure, _stem: Path, _source: str) -> None:
        made.append(figure)

    def gathered(_experiment: Experiment, _store: Store) -> list[Row]:
        task = experiment.base.task
        return [Row(weight, made_up(3, 50), task) for weight in experiment.axes["critic_weight"]]

    def written(_path: Path, _content: bytes) -> None:
        pass

    monkeypatch.setattr(figures, "_write", kept)
    monkeypatch.setattr(figures, "rows_of", gathered)
    monkeypatch.setattr(Store, "trained_with", lambda _store, _shards: "the engine")
    monkeypatch.setattr(figures, "write_atomically", written)
    assert draw(experiment, Store(Path("none")), Path("none"))
    assert len(made) == 2
    for figure in made:
        assert figure.get_size_inches()[0] <= 7.0
        width, height = figure.get_size_inches()
        figure.draw_without_rendering()
        drawn = figure.get_tightbbox()
        assert drawn.x0 >= -0.01
        assert drawn.y0 >= -0.01
        assert drawn.x1 <= width + 0.01
        assert drawn.y1 <= height + 0.01


# The figure of success


def test_the_success_figure_plots_fractions_and_intervals() -> None:
    series = {"one": rows()[:1], "two": rows(), "three": rows()[1:]}
    figure = success_figure(series)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == list(series)
    for container, parts in zip(axes.containers, series.values(), strict=True):
        assert isinstance(container, ErrorbarContainer)
        line, _, (bars,) = container.lines
        rates = [success_rate(LEARNED[row.critic_weight], 4) for row in parts]
        weights = [row.critic_weight for row in parts]
        # Curves stand a little beside each other.
        assert_close(line.get_xdata(), weights, rtol=0.05, atol=0)
        assert_close(line.get_ydata(), [rate.rate for rate in rates], rtol=1e-9, atol=0)
        spans = [segment[:, 1] for segment in bars.get_segments()]
        assert_close(spans, [[rate.low, rate.high] for rate in rates], rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("no_pictures")
def test_the_success_figure_is_of_what_is_stored(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    used = [name for names in figures.SUCCESS_SERIES.values() for name in names]
    for number, name in enumerate(used):
        (shard,) = plan(EXPERIMENTS[name].sized("smoke"))
        history = made_up(len(shard.runs), 20, seed=number)
        # As many of a weight's three seeds learned as its place in the grid.
        places = [index // 3 > index % 3 for index in range(len(shard.runs))]
        reward = np.repeat(np.where(places, 0.95, 0.5)[:, None], 20, axis=1).astype(np.float32)
        store.put(shard, replace(history, reward=reward), [session(0, 200)])
    folder = tmp_path / "figures"
    assert done(success_drawing("smoke", store, folder))
    assert set(contents(folder)) == {"success.csv", "success.svg", "success.png"}
    source, header, *lines = (folder / "success.csv").read_text().splitlines()
    assert source.startswith("# pwm.figures.__main__.success_figure of experiments ")
    assert header == "series,critic_weight,learned,seeds,rate,wilson_low,wilson_high"
    expected = [
        f'"{title}",{weight:g},{place},3,'
        for title, names in figures.SUCCESS_SERIES.items()
        for name in names
        for place, weight in enumerate(EXPERIMENTS[name].axes["critic_weight"])
    ]
    assert len(lines) == len(expected)
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(start)
    assert not done(success_drawing("smoke", store, folder))


# Curves of pwm.core.trainer


@pytest.mark.parametrize("seeds", [(0,), (3, 0, 1)])
def test_the_curves_of_a_training_are_drawn(
    seeds: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    rendered = figures._rendered

    def watched(figure: Figure, kind: str, source: str) -> bytes:
        made.append(figure)
        return rendered(figure, kind, source)

    monkeypatch.setattr(figures, "_rendered", watched)
    runs = [TrainConfig(seed=seed, critic_weight=3) for seed in seeds]
    training_curves(runs, made_up(len(seeds), 30), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    (figure,) = made
    (panels,) = panels_of(figure)
    assert panels[0].get_ylabel() == "critic weight 3"
    for part in ("learning rate 0.005", "pwm5", "seeds: " + " ".join(map(str, seeds))):
        assert part in figure.get_suptitle()
    assert len(curves(panels[2])) == (1 if len(seeds) == 1 else len(seeds) + 1)


@pytest.mark.parametrize(
    ("run", "has_floor"),
    [
        (TrainConfig(), True),
        (TrainConfig(loss=LossConfig(baseline="detached")), True),
        (TrainConfig(agent=AgentConfig(carry_state=True)), False),
        (TrainConfig(loss=LossConfig(discount=0.9)), False),
        (TrainConfig(task=TaskConfig(timeout=True)), False),
        (TrainConfig(task=TaskConfig(hold_reward=0.1)), False),
    ],
)
def test_the_floor_is_drawn_only_where_it_holds(
    run: TrainConfig, has_floor: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def watched(figure: Figure, _kind: str, _source: str) -> bytes:
        made.append(figure)
        return b""

    monkeypatch.setattr(figures, "_rendered", watched)
    training_curves([run], made_up(1, 30), tmp_path / "curves.png")
    ((panels,),) = [panels_of(figure) for figure in made]
    labels = [text.get_text() for text in panels[0].texts]
    assert any(label.startswith("floor") for label in labels) == has_floor


@pytest.mark.parametrize("windows", [1, 11])
def test_a_training_of_a_few_windows_is_drawn(windows: int, tmp_path: Path) -> None:
    runs = [TrainConfig(seed=seed) for seed in (0, 1)]
    training_curves(runs, made_up(2, windows), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("replicas", "first"), [(3, 5), (4, 0)], ids=["most, late", "all"])
def test_what_diverged_is_drawn_without_complaint(replicas: int, first: int, value: float) -> None:
    history = made_up(4, 30)
    for name in ("value_loss", "policy_loss", "entropy", "critic_bias"):
        getattr(history, name)[:replicas, first:] = value
    for draw_panels in (notes_figure, seeds_figure):
        figure = draw_panels([Row(3.0, history, TaskConfig())], "")
        figure.draw_without_rendering()  # a warning would be an error
        assert np.isfinite(figure.get_tightbbox().bounds).all()


# Quartiles and coarse curves


@given(arrays(np.float32, (5, 3), elements=st.floats(-1e6, 1e6, width=32)))
def test_quartiles_are_those_of_each_window(values: NDArray[np.float32]) -> None:
    expected = [
        [quantile(values[:, window].tolist(), part) for window in range(3)]
        for part in (0.25, 0.5, 0.75)
    ]
    np.testing.assert_allclose(quartiles(values), expected, rtol=1e-12, atol=1e-9)


def test_quartiles_leave_out_what_diverged() -> None:
    values = np.array([[1, np.nan], [2, np.nan], [3, np.nan], [np.nan, np.nan]], np.float32)
    result = quartiles(values)
    assert result[:, 0].tolist() == [1.5, 2.0, 2.5]
    assert np.isnan(result[:, 1]).all()


@given(st.integers(1, 4), st.integers(1, 40), st.integers(1, 12))
def test_coarse_curves_are_means_of_groups(replicas: int, windows: int, group: int) -> None:
    history = made_up(replicas, windows)
    coarse = coarsened(history, group)
    group = min(group, windows)
    starts = range(0, windows - group + 1, group)
    assert coarse.episode.tolist() == [history.episode[start + group - 1] for start in starts]
    for name in METRICS:
        fine = getattr(history, name)
        expected = [
            [np.mean(fine[replica, start : start + group]) for start in starts]
            for replica in range(replicas)
        ]
        np.testing.assert_allclose(getattr(coarse, name), expected, rtol=1e-5)
    if group == 1:
        assert same(coarse, history)
