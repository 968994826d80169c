"""The figure of a training run: title, panels, legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from pwm.core.task import TaskConfig
from pwm.figures.training import training_curves, training_figure
from pwm.training.config import TrainConfig
from pwm.training.loss_config import LossConfig
from tests.support.histories import made_up

RUN = TrainConfig(num_episodes=300)


def runs(weights: Sequence[float], seeds: int) -> list[TrainConfig]:
    return [
        replace(RUN, critic_weight=weight, seed=seed) for weight in weights for seed in range(seeds)
    ]


def drawn(weights: Sequence[float], seeds: int, *, diagnosed: bool = False) -> Figure:
    history = made_up(len(weights) * seeds, 30, diagnosed=diagnosed)
    return training_figure(runs(weights, seeds), history)


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for part in figure.legends for text in part.get_texts()]


def test_there_is_a_row_of_panels_for_each_weight() -> None:
    figure = drawn([1, 3, 10], 2)
    assert len(figure.axes) == 9
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert [label for label in labels if label] == [
        "critic weight 1", "critic weight 3", "critic weight 10"
    ]  # fmt: skip


def test_each_row_shows_the_replicas_of_its_weight() -> None:
    history = made_up(4, 30)
    figure = training_figure(runs([1, 3], 2), history)
    for row, replicas in enumerate(([0, 1], [2, 3])):
        lines = [np.asarray(line.get_ydata()) for line in figure.axes[3 * row + 2].lines]
        for replica in replicas:
            assert any(np.array_equal(line, history.reward[replica]) for line in lines)
        median = history.reward[replicas].mean(axis=0)  # the median of two seeds
        assert any(line.shape == median.shape and np.allclose(line, median) for line in lines)


def test_the_legend_says_what_is_black_grey_and_faint() -> None:
    assert legend(drawn([5], 3)) == ["median over seeds", "quartiles", "single seeds"]
    assert legend(drawn([5], 1)) == []


def test_diagnosed_runs_have_a_fourth_panel() -> None:
    history = made_up(4, 30, diagnosed=True)
    history.diagnostics["total_norm"][:, 3] = 0  # has no share
    figure = training_figure(runs([1, 3], 2), history)
    assert len(figure.axes) == 8
    assert legend(figure)[3:] == [f"{part} (mean)" for part in ("policy", "critic", "leak")]
    total = history.diagnostics["total_norm"][2:] ** 2
    for line, part in zip(figure.axes[7].lines, ("policy", "critic", "leak"), strict=False):
        share = np.asarray(line.get_ydata())
        assert np.isnan(share[3])
        with np.errstate(divide="ignore"):
            expected = (history.diagnostics[f"{part}_norm"][2:] ** 2 / total).mean(axis=0)
        assert np.allclose(np.delete(share, 3), np.delete(expected, 3))
    places = [axes.get_subplotspec() for axes in figure.axes]
    columns = [place.colspan.start for place in places if place is not None]
    assert columns == [0, 1, 2, 0, 1, 2, 3, 3]
    assert len(drawn([1, 3], 1, diagnosed=True).axes) == 8


def test_runs_probed_at_chosen_episodes_have_a_fifth_panel() -> None:
    history = made_up(4, 30, probe_at=(0, 1, 250))
    figure = training_figure(runs([1, 3], 2), history)
    assert len(figure.axes) == 10
    assert legend(figure)[6:] == ["|h| (mean)", "saturated units (mean)"]
    for line, name in zip(figure.axes[9].lines, ("activity", "saturated"), strict=True):
        assert np.array_equal(line.get_xdata(), [0, 1, 250])
        assert np.array_equal(line.get_ydata(), history.diagnostics[name][2:].mean(axis=0))
    places = [axes.get_subplotspec() for axes in figure.axes]
    columns = [place.colspan.start for place in places if place is not None]
    assert columns == [0, 1, 2, 0, 1, 2, 3, 4, 3, 4]


def test_the_title_tells_settings_apart() -> None:
    assert drawn([1, 3], 2).get_suptitle() == (
        "pwm5, 3 steps per trial, 60 per episode, attached baseline\n"
        "critic weights 1, 3; learning rate 0.005; 2 seeds"
    )
    other = replace(
        RUN,
        task=TaskConfig(stimulus_set="pwm0", trial_length=4, episode_length=20),
        loss=LossConfig(baseline="detached", policy_reduction="mean", discount=0.9),
        learning_rate=0.01,
        seed=7,
    )
    assert training_figure([other], made_up(1, 30)).get_suptitle() == (
        "pwm0, 4 steps per trial, 20 per episode, detached baseline, "
        "mean policy loss, discount 0.9\n"
        "critic weight 5; learning rate 0.01; seed 7"
    )
    loss = LossConfig(returns="centred", balance="per-loss")
    ruled = replace(RUN, loss=loss, critic_start="mean")
    assert training_figure([ruled], made_up(1, 30)).get_suptitle() == (
        "pwm5, 3 steps per trial, 60 per episode, attached baseline, centred returns, "
        "per-loss, critic from mean\n"
        "critic weight 5; learning rate 0.005; seed 0"
    )


@pytest.mark.parametrize("windows", [1, 2, 250])
@pytest.mark.parametrize("probes", [{}, {"diagnosed": True}, {"probe_at": (0, 1)}])
def test_histories_of_any_length_are_written_as_png(
    windows: int, probes: dict[str, Any], tmp_path: Path
) -> None:
    history = made_up(4, windows, **probes)
    training_curves(runs([1, 3], 2), history, tmp_path / "curves.png")
    written = (tmp_path / "curves.png").read_bytes()
    assert written.startswith(b"\x89PNG")
    assert b"pwm.figures.training.training_curves" in written
