"""`critic_start` shifts the value head's bias; all other parameters start as drawn."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import log
from typing import Any, get_args

import pytest
import torch

from pwm.core.agent import VALUE, AgentConfig
from pwm.core.errors import InputError
from pwm.core.leak import critic_bias
from pwm.core.task import TaskConfig
from pwm.runs.engines import EngineName, make_trainer
from pwm.training.config import TrainConfig
from pwm.training.loss_config import Balance, LossConfig, Returns
from pwm.training.parameters import Layout
from pwm.training.start import critic_start, guessing_return, initial_parameters

RUN = TrainConfig(task=TaskConfig(episode_length=15), agent=AgentConfig(hidden_size=5))
DETACHED = LossConfig(baseline="detached")


@pytest.mark.parametrize("separate_trunks", [False, True])
@pytest.mark.parametrize("start", [0.0, 1.5, -2.0])
def test_a_number_is_added_to_the_value_heads_bias_alone(
    start: float, separate_trunks: bool, engine: EngineName
) -> None:
    config = replace(RUN, agent=AgentConfig(hidden_size=5, separate_trunks=separate_trunks))
    runs = tuple(replace(config, critic_start=start, seed=seed) for seed in (0, 1))
    layout = Layout(config.agent, config.task.num_stimuli)
    drawn = layout.initial_parameters([0, 1])
    parameters = make_trainer(runs, engine).parameters.detach()
    expected = layout.named(drawn.clone())
    expected["head_bias"][:, -1, :, VALUE] += start
    for name, part in layout.named(parameters).items():
        assert torch.equal(part, expected[name]), name
    assert ((parameters != drawn).sum(dim=1) == (start != 0)).all()


def test_the_default_changes_no_bit_of_published_runs() -> None:
    assert RUN.critic_start == 0
    drawn = Layout(RUN.agent, RUN.task.num_stimuli).initial_parameters([3])
    start = initial_parameters([replace(RUN, seed=3)])
    assert start.numpy().tobytes() == drawn.numpy().tobytes()


@pytest.mark.parametrize(
    ("steps", "mean"), [(15, 1.5), (60, 5.25), (120, 10.25), (17, 1.5), (3, 0.5)]
)
def test_the_mean_return_at_discount_one_is_a_quarter_of_the_trials_and_one(
    steps: int, mean: float
) -> None:
    # (N + 1) / 4 of N trials; 17 steps hold 5 whole trials.
    task = TaskConfig(episode_length=steps)
    assert guessing_return(TrainConfig(task=task)) == mean == (task.num_trials + 1) / 4
    assert guessing_return(TrainConfig(task=replace(task, reward=3.0))) == 3 * mean


def test_the_mean_return_with_a_discount_worked_out_by_hand() -> None:
    # Two trials of 2 steps, expected rewards 0, 1/2, 0, 1/2, discount 1/2: the returns are
    # 1/4 + 1/16, 1/2 + 1/8, 1/4 and 1/2, on average 27/64.
    task = TaskConfig(stimulus_set="pwm0", trial_length=2, episode_length=4)
    for discount, mean in ((0.5, 27 / 64), (0.0, 1 / 4)):  # half of the steps earn 1/2
        assert guessing_return(TrainConfig(task=task, loss=LossConfig(discount=discount))) == mean
    # To the end of the trial: 1/4, 1/2, 1/4, 1/2.
    loss = LossConfig(discount=0.5, return_horizon="trial")
    assert guessing_return(TrainConfig(task=task, loss=loss)) == 3 / 8


def test_the_mean_start_is_the_mean_return() -> None:
    for baseline in ("attached", "detached"):
        loss = LossConfig(baseline=baseline, discount=0.9)
        run = replace(RUN, loss=loss, critic_start="mean", critic_weight=0.0)
        assert critic_start(run) == guessing_return(run)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_fixed_point_adds_the_leaks_bias(reduction: Any) -> None:
    loss = LossConfig(policy_reduction=reduction)
    run = replace(RUN, loss=loss, critic_start="fixed-point", critic_weight=3.0)
    entropy = (2 * log(3) + log(2)) / 3  # two steps uniform over 3 actions, one over 2
    bias = critic_bias(15, entropy, 3.0, reduction)
    assert critic_start(run) == pytest.approx(1.5 + bias, rel=1e-12)
    assert bias > 0.1
    centred = replace(run, loss=replace(loss, returns="centred"))
    assert critic_start(centred) == pytest.approx(bias, rel=1e-12)


def test_at_the_fixed_point_each_replica_has_its_own_start(engine: EngineName) -> None:
    weights = (0.5, 3.0, 20.0)
    runs = [
        replace(RUN, critic_start="fixed-point", critic_weight=weight, seed=4) for weight in weights
    ]
    together = make_trainer(runs, engine).parameters.detach()
    for replica, run in enumerate(runs):
        assert torch.equal(together[replica], make_trainer([run], engine).parameters.detach()[0])
    starts = Layout(RUN.agent, RUN.task.num_stimuli).value_head(together)[1]
    differences = (starts[:2] - starts[1:]).tolist()
    expected = [critic_start(one) - critic_start(other) for one, other in pairwise(runs)]
    assert differences == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "loss",
    [DETACHED, LossConfig(baseline="attached_trunk"), LossConfig(lost_gradients="values")],
)
def test_without_a_leak_into_the_head_the_fixed_point_is_the_mean(loss: LossConfig) -> None:
    for weight in (0.0, 3.0):
        run = replace(RUN, loss=loss, critic_weight=weight, critic_start="fixed-point")
        assert critic_start(run) == 1.5


def test_with_a_leak_into_the_head_alone_the_fixed_point_is_as_attached() -> None:
    run = replace(RUN, critic_weight=3.0, critic_start="fixed-point")
    of_head = replace(run, loss=replace(run.loss, baseline="attached_head"))
    assert critic_start(of_head) == critic_start(run) > 1.6


@pytest.mark.parametrize("start", ["mean", "fixed-point"])
@pytest.mark.parametrize("returns", [name for name in get_args(Returns) if name != "raw"])
def test_the_mean_of_centred_returns_is_zero(returns: Returns, start: Any) -> None:
    run = replace(RUN, loss=replace(DETACHED, returns=returns), critic_start=start)
    assert critic_start(run) == 0


@pytest.mark.parametrize("balance", get_args(Balance))
def test_every_rule_starts_at_the_mean_of_raw_returns(balance: Balance, engine: EngineName) -> None:
    # PopArt too: it starts unscaled, and keeps its outputs in reward.
    run = replace(RUN, loss=replace(DETACHED, balance=balance), critic_start="mean")
    assert critic_start(run) == 1.5
    trainer = make_trainer([replace(run, learning_rate=1e-30, log_every=1)], engine)
    trainer.advance(3)
    assert abs(trainer.history().critic_bias).max() < 1.6  # the values stay near 1.5


def test_a_fixed_point_without_a_value_loss_is_refused(engine: EngineName) -> None:
    run = replace(RUN, critic_weight=0.0, critic_start="fixed-point")
    with pytest.raises(InputError, match=r"--critic-weight 0\.0: expected a number above 0 with"):
        make_trainer([run], engine)
    with pytest.raises(InputError, match="--critic-weight 1e-39: expected a larger number with"):
        make_trainer([replace(run, critic_weight=1e-39)], engine)


def test_a_fixed_point_of_returns_with_values_is_refused(engine: EngineName) -> None:
    run = replace(RUN, loss=LossConfig(trace_decay=0.5), critic_start="fixed-point")
    with pytest.raises(InputError, match=r"--trace-decay 0\.5: expected 1 with critic_start fixed"):
        make_trainer([run], engine)
    detached = replace(run, loss=replace(DETACHED, trace_decay=0.5))
    assert critic_start(detached) == 1.5


@pytest.mark.parametrize(
    "start", ["median", "", True, None, float("nan"), float("inf"), -1e39, (1.0,)]
)
def test_errors_name_the_start(start: Any) -> None:
    with pytest.raises(InputError, match="mean or fixed-point"):
        TrainConfig(critic_start=start)
