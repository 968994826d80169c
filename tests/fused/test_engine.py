"""The fused engine agrees with the torch engine, which defines what it computes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import IntEnum
from math import inf
from typing import Any, NamedTuple, get_args, get_type_hints

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from pwm.core.agent import VALUE, AgentConfig
from pwm.core.errors import InputError
from pwm.core.rollout import Draws, Episode, Rollout
from pwm.core.task import TaskConfig
from pwm.fused import engine as fused_engine
from pwm.fused.engine import FusedEngine
from pwm.runs.engines import EngineName, make_trainer
from pwm.runs.fields import replaced
from pwm.training.balance import COMBINATIONS, combine, episode_scales
from pwm.training.config import TrainConfig
from pwm.training.draws import DrawSource
from pwm.training.episode import head_values_of
from pwm.training.history import METRICS, History
from pwm.training.loss_config import Balance, LossConfig, Returns
from pwm.training.loss_options import episode_losses, partly_attached
from pwm.training.parameters import Layout
from pwm.training.update import TorchEngine, clipped
from tests.oracles.plain_returns import returns_of
from tests.support.training import history_of, settings_of_runs

QUICK = TrainConfig(
    task=TaskConfig(episode_length=9),
    agent=AgentConfig(hidden_size=5),
    num_episodes=10,
    log_every=1,
)
DETACHED = replace(QUICK, loss=LossConfig(baseline="detached"))
ATTACHED = {"baseline": "attached", "critic_weight": 20.0}


@st.composite
def runs_of_one_episode(draw: st.DrawFn) -> TrainConfig:
    setting = draw(settings_of_runs(most_trials=12, most_units=33))
    light = 0.01 if setting.critic_start == "fixed-point" else 0.0  # which has none at 0
    return replace(
        setting,
        critic_weight=draw(st.sampled_from([light, 0.05, 3.0, 20.0])),
        num_episodes=1,
        episodes_per_update=1,
        log_every=1,
        seed=draw(st.integers(0, 1000)),
    )


@dataclass(frozen=True, kw_only=True)
class LossWithAnOption(LossConfig):
    made_up: float = 1.0


def test_an_option_that_only_the_torch_engine_knows_is_refused() -> None:
    make_trainer([replace(QUICK, loss=LossWithAnOption())])
    loss = LossWithAnOption(made_up=0.5)
    with pytest.raises(InputError, match=r"--made-up 0\.5: expected 1\.0, or --engine torch"):
        make_trainer([replace(QUICK, loss=loss)])
    make_trainer([replace(QUICK, loss=loss)], "torch")


def test_a_word_that_only_the_torch_engine_knows_is_refused() -> None:
    loss = object.__new__(LossConfig)  # its checks do not accept the word yet
    vars(loss).update(vars(QUICK.loss) | {"value_loss": "absolute"})
    with pytest.raises(InputError, match="--value-loss absolute: expected one of huber, squared"):
        make_trainer([replace(QUICK, loss=loss)])


def test_known_words_are_those_of_the_configuration() -> None:
    hints = get_type_hints(LossConfig) | get_type_hints(TrainConfig)
    for name, words in fused_engine.KNOWN_WORDS.items():
        assert words <= set(get_args(hints[name]))


def test_known_options_are_fields() -> None:
    configs = (QUICK, QUICK.task, QUICK.agent, QUICK.loss)
    names = {field.name for config in configs for field in fields(config)}
    assert names >= fused_engine.KNOWN_OPTIONS


# Running statistics before an episode: none yet, or some values of each column.
TRACKED = st.sampled_from([[0.0] * 7, [3.0, 2.5, 1.75, 0.25, 0.2, -0.5, 0.3]])


class Reference(NamedTuple):
    """One episode in PyTorch, in double precision."""

    episode: Episode
    gradients: list[Tensor]  # (P,) each, one for each optimiser memory
    deviation: float  # divides the advantages; infinite if they are not normalised
    largest: float  # advantage, or increase of the baseline by optimism
    metrics: list[float]


def reference(
    run: TrainConfig, parameters: Tensor, draws: Draws, tracked: list[float]
) -> Reference:
    """Plays and differentiates one replica's episode; its parameters are [1, P]."""
    loss = run.loss
    doubles = parameters.detach().double().requires_grad_()
    layout = Layout(run.agent, run.task.num_stimuli)
    rollout = Rollout(run.task, run.agent)
    episode = rollout.play(layout.weights(doubles), draws)
    rewards, values = episode.rewards.flatten().double(), episode.values.flatten()
    seen = torch.tensor([tracked], dtype=torch.float64)
    scales = episode_scales(seen, run)
    centre, spread, error, critic = (scale.item() for scale in scales)

    def advantages_of(values: Tensor, later: Tensor) -> Tensor:
        """Targets with these later values, minus the values, over the error scale: [1, T]."""
        targets = (returns_of(run, rewards, centre + spread * later) - centre) / spread
        return ((targets - values) / error).unsqueeze(0)

    errors = advantages_of(values, values.detach())
    head_values = head_values_of(rollout, layout.weights(doubles), draws).flatten()
    attached, of_head = (
        advantages_of(each, each if loss.leaking_targets else values.detach())
        for each in (values, head_values)
    )
    advantages = attached
    if loss.baseline in ("attached_head", "attached_trunk"):
        advantages = partly_attached(attached, of_head, loss.baseline)
    entropies = episode.entropies.flatten(1)
    log_probs = episode.log_probs.flatten(1)
    weight = run.critic_weight * critic
    outputs = log_probs, entropies, errors, advantages
    losses = episode_losses(*outputs, weight, loss)
    alone = episode_losses(*outputs, 0.0, loss).total
    parts = [
        torch.autograd.grad(part + 0 * doubles.sum(), doubles, retain_graph=True)[0]
        for part in (alone, weight * losses.value)
    ]
    if loss.balance in ("equal", "pcgrad"):  # a tiny gradient's direction is mere rounding
        least = min(float(part[:, : layout.trunk_size].norm()) for part in parts)
        assume(least > 1e-3 or (least == 0 and not loss.normalise_advantages))
    combined: tuple[torch.Tensor, ...] = (parts[0] + parts[1],)
    if loss.balance in COMBINATIONS:
        combined = combine(loss.balance, parts[0], parts[1], layout.trunk_size)
    if loss.clip_gradient:
        combined = tuple(clipped(gradient, loss.clip_gradient) for gradient in combined)
    raises = loss.optimism * entropies.detach()
    unit = spread * error
    metrics = (
        episode.rewarded.mean(),
        losses.squared_error * unit**2,
        losses.policy * (1 if loss.normalise_advantages else unit),
        entropies.mean(),
        (centre + spread * values - returns_of(run, rewards)).mean(),
    )
    return Reference(
        episode,
        [gradient[0] for gradient in combined],
        (advantages.detach() - raises).std().item() if loss.normalise_advantages else inf,
        max(advantages.abs().max().item(), raises.max().item(), 0.1),
        [metric.item() for metric in metrics],
    )


