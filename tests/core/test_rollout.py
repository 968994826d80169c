"""The outputs of a rollout have gradients to exactly the parameters that produced them.

The notes' critical bug was to collect tensors that had lost their gradients.
`assert_gradients_reach` guards against all bugs of this kind, and is itself shown to catch it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from pwm.core.agent import GATES, AgentConfig, Outputs, State, Weights, unroll
from pwm.core.losses import policy_loss
from pwm.core.returns import discounted_returns
from pwm.core.rollout import Draws, Episode, Rollout
from pwm.core.task import STIMULUS_SETS, TaskConfig
from pwm.runs.engines import EngineName
from pwm.training.draws import DrawSource
from pwm.training.loss_config import LossConfig
from pwm.training.loss_options import episode_losses
from pwm.training.parameters import Layout
from tests.oracles.plain_agent import PlainAgent, play_plainly
from tests.oracles.plain_task import PlainTask
from tests.support.playing import play_by

FIELDS = ("log_probs", "entropies", "values")
FORGET_GATE = GATES.index("forget")


class Setting(NamedTuple):
    task: TaskConfig
    agent: AgentConfig


SHORT = TaskConfig(stimulus_set="pwm5", trial_length=3, episode_length=9)
SETTINGS = {
    "reset": Setting(SHORT, AgentConfig(hidden_size=3)),
    "two_steps": Setting(replace(SHORT, trial_length=2), AgentConfig(hidden_size=3)),
    "carried": Setting(SHORT, AgentConfig(hidden_size=3, carry_state=True)),
    "timeout": Setting(replace(SHORT, timeout=True), AgentConfig(hidden_size=3)),
    "timeout_carried": Setting(
        replace(SHORT, timeout=True), AgentConfig(hidden_size=3, carry_state=True)
    ),
    "separate_trunks": Setting(SHORT, AgentConfig(hidden_size=3, separate_trunks=True)),
    "separate_trunks_carried": Setting(
        SHORT, AgentConfig(hidden_size=3, carry_state=True, separate_trunks=True)
    ),
}
all_settings = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS.keys())


class Played(NamedTuple):
    agent: AgentConfig
    layout: Layout
    rollout: Rollout
    parameters: Tensor
    draws: Draws
    episode: Episode


def play(setting: Setting, seeds: tuple[int, ...] = (0, 1)) -> Played:
    """The first episode of a population in double precision."""
    task = setting.task
    layout = Layout(setting.agent, task.num_stimuli)
    parameters = layout.initial_parameters(seeds).double().requires_grad_()
    draws = first_draws(task, seeds)
    rollout = Rollout(task, setting.agent)
    episode = rollout.play(layout.weights(parameters), draws)
    return Played(setting.agent, layout, rollout, parameters, draws, episode)


def first_draws(task: TaskConfig, seeds: tuple[int, ...]) -> Draws:
    draws = DrawSource(task, seeds).next(1)
    return Draws(draws.trials[0], draws.noise[0])


def assert_gradients_reach(played: Played, episode: Episode) -> None:
    """Asserts that each step's outputs have gradients to exactly the parameters behind them.

    Raises:
        AssertionError: one has not; the message names the output and the parameters.
    """
    agent, layout, _, parameters, _, _ = played
    replicas, trials, steps = episode.actions.shape
    for field in FIELDS:
        output: Tensor = getattr(episode, field)
        assert output.requires_grad, f"{field} is detached"
        for trial in range(trials):
            for step in range(steps):
                # Replicas are independent, so row r is the gradient of replica r's output.
                (gradient,) = torch.autograd.grad(
                    output[:, trial, step].sum(),
                    parameters,
                    retain_graph=True,
                    materialize_grads=True,
                )
                for replica in range(replicas):
                    start = 0 if agent.carry_state else trial
                    seen = episode.observations[replica, start : trial + 1].flatten(0, 1)
                    seen = seen[: len(seen) - steps + step + 1]  # (steps since the reset, S)
                    expected = parameters_behind(agent, field, seen)
                    for name, part in layout.named(gradient).items():
                        assert torch.equal(part[replica] != 0, expected[name]), (
                            f"{field} of replica {replica}, trial {trial}, step {step}: {name}"
                        )
                    num_expected = sum(int(part.sum()) for part in expected.values())
                    assert gradient[replica].count_nonzero() == num_expected, "padding"


def parameters_behind(agent: AgentConfig, field: str, seen: Tensor) -> dict[str, Tensor]:
    """Masks of the parameters that an output can depend on, shaped as in `Layout.named`.

    Args:
        agent: the architecture.
        field: name of the output in `Episode`.
        seen: the observations since the state was zero, up to this step.
    """
    # At its first step, an LSTM has no state to read or forget.
    remembers = len(seen) > 1
    by_gate = torch.stack([seen.any(dim=0)] * 4, dim=1)  # (S, gates)
    by_gate[:, FORGET_GATE] = seen[1:].any(dim=0)
    gates = torch.ones(1, 4, dtype=torch.bool)
    gates[:, FORGET_GATE] = remembers
    hidden_size = agent.hidden_size
    reads_value = field == "values"
    columns = torch.tensor([[not reads_value] * 3 + [reads_value]])
    in_trunk = {
        "input_weight": by_gate.repeat_interleave(hidden_size, dim=1),
        "recurrent_weight": torch.full((hidden_size, 4 * hidden_size), remembers),
        "input_bias": gates.repeat_interleave(hidden_size, dim=1),
        "recurrent_bias": gates.repeat_interleave(hidden_size, dim=1),
        "head_weight": columns.repeat(hidden_size, 1),
        "head_bias": columns,
    }
    masks = {}
    for name, mask in in_trunk.items():
        masks[name] = torch.zeros(agent.num_trunks, *mask.shape, dtype=torch.bool)
        masks[name][-1 if reads_value else 0] = mask
    return masks


@all_settings
def test_gradients_survive_collection(setting: Setting) -> None:
    played = play(setting)
    assert_gradients_reach(played, played.episode)


@all_settings
def test_samples_and_observations_have_no_gradient(setting: Setting) -> None:
    episode = play(setting).episode
    for field in ("trials", "observations", "actions", "rewards"):
        assert not getattr(episode, field).requires_grad


def from_python_floats(output: Tensor) -> Tensor:
    """The notes' bug: collects Python floats in a list, then makes a new tensor of them."""
    collected: list[float] = []
    for trial in output.unbind(dim=1):
        collected.extend(trial.flatten().tolist())
    shape = (output.shape[1], len(output), *output.shape[2:])
    return torch.tensor(collected, dtype=output.dtype).view(shape).transpose(0, 1).requires_grad_()


