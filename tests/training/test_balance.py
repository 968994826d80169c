"""Balancing rules agree with results by hand, PyTorch, TorchJD and a plain training loop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchjd.aggregation import IMTLG, PCGrad

from pwm.core.agent import AgentConfig
from pwm.core.errors import InputError
from pwm.core.rollout import Draws
from pwm.core.task import TaskConfig
from pwm.runs.engines import EngineName, make_trainer
from pwm.training.balance import (
    COMBINATIONS,
    combine,
    episode_scales,
    keep_outputs,
    learn_log_variance,
    num_states,
)
from pwm.training.config import TrainConfig
from pwm.training.draws import DrawSource
from pwm.training.episode import Scales
from pwm.training.history import METRICS
from pwm.training.loss_config import Balance, LossConfig, Returns
from pwm.training.optimiser import Optimiser
from pwm.training.parameters import Layout
from pwm.training.tracking import LEAST_SCALE, Tracked
from pwm.training.trainer import Trainer
from tests.oracles.plain_training import PlainTraining

RULES: tuple[Balance, ...] = get_args(Balance)
# Popart standardises the returns itself, so they must be raw.
RULES_AND_RETURNS = [
    (rule, returns)
    for rule in RULES
    for returns in get_args(Returns)
    if rule != "popart" or returns == "raw"
]
QUICK = TrainConfig(
    task=TaskConfig(episode_length=15),
    agent=AgentConfig(hidden_size=6),
    loss=LossConfig(baseline="detached"),
    critic_weight=3.0,
    learning_rate=2**-8,  # the same in single precision and in double
    num_episodes=15,
    log_every=1,
)


def doubles(*numbers: float) -> Tensor:
    return torch.tensor([numbers], dtype=torch.float64)


def tracking(**columns: float) -> Tensor:
    """Running statistics of one replica, [1, columns], with columns given by name in lower case."""
    tracked = torch.zeros(1, len(Tracked), dtype=torch.float64)
    for name, value in columns.items():
        tracked[0, Tracked[name.upper()]] = value
    return tracked


def scales_of(
    tracked: Tensor, rule: Balance, returns: Returns = "raw", discount: float = 1.0
) -> Scales:
    """Scales of a run whose returns end after four steps."""
    task = TaskConfig(trial_length=2, episode_length=4)
    loss = LossConfig(balance=rule, returns=returns, discount=discount)
    return episode_scales(tracked, TrainConfig(task=task, loss=loss))


def with_loss(run: TrainConfig, **changed: Any) -> TrainConfig:
    return replace(run, loss=replace(run.loss, **changed))


# Gradients of a replica, two parameters in the trunk and one in the head. In the trunk the inner
# product is 3 * 1 + 4 * (-2) = -5, and the squared norms are 25 and 5.
POLICY, CRITIC = doubles(3, 4, 1), doubles(1, -2, 10)


def test_stop_trunk_by_hand() -> None:
    [combined] = combine("stop-trunk", POLICY, CRITIC, 2)
    assert combined.tolist() == [[3, 4, 11]]


def test_per_loss_by_hand() -> None:
    # At the first step, mean squares are 0.01 g², so each loss moves a parameter by
    # rate * g / (0.1 |g|) = 10 rate, up or down: the first and third twice down, the second down
    # and up.
    parameters = torch.zeros(1, 3, dtype=torch.float64)
    optimiser = Optimiser(parameters, doubles(0.5, 0.5, 0.5), QUICK, num_gradients=2)
    gradients = combine("per-loss", POLICY.clone(), CRITIC.clone(), 2)
    assert len(gradients) == num_states("per-loss")
    optimiser.step(*gradients)
    torch.testing.assert_close(parameters, doubles(-10, 0, -10), rtol=0, atol=1e-6)


def test_equal_by_hand() -> None:
    # The critic's gradient in the trunk is scaled from norm sqrt(5) to 5.
    [combined] = combine("equal", POLICY, CRITIC, 2)
    root = 5**0.5
    torch.testing.assert_close(combined, doubles(3 + root, 4 - 2 * root, 11))


def test_pcgrad_by_hand() -> None:
    # policy + 5/5 critic = (4, 2) and critic + 5/25 policy = (1.6, -1.2).
    [combined] = combine("pcgrad", POLICY, CRITIC, 2)
    torch.testing.assert_close(combined, doubles(5.6, 0.8, 11))
    [agreeing] = combine("pcgrad", POLICY, -CRITIC, 2)
    torch.testing.assert_close(agreeing, POLICY - CRITIC, rtol=0, atol=0)


def test_uncertainty_by_hand() -> None:
    # With s = 0 and L = 5, the slope is (1 - 5) / 2 = -2 and its smoothed square 0.01 * 4 = 0.2²:
    # s rises by 0.03 * 2 / 0.2. Value losses below exp(s) let it fall.
    tracked = tracking(episodes=7)
    rates, loss = torch.tensor([0.03], dtype=torch.float64), torch.tensor([5.0]).double()
    assert scales_of(tracked, "uncertainty").critic_factor.tolist() == [0.5]
    learn_log_variance(tracked, loss, rates, TrainConfig())
    assert tracked[0, Tracked.LOG_VARIANCE].item() == pytest.approx(0.3, abs=1e-7)
    scales = scales_of(tracked, "uncertainty")
    assert scales.critic_factor.item() == pytest.approx(np.exp(-0.3) / 2)
    learn_log_variance(tracked, torch.zeros(1).double(), rates, TrainConfig())
    assert tracked[0, Tracked.LOG_VARIANCE] < 0.3


def test_popart_by_hand() -> None:
    # The returns' mean and variance change from 2 and 1 to 4 and 9. An output of 0.5 stands for
    # 2 + 0.5 and must become (2.5 - 4) / 3 = -0.5.
    new = scales_of(tracking(episodes=1, return_mean=4, return_variance=9), "popart")
    assert [scale.item() for scale in new] == [4, 3, 1, 1]
    old = new._replace(centre=2 * torch.ones(1), spread=torch.ones(1))
    weight, bias = doubles(0.25, -1.5), torch.tensor([1.0]).double()
    hidden = torch.tensor([1.0, 0.5]).double()  # 0.25 - 0.75 + 1 = 0.5
    keep_outputs(weight, bias, old, new)
    assert (weight @ hidden + bias).item() == pytest.approx(-0.5)
    torch.testing.assert_close(weight, doubles(0.25 / 3, -0.5))


def test_return_scale_by_hand() -> None:
    # Var(γ) of 4 steps with discount 0.5, the last with 0: mean 3/8, mean square 3/16, variance
    # 12/64 - 9/64 = 3/64. E(G²) = 4² + 16 = 32. Hence σ² = 0.75 + 32 * 3/64 = 2.25.
    seen = tracking(episodes=3, return_mean=4, return_variance=16, reward_variance=0.75)
    scales = scales_of(seen, "return-scale", discount=0.5)
    assert [scale.item() for scale in scales] == [0, 1, 1.5, 1]
    undiscounted = scales_of(seen, "return-scale", discount=0.0)
    assert undiscounted.error_scale.item() == pytest.approx(0.75**0.5)


@pytest.mark.parametrize(("rule", "returns"), RULES_AND_RETURNS)
def test_scales_that_a_rule_does_not_use_are_one(rule: Balance, returns: Returns) -> None:
    seen = tracking(episodes=3, return_mean=4, return_variance=16, reward_variance=0.75)
    centre, spread, error, critic = scales_of(seen, rule, returns)
    assert centre.item() == (4 if returns != "raw" or rule == "popart" else 0)
    assert spread.item() == (4 if returns == "standardised" or rule == "popart" else 1)
    assert (error.item() == 1) == (rule != "return-scale")
    assert critic.item() == (0.5 if rule == "uncertainty" else 1)


@pytest.mark.parametrize(("rule", "returns"), RULES_AND_RETURNS)
def test_the_first_episode_is_not_scaled(rule: Balance, returns: Returns) -> None:
    scales = scales_of(tracking(), rule, returns)
    assert [scale.item() for scale in scales[:3]] == [0, 1, 1]


@pytest.mark.parametrize("rule", ["popart", "return-scale", "fixed"])
def test_returns_that_do_not_vary_are_divided_by_little(rule: Balance) -> None:
    scales = scales_of(tracking(episodes=1), rule, "raw" if rule == "popart" else "standardised")
    assert scales.spread.item() == pytest.approx(LEAST_SCALE)
    assert scales.error_scale.item() == pytest.approx(LEAST_SCALE if rule == "return-scale" else 1)


@st.composite
def gradients(draw: st.DrawFn) -> tuple[Tensor, Tensor, int]:
    """Gradients of the policy loss and the value loss, [R, P], and the size of the trunk."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    replicas, trunk, head = (
        draw(st.integers(1, 4)),
        draw(st.integers(2, 9)),
        draw(st.integers(1, 4)),
    )
    shape = (2, replicas, trunk + head)
    policy, critic = torch.randn(shape, generator=generator, dtype=torch.float64)
    return policy, 10 ** draw(st.floats(-3, 3)) * critic, trunk