@settings(max_examples=300)
@given(run=runs_of_one_episode(), scale=st.sampled_from([1.0, 4.0]), tracked=TRACKED)
def test_an_episode_and_its_gradient_agree_with_pytorch(
    run: TrainConfig, scale: float, tracked: list[float]
) -> None:
    engine, draws = FusedEngine((run,)), DrawSource(run.task, (run.seed,)).next(1)
    engine.parameters *= scale  # makes the policies less uniform
    engine.population.tracked[:] = tracked
    first = Draws(draws.trials[0], draws.noise[0])
    expected = reference(run, engine.parameters, first, tracked)
    metrics = engine.train(draws)[0, :, 0]

    work, episode = engine.work, expected.episode
    assert np.array_equal(work.action, episode.actions.flatten())
    assert np.array_equal(work.reward, episode.rewards.flatten())
    rows = work.row
    for ours, theirs in (
        (work.heads[-1, rows, VALUE], episode.values),
        (work.log_policy[work.action, rows], episode.log_probs),
        (work.entropy[rows], episode.entropies),
    ):
        np.testing.assert_allclose(ours, theirs.detach().flatten(), rtol=1e-5, atol=2e-6)
    # The terms of a mean over steps may cancel, so the error is relative to the terms. Normalised
    # advantages are rounded relative to the largest, and then divided.
    tolerance = 1e-5 * max(3 * expected.largest / expected.deviation, 1)
    np.testing.assert_allclose(metrics, expected.metrics, rtol=1e-5, atol=tolerance)
    # Each element of the gradient is a sum of products over steps, each rounded a few times.
    for ours, gradient in zip(work.gradients, expected.gradients, strict=False):
        error = np.abs(ours - gradient.numpy())
        terms = max(float(gradient.abs().max()), expected.largest / 30, 1 / expected.deviation)
        assert error.max() <= 2 * tolerance * terms


@given(run=runs_of_one_episode())
def test_a_probed_episode_agrees_with_pytorch(run: TrainConfig) -> None:
    runs = (run, replace(run, seed=run.seed + 1))
    draws = DrawSource(run.task, (run.seed, 9)).next(1)
    found = [
        engine(runs).differentiate(
            Draws(draws.trials[0], draws.noise[0]), run.loss, np.ones(2, np.float32)
        )
        for engine in (FusedEngine, TorchEngine)
    ]
    for ours, theirs in zip(*(trajectory for _, trajectory in found), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6)
    steps = run.task.num_trials * run.task.trial_length
    assert found[0][1].hidden.shape == (2, steps, run.agent.hidden_size)


