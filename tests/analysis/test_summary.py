"""The summary of a run in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from pwm.analysis.summary import predicted_bias, summary
from pwm.core.task import TaskConfig
from pwm.training.config import TrainConfig
from pwm.training.history import DIAGNOSTICS, METRICS, History
from pwm.training.loss_config import LossConfig
from tests.support.histories import made_up

RUN = TrainConfig(num_episodes=1000, log_every=100)
EPISODE = np.arange(100, 1001, 100)


def history(
    reward: list[float], episode: np.ndarray = EPISODE, **curves: float | list[float]
) -> History:
    """History of constant curves, each given as one number per replica or one for all.

    It has diagnostics if any of them is given.
    """
    names = METRICS + (DIAGNOSTICS if set(curves) & set(DIAGNOSTICS) else ())
    values: Mapping[str, float | list[float]] = {"reward": reward, **curves}
    shape = (len(reward), len(episode))
    return History.of_curves(
        episode,
        {
            name: np.broadcast_to(
                np.reshape(np.array(values.get(name, 0.0), np.float32), (-1, 1)), shape
            ).copy()
            for name in names
        },
    )


def test_it_counts_who_learned_at_each_weight() -> None:
    runs = [
        replace(RUN, critic_weight=weight, seed=seed) for weight in (1, 5) for seed in (0, 1, 2)
    ]
    lines = summary(runs, history([0.5, 0.6, 0.5, 0.9, 0.95, 0.55])).splitlines()
    assert lines[0] == "Means over the last 500 episodes, medians over seeds:"
    assert lines[1] == "critic weight 1: learned 0 of 3; reward 0.500 (0.500 to 0.600)"
    assert lines[3] == "critic weight 5: learned 2 of 3; reward 0.900 (0.550 to 0.950)"
    assert lines[-1] == (
        "reward of reference policies: uniform 0.333, one-sided 0.5, memoryless 0.625, solved 1"
    )
    assert len(lines) == 6


def test_it_speaks_of_one_seed_and_of_a_short_run_as_they_are() -> None:
    short = history([0.75], np.array([20, 30]))
    lines = summary([replace(RUN, task=TaskConfig(stimulus_set="pwm0"))], short).splitlines()
    assert lines[0] == "Means over the last 30 episodes:"
    assert lines[1] == "critic weight 5: learned 1 of 1; reward 0.750"
    assert lines[-1].endswith("one-sided 0.5, memoryless 1, solved 1")


def test_it_means_the_last_500_episodes() -> None:
    logged = history([0.5])
    logged.critic_bias[:, :5] = 100
    logged.critic_bias[:, 5:] = 3
    assert "critic bias 3;" in summary([RUN], logged)


def test_the_bias_stands_next_to_its_prediction() -> None:
    # 60 steps, entropy 0.5 nats, weight 5: 1 * 60 * 0.5 / (2 * 5) = 3
    logged = history([0.5], entropy=0.5, critic_bias=2.875)
    assert summary([RUN], logged).splitlines()[2] == (
        "  critic bias 2.88; predicted cTH/2w = 3 at entropy H = 0.5 nats"
    )
    detached = replace(RUN, loss=LossConfig(baseline="detached"))
    assert "  critic bias 2.88; predicted 0\n" in summary([detached], logged)
    partly = replace(RUN, loss=LossConfig(baseline="attached_head"))
    assert "  critic bias 2.88; no prediction for this setting\n" in summary([partly], logged)


@pytest.mark.parametrize(
    ("run", "predicted"),
    [
        (RUN, 6.0),
        (replace(RUN, critic_weight=1.0), 30.0),
        (replace(RUN, task=TaskConfig(episode_length=32)), 3.0),  # 10 whole trials: 30 steps
        (replace(RUN, loss=LossConfig(policy_reduction="mean")), 0.1),
        (replace(RUN, loss=LossConfig(baseline="detached")), 0.0),
        (replace(RUN, loss=LossConfig(baseline="attached_trunk")), None),
        (replace(RUN, loss=LossConfig(lost_gradients="values")), None),
        (replace(RUN, loss=LossConfig(baseline="detached", lost_gradients="values")), None),
        (replace(RUN, critic_weight=0.0), None),
        (replace(RUN, loss=LossConfig(returns="centred", balance="equal")), 6.0),
        (replace(RUN, loss=LossConfig(balance="per-loss")), None),
        (replace(RUN, loss=LossConfig(returns="standardised")), None),
        (replace(RUN, loss=LossConfig(returns="standardised", baseline="detached")), 0.0),
        (replace(RUN, loss=LossConfig(normalise_advantages=True)), None),
        (replace(RUN, loss=LossConfig(value_loss="huber")), None),
        (replace(RUN, loss=LossConfig(value_loss="huber", baseline="detached")), None),
    ],
)
def test_the_predicted_bias_is_cth_over_2w(run: TrainConfig, predicted: float | None) -> None:
    found = predicted_bias(run, entropy=1.0)
    assert found == (None if predicted is None else pytest.approx(predicted))


def gradients(logged: History) -> list[str]:
    """Lines of a run's summary that describe the gradients."""
    return summary([RUN], logged).splitlines()[3:-1]