@given(gradients())
def test_pcgrad_agrees_with_torchjd(case: tuple[Tensor, Tensor, int]) -> None:
    policy, critic, trunk = case
    [combined] = combine("pcgrad", policy, critic, trunk)
    for replica, row in enumerate(combined):
        both = torch.stack([policy[replica], critic[replica]])
        torch.testing.assert_close(row[:trunk], PCGrad()(both[:, :trunk]))
        torch.testing.assert_close(row[trunk:], both[:, trunk:].sum(dim=0))


@given(gradients())
def test_equal_has_the_direction_of_imtl_g_of_torchjd(case: tuple[Tensor, Tensor, int]) -> None:
    policy, critic, trunk = case
    [combined] = combine("equal", policy, critic, trunk)
    for replica, row in enumerate(combined):
        both = torch.stack([policy[replica], critic[replica]])
        # IMTL-G's weights sum to 1; ours give the policy weight 1.
        theirs = IMTLG()(both[:, :trunk])
        norms = torch.linalg.vector_norm(both[:, :trunk], dim=1)
        torch.testing.assert_close(row[:trunk], theirs * norms.sum() / norms[1], rtol=1e-6, atol=0)
        torch.testing.assert_close(row[trunk:], both[:, trunk:].sum(dim=0))


@given(gradients(), st.integers(-8, 8))
def test_in_the_trunk_equal_does_not_depend_on_the_critic_weight(
    case: tuple[Tensor, Tensor, int], exponent: int
) -> None:
    policy, critic, trunk = case
    [one], [other] = (
        combine("equal", policy, critic, trunk),
        combine("equal", policy, 2.0**exponent * critic, trunk),
    )
    torch.testing.assert_close(one[:, :trunk], other[:, :trunk], rtol=0, atol=0)