# Changes to the fields of `DETACHED`, by test name.
UPDATES: dict[str, dict[str, Any]] = {
    "detached": {},
    "mean_discounted_entropy": {"policy_reduction": "mean", "discount": 0.9, "entropy_weight": 0.1},
    "carried_separate": {"carry_state": True, "separate_trunks": True},
    "timeout": {"timeout": True, "hold_reward": 0.1},
    "standardised_normalised_clipped": {
        "returns": "standardised", "normalise_advantages": True, "clip_gradient": 1.0,
    },
    "attached": ATTACHED,
    "attached_head_scaled": {**ATTACHED, "baseline": "attached_head", "balance": "return-scale"},
    "attached_trunk_standardised": {
        **ATTACHED, "baseline": "attached_trunk", "returns": "standardised",
    },
    "attached_head_lambda_returns": {**ATTACHED, "baseline": "attached_head", "trace_decay": 0.7},
    "attached_trunk_leaking": {
        **ATTACHED, "baseline": "attached_trunk", "trace_decay": 0.7, "leaking_targets": True,
    },
    "leaking_lambda_returns_of_trials": {
        **ATTACHED, "returns": "centred", "return_horizon": "trial",
        "trace_decay": 0.7, "leaking_targets": True,
    },
    "normalised_attached_start": {
        **ATTACHED, "normalise_advantages": True, "critic_start": "fixed-point",
    },
    "adam_slow_trunk": {"optimizer": "adam", "trunk_rate": 0.5},
    "adam_per_loss_batches": {
        "optimizer": "adam", "square_decay": 0.999, "epsilon": 1e-3,
        "balance": "per-loss", "clip_gradient": 1.0, "episodes_per_update": 2,
    },
    "sgd_huber_batches": {"optimizer": "sgd", "value_loss": "huber", "episodes_per_update": 2},
    "batches_uncertainty": {
        "balance": "uncertainty", "returns": "centred", "episodes_per_update": 5,
    },
    "batches_popart": {"balance": "popart", "episodes_per_update": 2},
    **{
        f"{rule}_{returns}": {"balance": rule, "returns": returns}
        for rule in get_args(Balance)
        for returns in get_args(Returns)
        if returns == "raw" or rule != "popart"
    },
}  # fmt: skip


def assert_close(one: History, other: History) -> None:
    """Asserts that the metrics of two histories agree."""
    for name in METRICS:
        ours, theirs = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("changes", UPDATES.values(), ids=UPDATES.keys())
def test_fifty_updates_agree_with_the_torch_engine(changes: dict[str, Any]) -> None:
    run = replaced(DETACHED, {**changes, "num_episodes": 50})
    runs = [
        replace(run, seed=seed, learning_rate=rate)
        for seed, rate in ((0, 0.002), (1, 0.005), (2, 0.01))
    ]
    fused, in_torch = make_trainer(runs, "fused"), make_trainer(runs, "torch")
    start = fused.parameters.clone()
    assert torch.equal(start, in_torch.parameters)
    for trainer in (in_torch, fused):
        trainer.advance(50)
    assert_close(fused.history(), in_torch.history())
    torch.testing.assert_close(fused.parameters, in_torch.parameters.detach(), rtol=0, atol=5e-3)
    assert (fused.parameters - start).abs().max() > 0.05


@pytest.mark.parametrize("carry_state", [False, True])
def test_either_engine_continues_where_the_other_stopped(carry_state: bool) -> None:
    run = replaced(DETACHED, {"carry_state": carry_state, "num_episodes": 20})
    whole = history_of([run], "torch")
    pairs: tuple[tuple[EngineName, EngineName], ...] = (("torch", "fused"), ("fused", "torch"))
    for first, second in pairs:
        one, other = make_trainer([run], first), make_trainer([run], second)
        one.advance(11)
        other.restore(one.state())
        other.advance(20)
        assert_close(other.history(), whole)


@pytest.mark.parametrize("carry_state", [False, True])
def test_a_diverging_run_does_not_disturb_the_others(carry_state: bool) -> None:
    healthy = replaced(QUICK, {"carry_state": carry_state, "num_episodes": 40, "seed": 1})
    diverging = replace(healthy, learning_rate=1e30)
    history, alone = history_of([diverging, healthy, diverging]), history_of([healthy])
    assert not np.isfinite(history.value_loss[0, -1])
    assert np.array_equal(history.value_loss[0], history.value_loss[2], equal_nan=True)
    assert np.isfinite(history.reward).all()
    for name in METRICS:
        assert np.array_equal(getattr(history, name)[1], getattr(alone, name)[0])


def test_runaway_values_are_no_trouble() -> None:
    # With an attached baseline and no value loss, nothing restrains the values.
    run = TrainConfig(critic_weight=0.0, learning_rate=0.01, num_episodes=4000, log_every=100)
    history = history_of([run])
    assert history.value_loss[0, -1] > 1000
    assert np.isfinite(history.entropy).all()
    assert (history.reward >= 0).all()
    assert (history.reward <= 1).all()


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("METRICS", (*METRICS, "gradient_norm")),
        ("METRICS", METRICS[::-1]),
        ("GATES", ("input", "forget", "output", "cell")),
        ("NUM_OUTPUTS", 5),
        ("VALUE", 0),
        ("Action", IntEnum("Action", ["LEFT", "HOLD", "RIGHT"], start=0)),
        ("Action", IntEnum("Action", ["HOLD", "LEFT", "RIGHT"], start=1)),
    ],
)
def test_constants_that_differ_from_the_cores_are_refused(
    name: str, changed: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused_engine, name, changed)
    with pytest.raises(ValueError, match=r"the fused engine has|not a valid Action"):
        FusedEngine((QUICK,))