def last_trial_detached(output: Tensor) -> Tensor:
    return torch.cat([output[:, :-1], output[:, -1:].detach()], dim=1)


@pytest.mark.parametrize("broken", [Tensor.detach, from_python_floats, last_trial_detached])
@pytest.mark.parametrize("field", FIELDS)
def test_a_broken_collection_is_caught(field: str, broken: Callable[[Tensor], Tensor]) -> None:
    played = play(SETTINGS["reset"])
    output = getattr(played.episode, field)
    episode = played.episode._replace(**{field: broken(output)})
    assert torch.equal(getattr(episode, field), output)
    with pytest.raises(AssertionError, match=field):
        assert_gradients_reach(played, episode)


def test_a_state_detached_between_trials_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def detaching(
        agent: AgentConfig, weights: Weights, observations: Tensor, state: State | None
    ) -> tuple[Outputs, State]:
        outputs, after = unroll(agent, weights, observations, state)
        return outputs, State(after.hidden.detach(), after.cell.detach())

    monkeypatch.setattr("pwm.core.rollout.unroll", detaching)
    played = play(SETTINGS["carried"])
    with pytest.raises(AssertionError, match="trial 1"):
        assert_gradients_reach(played, played.episode)


@st.composite
def any_setting(draw: st.DrawFn) -> Setting:
    trial_length = draw(st.integers(2, 4))
    return Setting(
        TaskConfig(
            stimulus_set=draw(st.sampled_from(list(STIMULUS_SETS))),
            trial_length=trial_length,
            episode_length=trial_length * draw(st.integers(1, 5)),
            timeout=draw(st.booleans()),
            hold_reward=draw(st.sampled_from([0.0, 0.25])),
        ),
        AgentConfig(
            hidden_size=draw(st.integers(1, 10)),
            carry_state=draw(st.booleans()),
            separate_trunks=draw(st.booleans()),
        ),
    )


