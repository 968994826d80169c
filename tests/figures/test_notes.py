"""The notes' figures: their curves, labels and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from pwm.analysis.outcomes import Outcomes
from pwm.core.agent import AgentConfig
from pwm.core.task import TaskConfig
from pwm.experiments import EXPERIMENTS
from pwm.figures.notes import PANELS, Row, every_seed, mean_of_few_seeds, notes_figure, seeds_figure
from pwm.figures.render import STYLE
from pwm.runs.shards import plan
from pwm.runs.storage import Store
from pwm.training.config import TrainConfig
from pwm.training.loss_config import LossConfig
from tests.figures.made_up import (
    WINDOWS,
    assert_close,
    assert_curve,
    curves_of,
    histories,
    levels_of,
    panels_of,
    quartiles_by_hand,
    rows,
    stored_runs,
)
from tests.support.histories import made_up, session

Drawing = Callable[[Sequence[Row], str], Figure]


@pytest.mark.parametrize("drawing", [notes_figure, seeds_figure])
def test_rows_are_weights_and_columns_the_three_curves(drawing: Drawing) -> None:
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
        assert 33.25 in levels_of(value_axes)  # the floor if solved, 20 trials


@pytest.mark.parametrize("drawing", [notes_figure, seeds_figure])
@pytest.mark.parametrize(
    ("stimulus_set", "lines"),
    [
        ("pwm5", {1 / 3: "uniform", 0.5: "one-sided", 0.625: "memoryless", 1.0: "solved"}),
        ("pwm0", {1 / 3: "uniform", 0.5: "one-sided", 1.0: "memoryless = solved"}),
    ],
)
def test_reward_levels_are_labelled_lines(
    stimulus_set: str, lines: dict[float, str], drawing: Drawing
) -> None:
    for _, _, reward_axes in panels_of(drawing(rows(stimulus_set), "")):
        assert sorted(levels_of(reward_axes)) == pytest.approx(sorted(lines))
        for level, label in lines.items():
            (text,) = (text for text in reward_axes.texts if text.get_text() == label)
            assert isinstance(text, Annotation)
            assert text.xy[1] == pytest.approx(level)


def test_the_notes_figure_plots_the_mean_over_replicas() -> None:
    for row, panels in zip(rows(), panels_of(notes_figure(rows(), "")), strict=True):
        for axes, name in zip(panels, PANELS, strict=True):
            (line,) = curves_of(axes)
            values = row.history.curves[name]
            means = [np.mean(values[:, window]) for window in range(WINDOWS)]
            assert_curve(line, row.history.episode / 1000, means)
        assert panels[0].get_yscale() == "linear"
        assert panels[0].get_ylim()[0] == 0


def test_the_seeds_figure_plots_median_quartiles_and_each_seed() -> None:
    for row, panels in zip(rows(), panels_of(seeds_figure(rows(), "")), strict=True):
        thousands = row.history.episode[1::2] / 1000
        for axes, name in zip(panels, PANELS, strict=True):
            values = row.history.curves[name].reshape(4, -1, 2).mean(axis=2)
            *seeds, middle = curves_of(axes)
            low, median, high = quartiles_by_hand(values)
            assert_curve(middle, thousands, median)
            assert len(seeds) == 4
            for seed, line in enumerate(seeds):
                assert_curve(line, thousands, values[seed])
                assert (line.get_alpha() or 1) < 0.5
            (band,) = axes.collections
            corners = band.get_paths()[0].vertices
            for edge in (low, high):
                for x, y in zip(thousands, edge, strict=True):
                    assert np.isclose(corners, (x, y), rtol=1e-6, atol=1e-6).all(axis=1).any()
        assert panels[0].get_yscale() == "log"


def test_the_seeds_figure_prints_how_many_learned() -> None:
    panels = panels_of(seeds_figure(rows(), ""))
    printed = [text.get_text() for row in panels for axes in row for text in axes.texts]
    counts = [text for text in printed if "learned" in text]
    assert counts == ["learned 1/4  [0.05, 0.70]", "learned 3/4  [0.30, 0.95]"]
    for row, text in zip(panels, counts, strict=True):
        assert text in [item.get_text() for item in row[2].texts]


def test_only_the_first_24_seeds_have_a_faint_curve() -> None:
    row = Row(run=TrainConfig(), history=made_up(30, 50))
    ((panels),) = panels_of(seeds_figure([row], ""))
    *faint, _median = curves_of(panels[2])
    firsts = [np.asarray(line.get_ydata())[0] for line in faint]
    assert firsts == row.history.reward[:24, 0].tolist()


@pytest.mark.parametrize(
    ("run", "floor"),
    [
        (TrainConfig(), 33.25),
        (TrainConfig(loss=LossConfig(baseline="detached")), 33.25),
        (TrainConfig(task=TaskConfig(reward=2)), 133),
        (TrainConfig(agent=AgentConfig(carry_state=True)), None),
        (TrainConfig(loss=LossConfig(discount=0.9)), None),
        (TrainConfig(loss=LossConfig(trace_decay=0.9)), None),
        (TrainConfig(loss=LossConfig(return_horizon="trial")), None),
        (TrainConfig(task=TaskConfig(timeout=True)), None),
        (TrainConfig(task=TaskConfig(hold_reward=0.1)), None),
    ],
)
def test_the_floor_is_drawn_only_where_it_is_known(run: TrainConfig, floor: float | None) -> None:
    row = Row(run=run, history=made_up(1, 30))
    assert row.floor == floor
    (panels,) = panels_of(notes_figure([row], ""))
    labels = [text.get_text() for text in panels[0].texts]
    assert any(label.startswith("floor") for label in labels) == (floor is not None)


def test_a_few_seeds_are_averaged_as_in_the_notes(tmp_path: Path) -> None:
    figure, (header, *table) = mean_of_few_seeds(stored_runs(tmp_path), 2)
    assert header == ("critic_weight", "episode", "value_loss", "policy_loss", "reward")
    expected = [
        [weight, history.episode[window]]
        + [np.mean(history.curves[name][:2, window]) for name in PANELS]
        for weight, history in histories().items()
        for window in range(WINDOWS)
    ]
    assert_close(table, expected, rtol=1e-6)
    (line,) = curves_of(figure.axes[0])
    assert_curve(line, *np.array(expected)[:WINDOWS, 1:3].T / [[1000], [1]])
    title = "pwm5, 60 steps per episode, learning rate 0.005: mean of 2 seeds, as in the notes"
    assert figure.get_suptitle() == title


def test_all_seeds_are_summed_up_by_quartiles(tmp_path: Path) -> None:
    figure, (header, *table) = every_seed(stored_runs(tmp_path))
    parts = (f"{name}_{part}" for name in PANELS for part in ("q25", "median", "q75"))
    assert header == ("critic_weight", "episode", *parts)
    expected: list[list[float]] = []
    for weight, history in histories().items():
        coarse = [history.curves[name].reshape(4, -1, 2).mean(axis=2) for name in PANELS]
        columns = np.concatenate([quartiles_by_hand(curves) for curves in coarse])
        expected += [
            [weight, episode, *values]
            for episode, values in zip(history.episode[1::2], columns.T, strict=True)
        ]
    assert_close(table, expected, rtol=1e-6)
    assert "\n4 seeds: " in figure.get_suptitle()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("replicas", "first"), [(3, 5), (4, 0)], ids=["most, late", "all"])
@pytest.mark.parametrize("drawing", [notes_figure, seeds_figure])
def test_replicas_that_diverged_are_drawn_without_a_warning(
    replicas: int, first: int, value: float, drawing: Drawing
) -> None:
    history = made_up(4, 30)
    for name in ("value_loss", "policy_loss", "entropy", "critic_bias"):
        history.curves[name][:replicas, first:] = value
    figure = drawing([Row(run=TrainConfig(), history=history)], "")
    figure.draw_without_rendering()
    assert np.isfinite(figure.get_tightbbox().bounds).all()


def test_nothing_is_drawn_beyond_the_page(tmp_path: Path) -> None:
    # The experiment with the longest title; two rows are enough.
    edge = EXPERIMENTS["eplen15-edge"]
    base = replace(edge.base, num_episodes=500)
    experiment = replace(edge, base=base, axes={**edge.axes, "critic_weight": (0.25, 0.5)})
    store = Store(tmp_path)
    for shard in plan(experiment):
        store.put(shard, made_up(len(shard.runs), 50), [session(1, 500)])
    runs = Outcomes.of(experiment, store)
    with mpl.rc_context(fname=STYLE):
        figures = [mean_of_few_seeds(runs, 3)[0], every_seed(runs)[0]]
    for figure in figures:
        width, height = figure.get_size_inches()
        assert width <= 7.0
        figure.draw_without_rendering()
        drawn = figure.get_tightbbox()
        assert drawn.x0 >= -0.01
        assert drawn.y0 >= -0.01
        assert drawn.x1 <= width + 0.01
        assert drawn.y1 <= height + 0.01
