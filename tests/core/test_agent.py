"""The agent agrees with PyTorch's own modules, and with the equations of the LSTM."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pwm.core.agent import AgentConfig, unroll
from pwm.core.errors import InputError
from pwm.core.task import TaskConfig, observation_table, reward_table
from pwm.runs.engines import make_trainer
from pwm.training.config import TrainConfig
from pwm.training.draws import DrawSource
from pwm.training.parameters import Layout
from tests.oracles.plain_agent import PlainAgent

Array = NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def lstm_by_hand(weights: dict[str, Array], observations: Array) -> Array:
    """Hidden states [L, H] of one trunk for observations [L, S], from the zero state."""
    hidden_size = len(weights["recurrent_weight"])
    hidden = cell = np.zeros(hidden_size)
    states = []
    for observation in observations:
        gates = observation @ weights["input_weight"] + weights["input_bias"][0]
        gates += hidden @ weights["recurrent_weight"] + weights["recurrent_bias"][0]
        enter, forget, candidate, leave = np.split(gates, 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(candidate)
        hidden = sigmoid(leave) * np.tanh(cell)
        states.append(hidden)
    return np.stack(states)


@given(
    config=st.builds(AgentConfig, hidden_size=st.integers(1, 20), separate_trunks=st.booleans()),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 6)),
    seed=st.integers(0, 1000),
)
def test_outputs_agree_with_the_equations_of_the_lstm(
    config: AgentConfig, sizes: tuple[int, int, int, int], seed: int
) -> None:
    replicas, trials, _, num_stimuli = sizes
    layout = Layout(config, num_stimuli)
    parameters = 3 * layout.initial_parameters(range(seed, seed + replicas)).double()
    observations = np.random.default_rng(seed).normal(size=sizes)
    weights = layout.weights(parameters)
    outputs, _ = unroll(config, weights, torch.from_numpy(observations), None)
    named = {name: part.numpy() for name, part in layout.named(parameters).items()}
    for replica in range(replicas):
        trunks = [
            {name: part[replica, trunk] for name, part in named.items()}
            for trunk in range(config.num_trunks)
        ]
        for trial in range(trials):
            by_trunk = []
            for trunk in trunks:
                hidden = lstm_by_hand(trunk, observations[replica, trial])
                by_trunk.append(hidden @ trunk["head_weight"] + trunk["head_bias"])
            logits, values = by_trunk[0][:, :3], by_trunk[-1][:, 3]
            np.testing.assert_allclose(outputs.logits[replica, trial], logits, atol=1e-12)
            np.testing.assert_allclose(outputs.values[replica, trial], values, atol=1e-12)


def test_unrolling_a_trial_in_two_parts_changes_nothing() -> None:
    config = AgentConfig(hidden_size=5, separate_trunks=True)
    layout = Layout(config, num_stimuli=2)
    weights = layout.weights(layout.initial_parameters([0, 1]).double())
    generator = torch.Generator().manual_seed(0)
    observations = torch.randn(2, 3, 6, 2, generator=generator, dtype=torch.float64)
    whole, _ = unroll(config, weights, observations, None)
    first, state = unroll(config, weights, observations[:, :, :2], None)
    second, _ = unroll(config, weights, observations[:, :, 2:], state)
    torch.testing.assert_close(torch.cat([first.logits, second.logits], dim=2), whole.logits)
    torch.testing.assert_close(torch.cat([first.values, second.values], dim=2), whole.values)


@pytest.mark.parametrize("hidden_size", [0, -1, 24.0, True])
def test_errors_name_the_hidden_size(hidden_size: int) -> None:
    with pytest.raises(InputError, match="--hidden-size"):
        AgentConfig(hidden_size=hidden_size)


def train_plainly(config: TrainConfig, agent: PlainAgent, updates: int) -> None:
    """Trains as the notes do, with PyTorch's own modules and optimiser, in double precision."""
    task = config.task
    optimiser = torch.optim.RMSprop(agent.parameters(), lr=config.learning_rate)
    draws = DrawSource(task, (config.seed,)).next(updates)
    shown = torch.from_numpy(observation_table(task)).double()
    pays = torch.from_numpy(reward_table(task)).double()
    for trials, noise in zip(draws.trials[:, 0], draws.noise[:, 0], strict=True):
        observations = shown[trials]  # (N, L, S)
        if config.agent.carry_state:
            observations = observations.flatten(0, 1).unsqueeze(0)  # (1, T, S)
        logits, values, _ = agent(observations)
        log_policy = logits.log_softmax(dim=-1).view(-1, 3)  # (T, 3)
        upto = log_policy.exp().cumsum(dim=-1)
        actions = (noise.view(-1, 1) >= upto[:, :2]).sum(dim=-1)
        steps = torch.arange(len(actions))
        rewards = pays[trials].view(-1, 3)[steps, actions]
        returns = rewards.flip(0).cumsum(0).flip(0)
        advantages = returns - values.flatten()
        log_probs = log_policy[steps, actions]
        loss = -(advantages * log_probs).sum() + config.critic_weight * (advantages**2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("carry_state", [False, True])
@pytest.mark.parametrize("separate_trunks", [False, True])
def test_training_agrees_with_pytorchs_own_modules(
    carry_state: bool, separate_trunks: bool
) -> None:
    updates = 50
    config = TrainConfig(
        task=TaskConfig(episode_length=15),
        agent=AgentConfig(hidden_size=24, carry_state=carry_state, separate_trunks=separate_trunks),
        critic_weight=3.0,
        learning_rate=2**-8,  # the same in single precision and in double
        num_episodes=updates,
    )
    trainer = make_trainer([config], "torch")
    layout = Layout(config.agent, config.task.num_stimuli)
    before = layout.named(trainer.parameters.detach().clone())
    plain = PlainAgent(before, replica=0)
    train_plainly(config, plain, updates)
    trainer.advance(updates)
    after = layout.named(trainer.parameters.detach())
    for name, expected in plain.named().items():
        # RMSprop turns a rounding error in a gradient near zero into an error of its sign, so
        # errors of 1e-16 grow to 1e-9 here; the parameters themselves move by 0.2 and more.
        torch.testing.assert_close(after[name][0], expected, rtol=0, atol=1e-6)
        assert (before[name][0] - expected).abs().max() > 0.1