@given(any_setting(), st.integers(0, 1000))
def test_an_episode_and_its_gradients_agree_with_a_direct_unroll(
    setting: Setting, seed: int
) -> None:
    task = setting.task
    _, layout, _, parameters, draws, episode = play(setting, (seed, seed + 1))
    generator = torch.Generator().manual_seed(seed)
    factors = [
        torch.randn(episode.values.shape, generator=generator, dtype=torch.float64) for _ in FIELDS
    ]
    outputs = [getattr(episode, field) for field in FIELDS]
    (gradient,) = torch.autograd.grad(outputs, parameters, factors)
    named, gradients = layout.named(parameters), layout.named(gradient)

    letters = STIMULUS_SETS[task.stimulus_set]
    for replica in range(2):
        plain_agent = PlainAgent(named, replica)
        plain_task = PlainTask(
            task.num_stimuli, task.trial_length, timeout=task.timeout, hold_reward=task.hold_reward
        )
        plain = play_plainly(
            plain_task,
            plain_agent,
            [letters[index] for index in draws.trials[replica].tolist()],
            draws.noise[replica],
            carry_state=setting.agent.carry_state,
        )
        shown = [(*letters, "")[index] for index in episode.trials[replica].tolist()]
        assert shown == plain.shown
        for field in ("observations", "actions", "rewards", "hidden", *FIELDS):
            torch.testing.assert_close(
                getattr(episode, field)[replica], getattr(plain, field), check_dtype=False
            )
        plain_outputs = [getattr(plain, field) for field in FIELDS]
        torch.autograd.backward(plain_outputs, [factor[replica] for factor in factors])
        for name, expected in plain_agent.named(gradients=True).items():
            torch.testing.assert_close(gradients[name][replica], expected)


def midway_noise(episode: Episode) -> Tensor:
    """Noise in the middle of the interval that gives the actions taken."""
    policy = torch.softmax(episode.logits.detach(), dim=-1)
    upto = policy.cumsum(dim=-1) - policy / 2
    return upto.gather(-1, episode.actions.unsqueeze(-1)).squeeze(-1)


