"""Plays one `rollout.Episode` of a population; computes its advantages, losses and metrics.

By default, the losses are those of the example in `pwm.core`. Options of `LossConfig` change the
returns, scale the errors, or choose what gradients reach; `pwm.training.loss_options` has others.

Shapes: R replicas, N trials, L steps per trial, T = N L steps per episode.
"""

from __future__ import annotations

from typing import NamedTuple, assert_never

import torch
from torch import Tensor

from pwm.core.agent import Weights
from pwm.core.returns import discounted_returns
from pwm.core.rollout import Draws, Episode, Rollout
from pwm.training.history import METRICS
from pwm.training.loss_config import LossConfig
from pwm.training.loss_options import (
    Losses,
    bootstrapped_returns,
    episode_losses,
    partly_attached,
)


class Scales(NamedTuple):
    """Scales of an episode's errors, [R] each: A = ((G - centre) / spread - v) / error_scale.

    G are returns in units of reward. An output v of the value head stands for the value
    centre + spread * v in these units. By default, the centre is 0 and the others are 1: A = G - v.
    Some values of `LossConfig.returns` and `LossConfig.balance` set them anew after each update
    (`pwm.training.balance.episode_scales`).
    """

    centre: Tensor  # in reward
    spread: Tensor  # in reward per unit of v
    error_scale: Tensor
    critic_factor: Tensor  # multiplies the critic weight


class Played(NamedTuple):
    """An episode of R replicas and its losses."""

    episode: Episode
    returns: Tensor  # (R, T): Monte Carlo returns, in reward
    values: Tensor  # (R, T): in reward
    scales: Scales  # of the errors
    losses: Losses


def play_episode(
    rollout: Rollout,
    weights: Weights,
    draws: Draws,
    config: LossConfig,
    critic_weights: Tensor,
    scales: Scales,
) -> Played:
    """Plays one episode, given the weights and draws; computes its losses.

    Critic weights are [R], before they are multiplied by `scales.critic_factor`.
    """
    episode = rollout.play(weights, draws)
    raw_values = episode.values.flatten(1)  # v, (R, T)
    centre, spread, error_scale, _ = (scale.unsqueeze(1) for scale in scales)  # (R, 1) each
    by_trial = config.return_horizon == "trial"
    # One row per trial, (R N, L), or per episode, (R, T), so that returns end with it.
    rewards = episode.rewards.flatten(0, 1) if by_trial else episode.rewards.flatten(1)

    def errors_of(v: Tensor, *, leaking: bool = False) -> Tensor:
        """Errors A of the outputs v, [R, T]; if leaking, gradients reach values in the targets."""
        values = (centre + spread * (v if leaking else v.detach())).reshape_as(rewards)
        returns = bootstrapped_returns(rewards, values, config.discount, config.trace_decay)
        return ((returns.reshape_as(v) - centre) / spread - v) / error_scale

    errors = advantages = errors_of(raw_values)  # by default, G - v
    if config.leaking_targets:
        # The policy loss's gradient also reaches v_t through the targets of earlier steps s. With
        # discount γ, ∂total/∂v_t gains -c γ (1 - λ) Σ_s<t (γ λ)^(t-s-1) log π(a_s) ≥ 0.
        advantages = errors_of(raw_values, leaking=True)
    match config.baseline:
        case "attached" | "detached":
            pass
        case "attached_head" | "attached_trunk":
            head_values = head_values_of(rollout, weights, draws)
            head_advantages = errors_of(head_values, leaking=config.leaking_targets)
            advantages = partly_attached(advantages, head_advantages, config.baseline)
        case _:
            assert_never(config.baseline)
    losses = episode_losses(
        log_probs=episode.log_probs.flatten(1),
        entropies=episode.entropies.flatten(1),
        errors=errors,
        advantages=advantages,
        critic_weight=critic_weights * scales.critic_factor,
        config=config,
    )
    # For metrics and running statistics; the losses use the targets above.
    returns = discounted_returns(rewards, config.discount).reshape_as(raw_values)
    return Played(episode, returns, centre + spread * raw_values, scales, losses)


def head_values_of(rollout: Rollout, weights: Weights, draws: Draws) -> Tensor:
    """Plays the episode again; outputs v, [R, T], whose gradients reach the heads' weights only."""
    of_heads = weights._replace(
        input_weight=weights.input_weight.detach(),
        recurrent_weight=weights.recurrent_weight.detach(),
        bias=weights.bias.detach(),
    )
    return rollout.play(of_heads, draws).values.flatten(1)  # the same draws give the same actions


def episode_metrics(played: Played, config: LossConfig) -> Tensor:
    """Metrics of an episode in the order of `METRICS`, detached: [metrics, R]."""
    episode, losses = played.episode, played.losses
    reward_per_error = played.scales.spread * played.scales.error_scale
    policy_loss = losses.policy
    if not config.normalise_advantages:  # normalised advantages have no unit
        policy_loss = policy_loss * reward_per_error
    metrics = {
        "reward": _mean(episode.rewarded),  # fraction of trials
        "value_loss": losses.squared_error * reward_per_error.square(),
        "policy_loss": policy_loss,
        "entropy": _mean(episode.entropies.flatten(1)),
        "critic_bias": _mean(played.values - played.returns),
    }
    return torch.stack([metrics[name] for name in METRICS]).detach()


def _mean(terms: Tensor) -> Tensor:
    """Mean over the last axis, of steps or trials: [R] from [R, T] or [R, N]."""
    return terms.contiguous().mean(dim=-1)  # the order of summation depends on the memory layout
