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

    trials: Tensor  # (R, N): index of the pair, or `num_pairs` for a blank trial
    observations: Tensor  # (R, N, L, S)
    actions: Tensor  # (R, N, L)
    rewards: Tensor  # (R, N, L)
    logits: Tensor  # (R, N, L, actions)
    log_probs: Tensor  # (R, N, L): of the actions taken
    entropies: Tensor  # (R, N, L): of the policy, in nats
    values: Tensor  # (R, N, L)
    head_values: Tensor  # (R, N, L): the values, with gradients to the value head alone
    hidden: Tensor  # (R, N, L, units): of the LSTM that the policy reads

    @property
    def rewarded(self) -> Tensor:
        """Whether each trial was rewarded at its last step, (R, N): 0 or 1."""
        return (self.rewards[..., -1] > 0).to(self.rewards.dtype)


class Draws(NamedTuple):
    """Random draws for one episode, or for E episodes with a further leading axis."""

    trials: Tensor  # (R, N): pair indices, int64
    noise: Tensor  # (R, N, L): uniform on [0, 1)


class DrawSource:
    """Random draws for the episodes of R replicas, in order.

    Args:
        task: task, which sets how many draws an episode needs.
        seeds: seed of each replica.
        of_probes: whether the draws are for probes, which have streams of their own.
    """

    def __init__(self, task: TaskConfig, seeds: Sequence[int], *, of_probes: bool = False) -> None:
        self._task = task
        self._trials = Streams(seeds, "probe trials" if of_probes else "trials")
        self._actions = Streams(seeds, "probe actions" if of_probes else "actions")

    def next(self, num_episodes: int) -> Draws:
        """The draws of the next E episodes: trials [E, R, N] and noise [E, R, N, L]."""
        task = self._task
        num_trials = num_episodes * task.num_trials
        trials = to_index(self._trials.draw(num_trials), task.num_pairs)
        noise = to_uniform(self._actions.draw(num_trials * task.trial_length))
        shape = (len(trials), num_episodes, task.num_trials)
        by_replica = trials.reshape(shape), noise.reshape(*shape, task.trial_length)
        return Draws(*(torch.from_numpy(each).transpose(0, 1).contiguous() for each in by_replica))

    def skip(self, num_episodes: int) -> None:
        """Skips the draws of the first episodes; only before anything is drawn."""
        num_trials = num_episodes * self._task.num_trials
        self._trials.skip(num_trials)
        self._actions.skip(num_trials * self._task.trial_length)


class Rollout:
    """Plays a task with an agent.

    Trials are played in parallel, or one after the other if the state is carried or a violation
    costs a timeout.
    """

    def __init__(self, task: TaskConfig, agent: Agent, device: torch.device | str = "cpu") -> None:
        self._task = task
        self._agent = agent
        self._observations = torch.from_numpy(observation_table(task)).to(device)
        self._rewards = torch.from_numpy(reward_table(task)).to(device)

    def play(self, parameters: Tensor, draws: Draws) -> Episode:
        """Plays one episode.

        Args:
            parameters: [R, P]; the episode stays differentiable in them, and has their precision.
            draws: trials [R, N] and noise [R, N, L].
        """
        weights = self._agent.weights(parameters)
        task, carry = self._task, self._agent.config.carry_state
        trials_per_call = 1 if carry or task.timeout else task.num_trials
        blank_next = torch.zeros_like(draws.trials[:, :1], dtype=torch.bool)  # (R, 1)
        state: State | None = None
        played = []
        for start in range(0, task.num_trials, trials_per_call):
            chosen = slice(start, start + trials_per_call)
            trials = draws.trials[:, chosen].masked_fill(blank_next, task.num_pairs)
            observations = self._observations[trials].to(parameters.dtype)
            outputs, state = self._agent.unroll(weights, observations, state if carry else None)
            chunk = self._act(trials, observations, outputs, draws.noise[:, chosen])
            if task.timeout:
                violation = (chunk.actions[..., :-1] != Action.HOLD).any(dim=-1)
                blank_next = violation & (trials != task.num_pairs)
            played.append(chunk)
        if len(played) == 1:
            return played[0]
        return Episode(*(torch.cat(chunks, dim=1) for chunks in zip(*played, strict=True)))

    def _act(
        self, trials: Tensor, observations: Tensor, outputs: Outputs, noise: Tensor
    ) -> Episode:
        """Samples the actions of trials [R, N'] from the agent's outputs, and rewards them."""
        log_policy = torch.log_softmax(outputs.logits, dim=-1)
        policy = log_policy.exp()
        # Inverse transform sampling: the action is the number of cumulative probabilities not
        # above the threshold. The noise is scaled by the last of them, which rounding leaves just
        # off 1, so that no last action of probability 0 is ever chosen.
        cumulative = policy.detach().cumsum(dim=-1)
        threshold = noise.unsqueeze(-1) * cumulative[..., -1:]
        chosen = (threshold >= cumulative[..., :-1]).sum(dim=-1, keepdim=True)
        return Episode(
            trials=trials,
            observations=observations,
            actions=chosen.squeeze(-1),
            rewards=self._rewards[trials].gather(-1, chosen).squeeze(-1),
            logits=outputs.logits,
            log_probs=log_policy.gather(-1, chosen).squeeze(-1),
            entropies=-(policy * log_policy).sum(dim=-1),
            values=outputs.values,
            head_values=outputs.head_values,
            hidden=outputs.hidden,
        )
