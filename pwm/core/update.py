"""The update of a population in PyTorch: play an episode, differentiate its losses, step.

This is the reference engine; others must match it. Shapes: R replicas, P parameters, N trials, L
steps per trial, T = N L steps per episode, E episodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pwm.core.agent import Agent
from pwm.core.config import TrainConfig
from pwm.core.diagnostics import Trajectory
from pwm.core.history import METRICS
from pwm.core.losses import LossConfig, Losses, discounted_returns, episode_losses
from pwm.core.rollout import Draws, Episode, Rollout

SMOOTHING = 0.99
EPSILON = 1e-8


class RMSprop:
    """`torch.optim.RMSprop` with its defaults and learning rates [R]; updates parameters [R, P].

    Source: Tieleman & Hinton (2012), lecture 6.5; epsilon is added outside the root.
    """

    def __init__(self, parameters: Tensor, learning_rates: Tensor) -> None:
        self.parameters = parameters.detach()  # the same memory
        self.square_average = torch.zeros_like(self.parameters)
        self._learning_rates = learning_rates.unsqueeze(1)

    def step(self, gradient: Tensor) -> None:
        """Takes one step against a gradient [R, P], which it overwrites."""
        self.square_average.mul_(SMOOTHING).addcmul_(gradient, gradient, value=1 - SMOOTHING)
        gradient.mul_(self._learning_rates)
        self.parameters.addcdiv_(gradient, self.square_average.sqrt().add_(EPSILON), value=-1)


class TorchEngine:
    """Trains R runs that differ only in seed, critic weight and learning rate, on a device."""

    def __init__(self, runs: tuple[TrainConfig, ...], device: torch.device | str = "cpu") -> None:
        self.runs = runs
        self._device = device
        config = runs[0]
        agent = Agent(config.agent, config.task.num_stimuli, self._device)
        self._rollout = Rollout(config.task, agent, self._device)
        initial = agent.initial_parameters([run.seed for run in runs])
        self.parameters = initial.to(self._device).requires_grad_()
        self._critic_weights = torch.tensor([run.critic_weight for run in runs]).to(self._device)
        learning_rates = torch.tensor([run.learning_rate for run in runs]).to(self._device)
        self._optimiser = RMSprop(self.parameters, learning_rates)

    def train(self, draws: Draws) -> NDArray[np.float64]:
        """Trains on the draws of E episodes; returns the metrics of each, [E, metrics, R]."""
        trials, noise = (array.to(self._device) for array in draws)
        episodes = [self._update(Draws(*each)) for each in zip(trials, noise, strict=True)]
        metrics = {name: torch.stack([terms[name] for terms in episodes]) for name in METRICS}
        for name in ("reward", "entropy", "critic_bias"):  # by trial or step
            metrics[name] = metrics[name].mean(dim=-1)
        return torch.stack(list(metrics.values()), dim=1).cpu().numpy().astype(np.float64)

    def differentiate(
        self, draws: Draws, config: LossConfig, critic_weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], Trajectory]:
        """Plays one episode and differentiates its total loss, without training.

        Args:
            draws: of one episode, trials [R, N] and noise [R, N, L].
            config: the losses.
            critic_weights: [R].
        Returns:
            The gradient with respect to the parameters, [R, P], and the episode's trajectory.
        """
        draws = Draws(*(array.to(self._device) for array in draws))
        weights = torch.from_numpy(critic_weights).to(self._device)
        episode, returns, _, gradient = self._differentiate(draws, config, weights)
        tensors = (gradient, episode.log_probs.flatten(1), episode.values.flatten(1), returns)
        arrays = [tensor.detach().cpu().numpy() for tensor in tensors]
        return arrays[0], Trajectory(*arrays[1:])

    def state(self) -> dict[str, NDArray[Any]]:
        """Parameters and the optimiser's state, by name."""
        return {
            "parameters": self.parameters.detach().cpu().numpy().copy(),
            "square_average": self._optimiser.square_average.cpu().numpy().copy(),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restores an earlier `state`."""
        with torch.no_grad():
            self.parameters.copy_(torch.from_numpy(state["parameters"]))
        self._optimiser.square_average.copy_(torch.from_numpy(state["square_average"]))

    def _update(self, draws: Draws) -> dict[str, Tensor]:
        """Trains on one episode; returns its `METRICS`, [R], or their terms, [R, N] or [R, T]."""
        loss, weights = self.runs[0].loss, self._critic_weights
        episode, returns, losses, gradient = self._differentiate(draws, loss, weights)
        self._optimiser.step(gradient)
        terms = {
            "reward": episode.decision_rewards,
            "value_loss": losses.value,
            "policy_loss": losses.policy,
            "entropy": episode.entropies.flatten(1),
            "critic_bias": episode.values.flatten(1) - returns,
        }
        return {name: term.detach() for name, term in terms.items()}

    def _differentiate(
        self, draws: Draws, config: LossConfig, critic_weights: Tensor
    ) -> tuple[Episode, Tensor, Losses, Tensor]:
        """Plays one episode; returns it, its returns [R, T], losses and gradient [R, P]."""
        episode = self._rollout.play(self.parameters, draws)
        returns = discounted_returns(episode.rewards.flatten(1), config.discount)
        losses = episode_losses(
            episode.log_probs.flatten(1),
            episode.entropies.flatten(1),
            returns - episode.values.flatten(1),
            returns - episode.head_values.flatten(1),
            critic_weights,
            config,
        )
        # Replicas are independent: row r of this gradient is the gradient of replica r.
        (gradient,) = torch.autograd.grad(losses.total.sum(), self.parameters)
        return episode, returns, losses, gradient


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