@pytest.mark.parametrize(
    "loss",
    [
        LossConfig(baseline="attached", policy_reduction="sum"),
        LossConfig(baseline="attached", policy_reduction="mean", discount=0.9, entropy_weight=0.1),
        LossConfig(baseline="detached", policy_reduction="sum", discount=0.5, entropy_weight=0.1),
        LossConfig(baseline="detached", policy_reduction="mean"),
    ],
    ids=lambda loss: f"{loss.baseline}-{loss.policy_reduction}",
)
@all_settings
def test_the_gradient_of_the_loss_agrees_with_finite_differences(
    setting: Setting, loss: LossConfig
) -> None:
    small = Setting(
        replace(setting.task, stimulus_set="pwm0"), replace(setting.agent, hidden_size=2)
    )
    _, layout, rollout, parameters, draws, episode = play(small, seeds=(0,))
    draws = draws._replace(noise=midway_noise(episode))
    # Changing the padding would change the function, so only the rest is varied.
    indices = torch.arange(parameters.numel()).view(1, -1)
    varied = torch.cat([part.flatten() for part in layout.named(indices).values()])

    def outputs(vector: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        parameters = torch.zeros(indices.numel(), dtype=torch.float64).index_put((varied,), vector)
        episode = rollout.play(layout.weights(parameters.view(1, -1)), draws)
        returns = discounted_returns(episode.rewards.flatten(1).double(), loss.discount)
        advantages = returns - episode.values.flatten(1)
        return episode.log_probs.flatten(1), episode.entropies.flatten(1), advantages

    def total(vector: Tensor) -> Tensor:
        log_probs, entropies, advantages = outputs(vector)
        return episode_losses(log_probs, entropies, advantages, advantages, 2.0, loss).total

    start = parameters.detach()[0, varied].requires_grad_()
    advantages_at_start = outputs(start)[2].detach()

    def total_with_constant_advantages(vector: Tensor) -> Tensor:
        log_probs, entropies, advantages = outputs(vector)
        rest = episode_losses(0 * log_probs, entropies, advantages, advantages, 2.0, loss).total
        return rest + policy_loss(log_probs, advantages_at_start, reduction=loss.policy_reduction)

    function = total if loss.baseline == "attached" else total_with_constant_advantages
    assert torch.autograd.gradcheck(function, start)
    by_total, by_function = (torch.autograd.grad(f(start), start)[0] for f in (total, function))
    torch.testing.assert_close(by_total, by_function)


def test_actions_follow_the_policy(engine: EngineName) -> None:
    task = TaskConfig(stimulus_set="pwm0", trial_length=3, episode_length=3 * 8000)
    layout = Layout(AgentConfig(), task.num_stimuli)
    parameters = 4 * layout.initial_parameters([0])  # far from uniform
    episode = play_by(engine, task, AgentConfig(), parameters, first_draws(task, (0,)))
    for pair in range(task.num_pairs):
        trials = episode.trials[0] == pair
        for step in range(task.trial_length):
            policy = torch.softmax(episode.logits[0, trials, step][0].double(), dim=-1)
            taken = torch.bincount(episode.actions[0, trials, step], minlength=3)
            expected = int(trials.sum()) * policy
            assert policy.max() - policy.min() > 0.05
            assert stats.chisquare(taken, expected).pvalue > 1e-3


def play_with_logits(engine: EngineName, logits: Tensor, noise: float) -> Episode:
    """One trial of two steps for each row of logits [R, 3], under the same noise."""
    task = TaskConfig(stimulus_set="pwm0", trial_length=2, episode_length=2)
    agent = AgentConfig(hidden_size=1)
    layout = Layout(agent, task.num_stimuli)
    parameters = torch.zeros_like(layout.initial_parameters(range(len(logits))))
    layout.named(parameters)["head_bias"][:, 0, 0, :3] = logits
    trials = torch.zeros((len(logits), 1), dtype=torch.int64)
    draws = Draws(trials, torch.full((len(logits), 1, 2), noise))
    return play_by(engine, task, agent, parameters, draws)


LARGEST_NOISE = 1 - 2**-24


def test_noise_chooses_the_action_in_whose_interval_it_falls(engine: EngineName) -> None:
    policy = torch.tensor([[0.25, 0.5, 0.25]])
    intervals = {0: (0.0, 0.2499), 1: (0.2501, 0.7499), 2: (0.7501, LARGEST_NOISE)}
    for action, noises in intervals.items():
        for noise in noises:
            episode = play_with_logits(engine, policy.log(), noise)
            assert episode.actions.tolist() == [[[action, action]]]
            log_prob = policy[0, action].log().expand(1, 1, 2)
            torch.testing.assert_close(episode.log_probs, log_prob)


@pytest.mark.parametrize("noise", [0.0, LARGEST_NOISE])
@pytest.mark.parametrize("impossible", [0, 1, 2])
def test_an_action_of_probability_zero_is_never_taken(
    impossible: int, noise: float, engine: EngineName
) -> None:
    logits = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
    logits[:, impossible] = -200  # its probability underflows
    assert impossible not in play_with_logits(engine, logits, noise).actions.unique().tolist()


@pytest.mark.parametrize("timeout", [False, True])
def test_trials_are_independent_when_the_state_is_reset(timeout: bool, engine: EngineName) -> None:
    setting = Setting(
        TaskConfig(stimulus_set="pwm5", trial_length=3, episode_length=18, timeout=timeout),
        AgentConfig(hidden_size=5),
    )
    _, _, _, parameters, draws, _ = play(setting)
    # Noise of zero holds, so there are no violations and no blank trials.
    draws = draws._replace(noise=draws.noise * torch.tensor([0, 0, 1]))
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    episode = play_by(engine, *setting, parameters, draws)
    in_order = Draws(*(part[:, order] for part in draws))
    permuted = play_by(engine, *setting, parameters, in_order)
    assert torch.equal(permuted.actions, episode.actions[:, order])
    for field in ("observations", "rewards", "logits", *FIELDS):
        torch.testing.assert_close(getattr(permuted, field), getattr(episode, field)[:, order])


@pytest.mark.parametrize("separate_trunks", [False, True])
def test_only_a_carried_state_distinguishes_equal_trials(
    separate_trunks: bool, engine: EngineName
) -> None:
    ab_three_times = torch.zeros((1, 3), dtype=torch.int64)
    values = {}
    for carry_state in (False, True):
        setting = Setting(
            SHORT,
            AgentConfig(hidden_size=5, carry_state=carry_state, separate_trunks=separate_trunks),
        )
        _, _, _, parameters, draws, _ = play(setting, seeds=(0,))
        ab_three = Draws(ab_three_times, draws.noise)
        values[carry_state] = play_by(engine, *setting, parameters, ab_three).values.double()
    reset, carried = values[False][0], values[True][0]
    torch.testing.assert_close(reset, reset[:1].expand_as(reset))
    torch.testing.assert_close(carried[0], reset[0])
    for one, other in ((0, 1), (1, 2)):
        assert (carried[one] - carried[other]).abs().min() > 1e-4


def test_a_rollout_has_the_precision_of_the_parameters() -> None:
    setting = SETTINGS["timeout_carried"]
    double = play(setting)
    single = double.rollout.play(double.layout.weights(double.parameters.float()), double.draws)
    for field in ("logits", *FIELDS):
        assert getattr(double.episode, field).dtype == torch.float64
        assert getattr(single, field).dtype == torch.float32
