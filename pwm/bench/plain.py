"""The setting of the notes (the reproduced report) in a plain PyTorch loop, for comparison."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributions import Categorical

from pwm.core.agent import NUM_OUTPUTS
from pwm.core.task import correct_actions
from pwm.training.config import TrainConfig


class PlainLoop:
    """Trains one replica of a run with the notes' agent, losses and optimiser, trial by trial.

    A trial is one call of `nn.LSTM`, an episode one step of `torch.optim.RMSprop`. Options other
    than stimuli, lengths, hidden size, critic weight and learning rate are ignored, even the seed.
    """

    def __init__(self, run: TrainConfig) -> None:
        hidden = run.agent.hidden_size
        self._run = run
        self._pairs = torch.from_numpy(run.task.pairs)
        self._correct = torch.from_numpy(correct_actions(run.task))
        self._lstm = nn.LSTM(run.task.num_stimuli, hidden)
        self._policy_head = nn.Linear(hidden, NUM_OUTPUTS - 1)
        self._value_head = nn.Linear(hidden, 1)
        layers = nn.ModuleList([self._lstm, self._policy_head, self._value_head])
        self._optimiser = torch.optim.RMSprop(layers.parameters(), lr=run.learning_rate)

    def advance(self, num_episodes: int) -> None:
        """Trains for `num_episodes`."""
        for _ in range(num_episodes):
            self._episode()

    def _episode(self) -> tuple[float, ...]:
        """Updates on one episode; returns its total reward, value loss, policy loss and entropy."""
        log_probs, values, entropies, rewards = [], [], [], []
        for _ in range(self._run.task.num_trials):
            pair = int(torch.randint(len(self._pairs), ()))
            observations = torch.zeros(self._run.task.trial_length, self._run.task.num_stimuli)
            observations[0, self._pairs[pair, 0]] = 1
            observations[-1, self._pairs[pair, 1]] = 1
            features, _ = self._lstm(observations)
            policy = Categorical(logits=self._policy_head(features))
            actions = policy.sample()
            reward = torch.zeros(len(observations))
            reward[-1] = float(actions[-1] == self._correct[pair])
            log_probs.append(policy.log_prob(actions))
            values.append(self._value_head(features).squeeze(-1))
            entropies.append(policy.entropy())
            rewards.append(reward)
        returns = torch.cat(rewards).flip(0).cumsum(0).flip(0)
        advantages = returns - torch.cat(values)  # not detached, as in the notes
        policy_loss = -(advantages * torch.cat(log_probs)).sum()
        value_loss = advantages.square().mean()
        self._optimiser.zero_grad()
        (policy_loss + self._run.critic_weight * value_loss).backward()
        self._optimiser.step()
        metrics = (returns[0], value_loss, policy_loss, torch.cat(entropies).mean())
        return tuple(metric.item() for metric in metrics)  # as a training log needs them