@pytest.mark.parametrize("rule", COMBINATIONS)
def test_combinations_of_gradients_that_are_zero_are_finite(rule: Balance) -> None:
    zero = torch.zeros_like(POLICY)
    for policy, critic in ((POLICY, zero), (zero, CRITIC), (zero, zero)):
        for combined in combine(rule, policy.clone(), critic.clone(), 2):
            assert combined.isfinite().all()
        if rule != "per-loss" and critic is zero:
            assert combined.tolist() == policy.tolist()


@given(st.integers(0, 1000), st.sampled_from([0.001, 0.01, 1.0]))
def test_the_log_variance_follows_rmsprop_on_the_loss_of_kendall(seed: int, rate: float) -> None:
    losses = 10 ** np.random.default_rng(seed).uniform(-2, 2, 20)
    leaf = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.RMSprop([leaf], lr=rate)
    tracked, rates = tracking(), torch.tensor([rate], dtype=torch.float64)
    for loss in losses:
        learn_log_variance(tracked, torch.tensor([loss]), rates, TrainConfig())
        variance = leaf.exp()
        (leaf.grad,) = torch.autograd.grad(loss / (2 * variance) + variance.sqrt().log(), leaf)
        optimiser.step()
        assert tracked[0, Tracked.LOG_VARIANCE].item() == pytest.approx(leaf.item(), rel=1e-9)


