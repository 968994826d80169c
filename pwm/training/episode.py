"""One episode of a population in PyTorch: played, with its losses and metrics.

Shapes: R replicas, P parameters, N trials, L steps per trial, T = N L steps per episode.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pwm.core.agent import Agent
from pwm.core.config import TrainConfig
from pwm.core.history import METRICS
from pwm.core.losses import LossConfig, Losses, episode_losses
from pwm.core.returns import bootstrapped_returns, discounted_returns
from pwm.core.rollout import Draws, Episode, Rollout
from pwm.training.balance import Scales


class Played(NamedTuple):
    """An episode of R replicas and its losses."""

    episode: Episode
    returns: Tensor  # (R, T), in reward, as are the values
    values: Tensor  # (R, T)
    scales: Scales
    losses: Losses


class Player:
    """Plays episodes of a configuration's task with an agent, and computes their losses."""

    def __init__(self, config: TrainConfig, agent: Agent, device: torch.device | str) -> None:
        self._rollout = Rollout(config.task, agent, device)
        # Returns run along rows: an episode is one row, or one row per trial if they end with it.
        self._rows = (-1, config.horizon)

    def play(
        self, parameters: Tensor, draws: Draws, config: LossConfig, weights: Tensor, scales: Scales
    ) -> Played:
        """Plays one episode; its losses are differentiable in the parameters, [R, P].

        The critic weights are [R].
        """
        episode = self._rollout.play(parameters, draws)
        rewards, outputs = episode.rewards.flatten(1), episode.values.flatten(1)
        head_outputs = episode.head_values.flatten(1)  # the same numbers
        error_scale = scales.error_scale.unsqueeze(1)  # (R, 1)
        targets = self._targets(rewards, outputs.detach(), scales, config)
        errors = (targets - outputs) / error_scale  # of the value loss; its targets are detached
        advantages, head_advantages = errors, (targets - head_outputs) / error_scale
        if config.leaking_targets:  # the policy loss's gradient reaches the values in its targets
            targets = self._targets(rewards, outputs, scales, config)
            advantages = (targets - outputs) / error_scale
            head_targets = self._targets(rewards, head_outputs, scales, config)
            head_advantages = (head_targets - head_outputs) / error_scale
        losses = episode_losses(
            episode.log_probs.flatten(1),
            episode.entropies.flatten(1),
            advantages,
            head_advantages,
            weights * scales.critic_factor,
            config,
            errors,
        )
        returns = discounted_returns(rewards.reshape(self._rows), config.discount)
        values = scales.to_reward(outputs)
        return Played(episode, returns.reshape_as(rewards), values, scales, losses)

    def _targets(
        self, rewards: Tensor, outputs: Tensor, scales: Scales, config: LossConfig
    ) -> Tensor:
        """Targets of the value head, [R, T], from rewards and its own outputs, [R, T] each."""
        returns = bootstrapped_returns(
            rewards.reshape(self._rows),
            scales.to_reward(outputs).reshape(self._rows),
            config.discount,
            config.trace_decay,
        )
        return scales.from_reward(returns.reshape_as(rewards))


def episode_metrics(played: Played, config: LossConfig) -> Tensor:
    """The `METRICS` of an episode, without gradients, [metrics, R]."""
    episode, losses = played.episode, played.losses
    unit = played.scales.spread * played.scales.error_scale  # of an error, in reward
    metrics = {
        "reward": _mean(episode.rewarded),
        "value_loss": losses.squared_error * unit.square(),
        # Normalised advantages have no unit.
        "policy_loss": losses.policy if config.normalise_advantages else losses.policy * unit,
        "entropy": _mean(episode.entropies.flatten(1)),
        "critic_bias": _mean(played.values - played.returns),
    }
    return torch.stack([metrics[name] for name in METRICS]).detach()


def _mean(terms: Tensor) -> Tensor:
    """Mean over the steps or trials: [R] from [R, T] or [R, N]."""
    return terms.contiguous().mean(dim=-1)  # the order of its sums depends on the layout