def test_diagnostics_are_put_in_words() -> None:
    logged = history(
        [0.5], policy_norm=1.0, critic_norm=3.0, leak_norm=0.5, total_norm=2.0,
        signal_to_noise=0.025, explained_variance=-0.25,
    )  # fmt: skip
    assert gradients(logged) == [
        "  policy: 25.0% of the trunk's squared gradient; norm of the critic's part 3 times the "
        "policy's, of the leak 0.5 times",
        "  medians over probes: signal-to-noise ratio of the policy's gradient 0.025; explained "
        "variance of the critic -0.25",
    ]
    logged.diagnostics["policy_norm"][:, :5] = 100  # before the last 500 episodes
    assert gradients(logged)[0].startswith("  policy: 25.0% of")
    assert gradients(history([0.5])) == []


@pytest.mark.parametrize("unknown", [-math.inf, math.nan])
def test_an_explained_variance_that_is_not_a_number_is_undefined(unknown: float) -> None:
    logged = history([0.5], policy_norm=1.0, total_norm=1.0, explained_variance=unknown)
    _, line = gradients(logged)
    assert line.endswith("explained variance of the critic undefined")
    logged.diagnostics["explained_variance"][0, -1] = 0.75  # in one window it is defined
    _, line = gradients(logged)
    assert line.endswith("explained variance of the critic 0.75")


def test_a_policy_without_a_gradient_has_no_ratios() -> None:
    share, _ = gradients(history([0.5], critic_norm=1.0, total_norm=1.0))
    assert "policy: 0.0% of" in share
    assert "part undefined times the policy's, of the leak undefined times" in share


def test_probes_at_chosen_episodes_are_put_in_words() -> None:
    logged = made_up(3, 10, log_every=100, probe_at=(0, 250, 900))
    runs = [replace(RUN, seed=seed) for seed in range(3)]
    for curve in logged.diagnostics.values():
        curve[:] = 0.25
    logged.diagnostics["saturated"][:] = np.array([0, 0.46, 0.44])
    logged.diagnostics["trace"][:] = np.nan
    logged.diagnostics["activity"][:] = np.array([[0, 9, 1], [0.1, 0.53, 1], [0.2, 0.1, 1]])
    gradients, _, first, most, last = summary(runs, logged).splitlines()[3:-1]
    assert gradients.startswith("  policy: 100.0% of")  # after 900 episodes
    assert first == (
        "  after 0 episodes: mean |h| 0.1, 0% of units saturated; norm of the value weights 0.25; "
        "trace of the first stimulus undefined; critic 0.25 from its fixed point"
    )
    assert most.startswith("  after 250 episodes: mean |h| 0.53, 46% of units saturated;")
    assert last.startswith("  after 900 episodes: mean |h| 1, 44% of units saturated;")
    early = made_up(3, 10, log_every=100, probe_at=(0,))
    assert len(summary(runs, early).splitlines()[3:-1]) == 1


def test_a_window_that_is_not_finished_has_no_diagnostics() -> None:
    logged = history([0.5], policy_norm=1.0, total_norm=2.0)
    for curve in logged.diagnostics.values():
        curve[:, -1] = np.nan
    share, _ = gradients(logged)
    assert "policy: 25.0% of" in share
    for curve in logged.diagnostics.values():
        curve[:] = np.nan
    assert gradients(logged) == ["  gradients not probed, as no window was finished"]


def test_a_finished_window_before_the_last_500_episodes_is_not_denied() -> None:
    logged = history([0.5], np.array([1000, 1500]), policy_norm=1.0, total_norm=2.0)
    for curve in logged.diagnostics.values():
        curve[:, -1] = np.nan
    assert gradients(logged) == []