@given(st.integers(0, 1000), st.integers(1, 4))
def test_popart_keeps_outputs_when_scales_change(seed: int, replicas: int) -> None:
    random = np.random.default_rng(seed)

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(random.normal(size=(replicas, *shape)))

    def scales() -> Scales:
        one = torch.ones(replicas, dtype=torch.float64)
        return Scales(5 * normal(), 10 ** normal(), one, one)

    hidden, weight, bias, old, new = normal(7, 3), normal(3), normal(), scales(), scales()

    def outputs(scales: Scales) -> Tensor:
        values = (hidden @ weight.unsqueeze(-1)).squeeze(-1) + bias.unsqueeze(-1)
        return scales.centre.unsqueeze(-1) + scales.spread.unsqueeze(-1) * values

    before = outputs(old)
    keep_outputs(weight, bias, old, new)
    torch.testing.assert_close(outputs(new), before, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("separate_trunks", [False, True])
def test_popart_keeps_outputs_in_training(engine: EngineName, separate_trunks: bool) -> None:
    # Steps of 1e-29 leave the parameters alone; only PopArt's rescaling changes them.
    run = with_loss(QUICK, balance="popart")
    agent = AgentConfig(hidden_size=6, separate_trunks=separate_trunks)
    trainer = make_trainer([replace(run, learning_rate=1e-30, agent=agent)], engine)
    draws = Draws(*(part[0] for part in DrawSource(run.task, (9,)).next(1)))
    weights = np.array([3], np.float32)
    _, start = trainer.engine.differentiate(draws, run.loss, weights)
    before = trainer.parameters.detach().clone()
    for _ in range(5):
        trainer.advance(1)
        _, trajectory = trainer.engine.differentiate(draws, run.loss, weights)
        np.testing.assert_allclose(trajectory.values, start.values, atol=1e-6)
        assert np.array_equal(trajectory.log_probs, start.log_probs)
    layout = Layout(agent, run.task.num_stimuli)
    (_, bias), (_, first) = map(layout.value_head, (trainer.parameters.detach(), before))
    assert (bias - first).abs().item() > 0.1


def after_one_update(run: TrainConfig, engine: EngineName) -> tuple[Tensor, Tensor]:
    """Parameters of the trunk and of the heads after one update."""
    trainer = make_trainer([run], engine)
    trainer.advance(1)
    size = Layout(run.agent, run.task.num_stimuli).trunk_size
    parameters = trainer.parameters.detach()[0]
    return parameters[:size], parameters[size:]


@pytest.mark.parametrize("baseline", ["attached", "detached"])
def test_with_stop_trunk_the_critic_moves_the_head_alone(baseline: str, engine: EngineName) -> None:
    run = with_loss(QUICK, baseline=baseline)
    trunk, head = after_one_update(with_loss(run, balance="stop-trunk"), engine)
    without_critic, _ = after_one_update(replace(run, critic_weight=0.0), engine)
    fixed_trunk, fixed_head = after_one_update(run, engine)
    # The sum of two gradients rounds once more than the gradient of a sum.
    torch.testing.assert_close(trunk, without_critic, rtol=0, atol=1e-6)
    torch.testing.assert_close(head, fixed_head, rtol=0, atol=1e-6)
    assert (trunk - fixed_trunk).abs().max() > 0.01


@pytest.mark.parametrize("baseline", ["attached", "detached"])
def test_with_per_loss_the_critic_weight_hardly_matters(baseline: str, engine: EngineName) -> None:
    # A step of RMSprop is g / (sqrt(mean g²) + 1e-8), so without the 1e-8 a power of 2 as a
    # factor of g would not change a bit. With it, the smallest gradients, here 3e-7 w, take steps
    # that are shorter by up to 1e-8 / 3e-7 w: by 0.0005 at weight 64, by a third at 1/16.
    run = with_loss(QUICK, baseline=baseline, balance="per-loss")
    runs = [replace(run, critic_weight=weight) for weight in (64, 100, 4096)]
    trainer = make_trainer(runs, engine)
    start = trainer.parameters.detach().clone()
    trainer.advance(10)
    parameters = trainer.parameters.detach()
    for replica in (1, 2):
        torch.testing.assert_close(parameters[replica], parameters[0], rtol=0, atol=5e-5)
    assert (parameters - start).abs().max() > 0.1


@pytest.mark.parametrize("engine_name", ["torch", "fused"])
def test_with_per_loss_powers_of_two_as_critic_weights_give_the_same_bits_without_epsilon(
    engine_name: EngineName,
) -> None:
    tiny = 1e-30  # not 0, for the padding, whose gradients are 0
    run = replace(with_loss(QUICK, balance="per-loss"), epsilon=tiny)
    runs = [replace(run, critic_weight=weight) for weight in (1 / 16, 1, 1024)]
    trainer = make_trainer(runs, engine_name)
    trainer.advance(10)
    parameters = trainer.parameters.detach()
    assert torch.equal(parameters[0], parameters[1])
    assert torch.equal(parameters[2], parameters[1])


MIXED = {
    "centred, normalised, clipped": with_loss(
        QUICK, returns="centred", normalise_advantages=True, clip_gradient=0.5, tracking_rate=0.3
    ),
    "standardised, attached, mean, entropy": with_loss(
        QUICK,
        baseline="attached",
        returns="standardised",
        policy_reduction="mean",
        entropy_weight=0.1,
    ),
    "raw, attached, normalised, reward 2": replace(
        with_loss(QUICK, baseline="attached", normalise_advantages=True, discount=0.9),
        task=TaskConfig(episode_length=15, reward=2.0, hold_reward=0.25),
    ),
    "centred, leaking λ-returns of trials": with_loss(
        QUICK,
        baseline="attached",
        returns="centred",
        discount=0.9,
        trace_decay=0.7,
        leaking_targets=True,
        return_horizon="trial",
    ),
    "standardised, attached, λ-returns, normalised": with_loss(
        QUICK,
        baseline="attached",
        returns="standardised",
        normalise_advantages=True,
        trace_decay=0.9,
    ),
    "raw, detached, clipped, separate, slow trunk": replace(
        with_loss(QUICK, clip_gradient=0.5, discount=0.9),
        trunk_rate=0.25,
        agent=AgentConfig(hidden_size=6, separate_trunks=True),
    ),
    "centred, Huber, Adam, three episodes per update": replace(
        with_loss(QUICK, returns="centred", tracking_rate=0.3, value_loss="huber"),
        optimizer="adam",
        square_decay=0.97,
        momentum_decay=0.8,
        epsilon=1e-6,
        learning_rate=2**-6,
        episodes_per_update=3,
    ),
}


def trained_in_double(run: TrainConfig) -> tuple[Trainer, Tensor]:
    """A trainer that has trained two replicas, and their initial parameters."""
    runs = [run, replace(run, seed=run.seed + 1, critic_weight=0.5)]
    trainer = make_trainer(runs, "torch")
    start = trainer.parameters.detach().clone()
    trainer.advance(run.num_episodes)
    return trainer, start


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("setting", MIXED)
@pytest.mark.parametrize("rule", RULES)
def test_training_agrees_with_the_plain_form_of_each_rule(rule: Balance, setting: str) -> None:
    run = MIXED[setting]
    if rule == "uncertainty":
        run = with_loss(replace(run, optimizer="rmsprop"), value_loss="squared")
    run = with_loss(run, balance=rule, returns="raw" if rule == "popart" else run.loss.returns)
    trainer, start = trained_in_double(run)
    for replica, each in enumerate(trainer.runs):
        plain = PlainTraining(each, start[replica : replica + 1])
        draws = DrawSource(each.task, (each.seed,)).next(each.num_episodes)
        batches = zip(*(part.split(each.episodes_per_update) for part in draws), strict=True)
        expected = [metrics for batch in batches for metrics in plain.update(Draws(*batch))]
        ours, theirs = trainer.parameters[replica].detach(), plain.parameters[0].detach()
        # Rewards, and with them returns, are in single precision.
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)
        assert (ours - start[replica]).abs().max() > 0.05
        for column, name in enumerate(METRICS):
            metric = getattr(trainer.history(), name)[replica]
            np.testing.assert_allclose(
                metric, np.array(expected)[:, column], rtol=1e-5, atol=1e-5, err_msg=name
            )


@pytest.mark.usefixtures("double_precision")
def test_no_two_rules_train_the_same_parameters() -> None:
    parameters = [trained_in_double(with_loss(QUICK, balance=rule))[0].parameters for rule in RULES]
    for number, one in enumerate(parameters):
        for other in parameters[:number]:
            assert (one - other).abs().max() > 0.01


def test_popart_with_other_returns_is_refused() -> None:
    with pytest.raises(InputError, match="--returns centred: expected raw with popart"):
        LossConfig(balance="popart", returns="centred")
