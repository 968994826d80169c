"""Plays episodes, differentiable with respect to the agent's parameters.

Shapes: R replicas, P parameters, N trials, L steps per trial, S stimuli.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pwm.core.agent import Agent, Outputs, State
from pwm.core.streams import Streams, to_index, to_uniform
from pwm.core.task import Action, TaskConfig, observation_table, reward_table


class Episode(NamedTuple):
    """One episode of a population.

    Logits, log-probabilities, entropies and values are differentiable in the parameters; actions,
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
    """Random draws for one episode; `DrawSource.next` returns those for E episodes, [E, R, ...]."""

    trials: Tensor  # (R, N): pair indices, int64
    noise: Tensor  # (R, N, L): uniform on [0, 1), to sample the actions


class DrawSource:
    """Source of the random draws for successive episodes of R replicas, one per seed.

    Probes, episodes that are not trained on, have separate streams.
    """

    def __init__(self, task: TaskConfig, seeds: Sequence[int], *, of_probes: bool = False) -> None:
        self._task = task
        self._trials = Streams(seeds, "probe trials" if of_probes else "trials")
        self._actions = Streams(seeds, "probe actions" if of_probes else "actions")

    def next(self, num_episodes: int) -> Draws:
        """Draws for the next E episodes: trials [E, R, N] and noise [E, R, N, L], on the CPU."""
        task = self._task
        num_trials = num_episodes * task.num_trials
        trials = torch.from_numpy(to_index(self._trials.draw(num_trials), task.num_pairs))
        noise = torch.from_numpy(to_uniform(self._actions.draw(num_trials * task.trial_length)))
        trials = trials.view(len(trials), num_episodes, task.num_trials)  # (R, E, N)
        noise = noise.view(*trials.shape, task.trial_length)  # (R, E, N, L)
        return Draws(trials.transpose(0, 1).contiguous(), noise.transpose(0, 1).contiguous())

    def skip(self, num_episodes: int) -> None:
        """Skips the draws for the next episodes, as when a run is resumed."""
        num_trials = num_episodes * self._task.num_trials
        self._trials.skip(num_trials)
        self._actions.skip(num_trials * self._task.trial_length)


class Rollout:
    """Plays a task with an agent.

    Trials are played in parallel; or one by one if each depends on the previous one: with timeouts,
    or if the LSTM's state is carried, through which gradients then flow back to earlier trials. The
    agent must be for the same device.
    """

    def __init__(self, task: TaskConfig, agent: Agent, device: torch.device | str = "cpu") -> None:
        self._task = task
        self.agent = agent
        self._observations = torch.from_numpy(observation_table(task)).to(device)
        self._rewards = torch.from_numpy(reward_table(task)).to(device)

    def play(self, parameters: Tensor, draws: Draws) -> Episode:
        """Plays one episode, given parameters [R, P] and its draws, both on the device.

        The episode has the data type of the parameters, except for rewards (float32), trials and
        actions (int64).
        """
        weights = self.agent.layout.weights(parameters)
        task, carry = self._task, self.agent.config.carry_state
        chunk_size = 1 if carry or task.timeout else task.num_trials  # trials played in parallel
        # Whether the next trial is blank, (R, 1); stays False without timeouts.
        blank_next = torch.zeros_like(draws.trials[:, :1], dtype=torch.bool)
        state: State | None = None
        chunks = []
        for start in range(0, task.num_trials, chunk_size):
            chunk = slice(start, start + chunk_size)
            trials = draws.trials[:, chunk].masked_fill(blank_next, task.num_pairs)
            observations = self._observations[trials].to(parameters.dtype)
            outputs, state = self.agent.unroll(weights, observations, state if carry else None)
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
        # Inverse transform sampling: the action's index is the number of cumulative probabilities
        # that the noise reaches. Their total can round to less than 1, so noise is scaled by it;
        # otherwise, noise near 1 could choose a last action of probability 0.
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
            **outputs._asdict(),
        )
