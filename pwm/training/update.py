"""The update of a population in PyTorch: play an episode, differentiate its losses, step.

This is the reference engine; others must match it. Shapes: R replicas, P parameters, N trials, L
steps per trial, T = N L steps per episode, E episodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pwm.core.agent import Agent
from pwm.core.config import TrainConfig
from pwm.core.history import METRICS
from pwm.core.losses import LossConfig, Losses, episode_losses
from pwm.core.returns import Tracked, bootstrapped_returns, discounted_returns, track
from pwm.core.rollout import Draws, Episode, Rollout
from pwm.training.balance import (
    COMBINATIONS,
    Scales,
    episode_scales,
    keep_outputs,
    learn_log_variance,
    num_states,
)
from pwm.training.diagnostics import Trajectory
from pwm.training.optimiser import Optimiser
from pwm.training.start import initial_parameters

CLIP_EPSILON = 1e-6  # added to a norm, as `torch.nn.utils.clip_grad_norm_` does


class Played(NamedTuple):
    """An episode of R replicas and its losses."""

    episode: Episode
    returns: Tensor  # (R, T), in reward, as are the values
    values: Tensor  # (R, T)
    scales: Scales
    losses: Losses


class TorchEngine:
    """Trains a population with PyTorch.

    Args:
        runs: R runs that differ only in seed, critic weight and learning rate.
        device: device to train on.
    """

    def __init__(self, runs: tuple[TrainConfig, ...], device: torch.device | str = "cpu") -> None:
        self.runs = runs
        self._device = device
        config = runs[0]
        self._agent = Agent(config.agent, config.task.num_stimuli, self._device)
        self._rollout = Rollout(config.task, self._agent, self._device)
        self.parameters = initial_parameters(runs).to(self._device).requires_grad_()
        self._critic_weights = torch.tensor([run.critic_weight for run in runs]).to(self._device)
        self._learning_rates = torch.tensor([run.learning_rate for run in runs]).to(self._device)
        rates = self._learning_rates.unsqueeze(1).repeat(1, self.parameters.shape[1])
        rates[:, : self._agent.trunk_size] *= config.trunk_rate
        memories = num_states(config.loss.balance)
        self._optimiser = Optimiser(self.parameters, rates, config, memories)
        self._tracked = self.parameters.detach().new_zeros(len(runs), len(Tracked))
        self._rows = (-1, config.horizon)  # shape of steps with a row for each episode, or trial

    def train(self, draws: Draws) -> NDArray[np.float64]:
        """Trains on the draws of E episodes; returns the metrics of each, [E, metrics, R].

        E is a multiple of the episodes per update.
        """
        trials, noise = (array.to(self._device) for array in draws)
        batch = self.runs[0].episodes_per_update
        episodes = [
            terms
            for first in range(0, len(trials), batch)
            for terms in self._update(*(part[first : first + batch] for part in (trials, noise)))
        ]
        metrics = {name: torch.stack([terms[name] for terms in episodes]) for name in METRICS}
        for name in ("reward", "entropy", "critic_bias"):  # by trial or step
            metrics[name] = metrics[name].mean(dim=-1)
        return torch.stack(list(metrics.values()), dim=1).cpu().numpy().astype(np.float64)

    def differentiate(
        self, draws: Draws, config: LossConfig, critic_weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], Trajectory]:
        """Plays one episode and differentiates its total loss, without training.

        Args:
            draws: draws of one episode: trials [R, N] and noise [R, N, L].
            config: configuration of the losses.
            critic_weights: w of each replica, [R].
        Returns:
            The gradient with respect to the parameters, [R, P], and the episode's trajectory.
        """
        draws = Draws(*(array.to(self._device) for array in draws))
        weights = torch.from_numpy(critic_weights).to(self._device)
        played = self._play(draws, config, weights, self._scales())
        gradient, episode = self._gradient(played.losses.total), played.episode
        trajectory = Trajectory(
            log_probs=_array(episode.log_probs.flatten(1)),
            values=_array(played.values),
            returns=_array(played.returns),
            hidden=_array(episode.hidden.flatten(1, 2)),
        )
        return _array(gradient), trajectory

    def state(self) -> dict[str, NDArray[Any]]:
        """Parameters, the optimiser's states and running statistics, by name; replicas first."""
        tensors = {
            "parameters": self.parameters.detach(),
            **self._optimiser.state(),
            "tracked": self._tracked,
        }
        return {name: tensor.cpu().numpy().copy(order="C") for name, tensor in tensors.items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restores an earlier `state`."""
        with torch.no_grad():
            self.parameters.copy_(torch.from_numpy(state["parameters"]))
        remembered = self._optimiser.state()
        self._optimiser.restore({name: torch.from_numpy(state[name]) for name in remembered})
        self._tracked.copy_(torch.from_numpy(state["tracked"]))

    def _update(self, trials: Tensor, noise: Tensor) -> list[dict[str, Tensor]]:
        """Trains once on episodes with trials [E, R, N] and noise [E, R, N, L].

        Returns:
            For each episode, the `METRICS`, [R], or their terms, [R, N] or [R, T].
        """
        loss, scales = self.runs[0].loss, self._scales()
        terms, value_losses, gradients = [], [], []
        for draws in zip(trials, noise, strict=True):
            played = self._play(Draws(*draws), loss, self._critic_weights, scales)
            gradients.append(self._gradients(played.losses))
            value_losses.append(played.losses.value.detach())
            self._track(played)
            terms.append(self._terms(played))
        self._step(*map(_mean, zip(*gradients, strict=True)))
        self._rebalance(scales, _mean(value_losses))
        return terms

    def _gradients(self, losses: Losses) -> tuple[Tensor, ...]:
        """Gradient of an episode's total loss, or, to combine, of the policy loss and w value loss.

        Each is [R, P].
        """
        if self.runs[0].loss.balance not in COMBINATIONS:
            return (self._gradient(losses.total),)
        weighted = self._critic_weights * losses.value  # these rules have no other factor
        return self._gradient(losses.total - weighted), self._gradient(weighted)

    def _step(self, *gradients: Tensor) -> None:
        """Combines and clips the gradients, and steps against them."""
        loss = self.runs[0].loss
        if combine := COMBINATIONS.get(loss.balance):
            policy, critic = gradients
            gradients = combine(policy, critic, self._agent.trunk_size)
        if loss.clip_gradient:
            gradients = tuple(clipped(gradient, loss.clip_gradient) for gradient in gradients)
        self._optimiser.step(*gradients)

    def _terms(self, played: Played) -> dict[str, Tensor]:
        """The `METRICS` of an episode, [R], or their terms, [R, N] or [R, T]."""
        loss, losses, episode = self.runs[0].loss, played.losses, played.episode
        unit = played.scales.spread * played.scales.error_scale  # of an error, in reward
        terms = {
            "reward": episode.rewarded,
            "value_loss": losses.squared_error * unit.square(),
            # Normalised advantages have no unit.
            "policy_loss": losses.policy if loss.normalise_advantages else losses.policy * unit,
            "entropy": episode.entropies.flatten(1),
            "critic_bias": played.values - played.returns,
        }
        return {name: term.detach() for name, term in terms.items()}

    def _play(
        self, draws: Draws, config: LossConfig, critic_weights: Tensor, scales: Scales
    ) -> Played:
        """Plays one episode of each replica and computes its losses; critic weights are [R]."""
        episode = self._rollout.play(self.parameters, draws)
        rewards = episode.rewards.flatten(1)
        # The same numbers twice; gradients of `head_values` reach the value head alone.
        values, head_values = episode.values.flatten(1), episode.head_values.flatten(1)
        error_scale = scales.error_scale.unsqueeze(1)  # (R, 1)
        targets = self._targets(rewards, values.detach(), scales, config)
        advantages = (targets - values) / error_scale
        head_advantages = (targets - head_values) / error_scale
        errors = advantages  # of the value loss, whose targets are always detached
        if config.leaking_targets:  # in the policy loss, gradients also reach the targets' values
            advantages, head_advantages = (
                (self._targets(rewards, attached, scales, config) - attached) / error_scale
                for attached in (values, head_values)
            )
        losses = episode_losses(
            episode.log_probs.flatten(1),
            episode.entropies.flatten(1),
            advantages,
            head_advantages,
            critic_weights * scales.critic_factor,
            config,
            errors,
        )
        returns = discounted_returns(rewards.reshape(self._rows), config.discount)
        values = scales.in_reward(values)
        return Played(episode, returns.reshape_as(rewards), values, scales, losses)

    def _targets(
        self, rewards: Tensor, values: Tensor, scales: Scales, config: LossConfig
    ) -> Tensor:
        """Targets of the value head, [R, T], from rewards and its own outputs, [R, T] each."""
        returns = bootstrapped_returns(
            rewards.reshape(self._rows),
            scales.in_reward(values).reshape(self._rows),
            config.discount,
            config.trace_decay,
        )
        return scales.of_head(returns.reshape_as(rewards))

    def _gradient(self, loss: Tensor) -> Tensor:
        """Gradient of a loss [R] with respect to the parameters: [R, P]."""
        # Replicas are independent: row r of this gradient is the gradient of replica r.
        if not loss.requires_grad:  # `LossConfig.lost_gradients` has cut them all
            return torch.zeros_like(self.parameters)
        # The graph may serve a second loss.
        (gradient,) = torch.autograd.grad(loss.sum(), self.parameters, retain_graph=True)
        return gradient

    def _scales(self) -> Scales:
        """Scales of the next episodes, up to the next update."""
        loss, horizon = self.runs[0].loss, self.runs[0].horizon
        return episode_scales(self._tracked, loss.balance, loss.returns, loss.discount, horizon)

    def _track(self, played: Played) -> None:
        """Updates the running statistics by an episode."""
        loss = self.runs[0].loss
        if loss.tracks:
            rewards = played.episode.rewards.flatten(1)
            track(self._tracked, rewards, played.returns, loss.tracking_rate)

    @torch.no_grad()
    def _rebalance(self, old: Scales, value_loss: Tensor) -> None:
        """Updates what `uncertainty` learns, or `popart` rescales, after an update.

        Args:
            old: scales of the update's episodes.
            value_loss: mean of their value losses, [R].
        """
        config = self.runs[0]
        if config.loss.balance == "uncertainty":
            settings = self._learning_rates, config.square_decay, config.epsilon
            learn_log_variance(self._tracked, value_loss, *settings)
        elif config.loss.balance == "popart":
            keep_outputs(*self._agent.value_head(self.parameters), old, self._scales())


def _array(tensor: Tensor) -> NDArray[np.float32]:
    """A tensor as an array, without gradients."""
    array: NDArray[np.float32] = tensor.detach().cpu().numpy()
    return array


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    """The mean of tensors of one shape, which are added in order."""
    return reduce(torch.add, tensors) / len(tensors)


def clipped(gradient: Tensor, limit: float) -> Tensor:
    """The gradient [R, P], scaled down to the limit where its norm is larger.

    As `torch.nn.utils.clip_grad_norm_` does, for each replica.
    """
    norm = gradient.square().sum(dim=1, keepdim=True).sqrt()
    return gradient * (limit / (norm + CLIP_EPSILON)).clamp(max=1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Runs PyTorch on one thread.

    At these sizes one thread is as fast, and splitting work over threads would change rounding.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
