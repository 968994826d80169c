"""Plays episodes, differentiable with respect to the agent's weights.

Shapes: R replicas, N trials, L steps per trial, S stimuli.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pwm.core.agent import AgentConfig, Outputs, State, Weights, unroll
from pwm.core.task import Action, TaskConfig, observation_table, reward_table


class Episode(NamedTuple):
    """One episode of a population, or some of its trials.

    Logits, log-probabilities, entropies and values are differentiable in the weights; actions,
    rewards and hidden states carry no gradients.
    """

    trials: Tensor  # (R, N): index of each trial's pair, or `num_pairs` if the trial is blank
    observations: Tensor  # (R, N, L, S)
    actions: Tensor  # (R, N, L)
    rewards: Tensor  # (R, N, L)
    logits: Tensor  # (R, N, L, actions)
    log_probs: Tensor  # (R, N, L): of the actions taken
    entropies: Tensor  # (R, N, L): of the policy, in nats
    values: Tensor  # (R, N, L): v, in units of reward
    hidden: Tensor  # (R, N, L, hidden size): of the LSTM that the policy reads

    @property
    def rewarded(self) -> Tensor:
        """Whether each trial was rewarded at its last step, [R, N]: 0 or 1."""
        return (self.rewards[..., -1] > 0).to(self.rewards.dtype)


class Draws(NamedTuple):
    """Random draws for one episode."""

    trials: Tensor  # (R, N): pair indices, int64
    noise: Tensor  # (R, N, L): uniform on [0, 1), to sample the actions


class Rollout:
    """Plays a task with an agent.

    Trials are played in parallel; or one by one if each depends on the previous one: with timeouts,
    or if the LSTM's state is carried, through which gradients then flow back to earlier trials.
    """

    def __init__(
        self, task: TaskConfig, agent: AgentConfig, device: torch.device | str = "cpu"
    ) -> None:
        self._task, self._agent = task, agent
        self._observations = torch.from_numpy(observation_table(task)).to(device)
        self._rewards = torch.from_numpy(reward_table(task)).to(device)

    def play(self, weights: Weights, draws: Draws) -> Episode:
        """Plays one episode, given the weights and its draws, both on the device.

        The episode has the data type of the weights, except for rewards (float32), trials and
        actions (int64).
        """
        task, carry = self._task, self._agent.carry_state
        chunk_size = 1 if carry or task.timeout else task.num_trials  # trials played in parallel
        # Whether the next trial is blank, (R, 1); stays False without timeouts.
        blank_next = torch.zeros_like(draws.trials[:, :1], dtype=torch.bool)
        state: State | None = None
        chunks = []
        for start in range(0, task.num_trials, chunk_size):
            chunk = slice(start, start + chunk_size)
            trials = draws.trials[:, chunk].masked_fill(blank_next, task.num_pairs)
            observations = self._observations[trials].to(weights.bias.dtype)
            outputs, state = unroll(self._agent, weights, observations, state if carry else None)
            played = self._act(trials, observations, outputs, draws.noise[:, chunk])
            if task.timeout:
                violation = (played.actions[..., :-1] != Action.HOLD).any(dim=-1)
                blank_next = violation & (trials != task.num_pairs)
            chunks.append(played)
        if len(chunks) == 1:
            return chunks[0]
        by_field = zip(*chunks, strict=True)  # for each field of `Episode`, a tensor per chunk
        return Episode(*(torch.cat(tensors, dim=1) for tensors in by_field))

    def _act(
        self, trials: Tensor, observations: Tensor, outputs: Outputs, noise: Tensor
    ) -> Episode:
        """Samples actions from the outputs by the noise; returns these trials as an `Episode`."""
        log_policy = torch.log_softmax(outputs.logits, dim=-1)
        policy = log_policy.exp()
        # Inverse transform sampling, with cumulative probabilities c0, c1 and c2: action 0 if
        # noise < c0, 1 if c0 ≤ noise < c1, else 2. As c2 can round to less than 1, noise is scaled
        # by it, so that an action of probability 0 is never chosen.
        cumulative = policy.detach().cumsum(dim=-1)
        threshold = noise.unsqueeze(-1) * cumulative[..., -1:]
        chosen = (threshold >= cumulative[..., :-1]).sum(dim=-1, keepdim=True)
        return Episode(
            trials=trials,
            observations=observations,
            actions=chosen.squeeze(-1),
            rewards=self._rewards[trials].gather(-1, chosen).squeeze(-1),
            log_probs=log_policy.gather(-1, chosen).squeeze(-1),
            entropies=-(policy * log_policy).sum(dim=-1),
            **outputs._asdict(),  # logits, values, hidden
        )
