"""The law of the climb against closed forms, simulation and short training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pwm.analysis.climb import (
    SMOOTHING,
    Optimiser,
    Setting,
    Stepper,
    climb,
    climb_slowdown,
    critic_share,
    hidden_states,
    mean_return_variance,
    score_variance,
)
from pwm.analysis.targets import Targets
from pwm.analysis.theory import noise_weight, slowdown
from pwm.core.agent import VALUE, AgentConfig, unroll
from pwm.core.errors import InputError
from pwm.core.leak import critic_bias, start_entropy
from pwm.core.rollout import Draws, Rollout
from pwm.core.task import TaskConfig, observation_table
from pwm.runs.engines import make_trainer
from pwm.training.config import TrainConfig
from pwm.training.draws import DrawSource
from pwm.training.loss_config import LossConfig
from pwm.training.parameters import Layout

LONG = Setting(steps=60, critic_weight=10)


def test_the_smoothing_is_that_of_the_optimiser() -> None:
    assert TrainConfig().square_decay == SMOOTHING


@pytest.mark.parametrize(("success", "num_trials"), [(0.5, 1), (0.5, 5), (0.3, 20)])
def test_the_variance_of_the_mean_return_in_simulation(success: float, num_trials: int) -> None:
    rewards = np.random.default_rng(0).random((200_000, num_trials)) < success
    averages = rewards[:, ::-1].cumsum(axis=1).mean(axis=1)
    expected = mean_return_variance(success, num_trials)
    assert averages.var() == pytest.approx(expected, rel=0.02)


def test_the_variance_of_the_score_by_enumeration() -> None:
    def variance(policy: list[float]) -> float:
        # Of u_a - Σ_b π(b) u_b, over actions a and independent weights u of variance 1
        return float(1 - np.sum(np.square(policy)))

    by_step = [variance([1 / 3, 1 / 3, 1 / 3])] * 2 + [variance([0.0, 0.5, 0.5])]
    assert score_variance(15, 3) == pytest.approx(5 * sum(by_step))


def test_hidden_states_are_those_of_the_agent() -> None:
    config = AgentConfig(hidden_size=8)  # no padding, so that `named` gives views
    task, layout = TaskConfig(trial_length=4, episode_length=4), Layout(config, num_stimuli=5)
    parameters = layout.initial_parameters([0]) * 0
    named = layout.named(parameters)
    named["head_weight"][..., 0, VALUE] = 1.0  # the value is the first unit
    for name in named.keys() - {"head_weight", "head_bias"}:
        named[name].add_(0.2)
    observations = torch.from_numpy(observation_table(task))[None, :1]
    outputs, _ = unroll(config, layout.weights(parameters), observations, None)
    expected = hidden_states(0.2, 8, 4)
    assert outputs.values.flatten().tolist() == pytest.approx(expected, rel=1e-5)


def test_the_share_is_measured_before_training() -> None:
    # The critic starts at 1, the mean return of a policy that is uniform at all steps.
    task, seeds, weight = TaskConfig(episode_length=15), range(16), 10.0
    loss = LossConfig(baseline="detached")
    runs = [TrainConfig(task=task, loss=loss, critic_weight=weight, seed=seed) for seed in seeds]
    trainer = make_trainer(runs, "torch")
    layout = Layout(runs[0].agent, task.num_stimuli)
    with torch.no_grad():
        layout.named(trainer.parameters)["head_bias"][:, -1, 0, VALUE] += 1.0
    diagnostics = trainer.probe(DrawSource(task, seeds).next(16))
    measured = float(np.median(diagnostics[1] / diagnostics[0]))
    expected = critic_share(Setting(steps=15, critic_weight=weight))
    assert measured == pytest.approx(expected, rel=0.3)


@pytest.mark.parametrize("corrected", [True, False])
def test_optimisers_step_as_those_of_pytorch(corrected: bool) -> None:
    parameter = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    of_torch: torch.optim.Optimizer
    if corrected:
        of_torch = torch.optim.Adam([parameter], lr=1.0, betas=(0.9, 0.97), eps=0)
        ours = Optimiser(square_decay=0.97, momentum_decay=0.9, corrected=True)
    else:
        of_torch = torch.optim.RMSprop([parameter], lr=1.0, alpha=0.97, eps=0)
        ours = Optimiser(square_decay=0.97)
    stepper, moved = Stepper(ours), 0.0
    for gradient in (3.0, -1.0, 0.5, 0.5, 2.0):
        parameter.grad = torch.tensor([gradient], dtype=torch.float64)
        of_torch.step()
        moved -= stepper.step(gradient, gradient**2)
        assert moved == pytest.approx(parameter.item())


def test_a_critic_at_the_mean_does_not_move() -> None:
    assert LONG.distance == 5.25
    there = replace(LONG, start=5.25)
    assert climb(there, 10)[-1] == (5.25, 0.0, 0.0)


def test_the_first_step_by_hand() -> None:
    # One trial per episode: the expected gradient is 0.5 and its variance 0.25, so its mean square
    # is 0.5. RMSprop's running mean square, which starts at zero, reaches a hundredth of this.
    step = 0.001 * 0.5 / (0.01 * 0.5) ** 0.5
    setting = Setting(steps=1, trial_length=1, critic_weight=1e9)
    _, first = climb(setting, 1)
    assert first.head == pytest.approx(step)
    assert first.trunk == pytest.approx(step)


def test_far_from_the_mean_parameters_move_by_the_learning_rate() -> None:
    far = Setting(steps=6000, critic_weight=1e9, learning_rate=1e-6)
    moved = 1e-6 * sum((1 - 0.99**n) ** -0.5 for n in range(1, 301))
    left, variance = far.distance, mean_return_variance(0.5, far.num_trials)
    assert climb(far, 300)[-1].head == pytest.approx(
        moved * left / (left**2 + variance) ** 0.5, rel=1e-3
    )


@given(st.floats(0.01, 100), st.sampled_from([6, 15, 60]), st.floats(0.1, 10))
def test_a_descent_mirrors_a_climb(weight: float, steps: int, distance: float) -> None:
    mean = Setting(steps=steps, critic_weight=weight).distance
    below, above = (
        Setting(steps=steps, critic_weight=weight, start=mean + sign * distance) for sign in (-1, 1)
    )
    for down, up in zip(climb(above, 20), climb(below, 20), strict=True):
        assert down.value - mean == pytest.approx(mean - up.value)
        assert down[1:] == pytest.approx(up[1:])


def test_the_end_of_the_climb_hardly_depends_on_the_learning_rate() -> None:
    ends = [climb(replace(LONG, learning_rate=rate), 3000)[-1] for rate in (0.0003, 0.003)]
    assert ends[0].value == pytest.approx(5.25, abs=0.05)
    assert ends[0].trunk == pytest.approx(ends[1].trunk, rel=0.1)


def test_a_light_critic_climbs_with_its_head_alone() -> None:
    light, heavy = (climb(replace(LONG, critic_weight=w), 1500)[-1] for w in (0.001, 100))
    assert light.trunk < 0.1 * light.head
    assert heavy.trunk > heavy.head


def test_a_leak_adds_its_bias_to_the_climb_and_its_noise_to_the_slowdown() -> None:
    leaky = Setting(steps=60, critic_weight=1e-3, attached=True)
    bias = critic_bias(60, start_entropy(3), 1e-3)
    assert leaky.fixed_point == pytest.approx(5.25 + bias)
    there = replace(leaky, start=leaky.fixed_point)
    assert climb_slowdown(there) == pytest.approx(slowdown(noise_weight(60, 3) / 1e-3))
    heavy = Setting(steps=60, critic_weight=1e4)
    assert climb_slowdown(replace(heavy, attached=True)) == pytest.approx(
        climb_slowdown(heavy), rel=1e-2
    )


@given(st.floats(0.1, 30), st.floats(0, 5), st.floats(1.2, 3))
def test_weight_and_distance_slow_learning(weight: float, distance: float, by: float) -> None:
    def slowed(w: float, d: float) -> float:
        return climb_slowdown(Setting(steps=60, critic_weight=w, start=5.25 - d))

    assert slowed(weight * by, distance) >= 0.97 * slowed(weight, distance)
    assert slowed(weight, distance * by) >= slowed(weight, distance)
    assert slowed(1e-6, 0) == pytest.approx(1)


def test_only_the_distance_makes_the_scale_of_the_reward_matter() -> None:
    scaled = replace(LONG, reward=10.0)
    assert critic_share(scaled) == pytest.approx(critic_share(LONG))
    assert scaled.distance == 10 * LONG.distance


@pytest.mark.parametrize(
    ("steps", "weight", "start", "wrong"),
    # The law assumes success 1/2; an untrained policy has 1/3, so a short climb ends early.
    [(60, 10, 0, 0.12), (60, 10, 10.5, 0.12), (120, 100, 0, 0.12), (120, 0.1, 0, 0.12),
     (15, 10, 0, 0.4)],
)  # fmt: skip
def test_training_climbs_as_the_law_says(
    steps: int, weight: float, start: float, wrong: float
) -> None:
    task, loss = TaskConfig(episode_length=steps), LossConfig(baseline="detached")
    runs = [
        TrainConfig(
            task=task, loss=loss, critic_weight=weight, learning_rate=0.001, num_episodes=100,
            seed=seed,
        )
        for seed in range(6)
    ]  # fmt: skip
    trainer = make_trainer(runs)
    layout = Layout(runs[0].agent, task.num_stimuli)
    layout.named(trainer.parameters)["head_bias"][:, -1, 0, VALUE] += start
    trainer.advance(100)
    trials, noise = DrawSource(task, range(6)).next(1)
    with torch.no_grad():
        episode = Rollout(task, runs[0].agent).play(
            layout.weights(trainer.parameters), Draws(trials[0], noise[0])
        )
    setting = Setting(steps=steps, critic_weight=weight, start=start)
    end = climb(setting, 100)[-1]
    value = float(episode.values.mean(dim=(1, 2)).median())
    assert abs(value - end.value) < wrong * abs(setting.distance)


def test_targets_are_refused_with_another_reward() -> None:
    with pytest.raises(InputError, match="reward"):
        replace(LONG, targets=Targets(steps=60), reward=10.0)
