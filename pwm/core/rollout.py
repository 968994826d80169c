"""Plays episodes. What it returns is still attached to the graph of the parameters.

Shapes: R replicas, N trials, L steps a trial.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pwm.core.agent import Agent, Outputs, State
from pwm.core.streams import Streams, to_index, to_uniform
from pwm.core.task import Action, TaskConfig, observation_table, reward_table


class Episode(NamedTuple):
    """One episode of a population.

    Log-probabilities, values and entropies carry gradients to the parameters they were
    played with; actions and rewards are samples and carry none.
    """

    trials: Tensor  # (R, N): index of the pair shown; the number of pairs for a blank trial
    observations: Tensor  # (R, N, L, S)
    actions: Tensor  # (R, N, L)
    rewards: Tensor  # (R, N, L)
    logits: Tensor  # (R, N, L, actions)
    log_probs: Tensor  # (R, N, L): of the actions taken
    entropies: Tensor  # (R, N, L): of the policy at each step, nats
    values: Tensor  # (R, N, L)
    head_values: Tensor  # (R, N, L): the same, with gradients to the value head alone

    @property
    def decision_rewards(self) -> Tensor:
        """Whether each trial was rewarded at its last step, (R, N): 0 or 1."""
        return self.rewards[..., -1]


class Draws(NamedTuple):
    """The chance of one episode, or of many when it has a leading axis more."""

    trials: Tensor  # (R, N): pair indices, int64
    noise: Tensor  # (R, N, L): uniform on [0, 1)


class DrawSource:
    """The chance of each replica's episodes, in order.

    Args:
        task: what is played.
        seeds: one a replica.
        of_probes: whether these are episodes that do not train, which have chance of their own.
    """

    def __init__(
        self, task: TaskConfig, seeds: tuple[int, ...], *, of_probes: bool = False
    ) -> None:
        self._task = task
        self._trials = Streams(seeds, "probe trials" if of_probes else "trials")
        self._actions = Streams(seeds, "probe actions" if of_probes else "actions")

    def next(self, num_episodes: int) -> Draws:
        """The draws of the next episodes E: trials [E, R, N] and noise [E, R, N, L]."""
        task = self._task
        num_trials = num_episodes * task.num_trials
        trials = to_index(self._trials.draw(num_trials), task.num_pairs)
        noise = to_uniform(self._actions.draw(num_trials * task.trial_length))
        shape = (len(trials), num_episodes, task.num_trials)
        return Draws(
            _episodes_first(trials.reshape(shape)),
            _episodes_first(noise.reshape(*shape, task.trial_length)),
        )

    def skip(self, num_episodes: int) -> None:
        """Passes over the draws of the first episodes; only before anything is drawn."""
        num_trials = num_episodes * self._task.num_trials
        self._trials.skip(num_trials)
        self._actions.skip(num_trials * self._task.trial_length)


def _episodes_first(draws: NDArray[np.int64] | NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(draws.swapaxes(0, 1)))


class Rollout:
    """The task and the agent together.

    Trials that depend on nothing before them are played side by side; if the state is
    carried or a violation costs a timeout, they are played one after the other.

    Args:
        task: what is played.
        agent: who plays.
        device: where the population lives.
    """

    def __init__(self, task: TaskConfig, agent: Agent, device: torch.device | str = "cpu") -> None:
        self._task = task
        self._agent = agent
        self._observations = torch.from_numpy(observation_table(task)).to(device)
        self._rewards = torch.from_numpy(reward_table(task)).to(device)

    def play(self, parameters: Tensor, draws: Draws) -> Episode:
        """Plays one episode.

        Args:
            parameters: [R, P].
            draws: trials [R, N] and noise [R, N, L].
        Returns:
            The episode, attached to the parameters.
        """
        weights = self._agent.weights(parameters)
        task, carry = self._task, self._agent.config.carry_state
        at_once = 1 if carry or task.timeout else task.num_trials
        violated: Tensor | None = None  # (R, 1): whether the last trial costs a timeout
        state: State | None = None
        played = []
        for start in range(0, task.num_trials, at_once):
            trials = draws.trials[:, start : start + at_once]
            noise = draws.noise[:, start : start + at_once]
            if violated is not None:
                trials = trials.masked_fill(violated, task.num_pairs)
            observations = self._observations[trials].to(parameters.dtype)
            outputs, state = self._agent.unroll(weights, observations, state if carry else None)
            part = self._act(trials, observations, outputs, noise)
            if task.timeout:
                violation = (part.actions[..., :-1] != Action.HOLD).any(dim=-1)
                violated = violation & (trials != task.num_pairs)
            played.append(part)
        return played[0] if len(played) == 1 else _join(played)

    def _act(
        self, trials: Tensor, observations: Tensor, outputs: Outputs, noise: Tensor
    ) -> Episode:
        log_policy = torch.log_softmax(outputs.logits, dim=-1)
        policy = log_policy.exp()
        # Inverse transform sampling: the action is the number of cumulative probabilities that
        # the noise has passed. It is scaled to the last of them, which rounding leaves beside
        # 1, so that it never passes that one, nor an action of probability 0 at the end.
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
        )


def _join(parts: list[Episode]) -> Episode:
    return Episode(*(torch.cat(pieces, dim=1) for pieces in zip(*parts, strict=True)))
