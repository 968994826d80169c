"""One update of a population, in PyTorch: play an episode, differentiate its losses, step.

This engine is the definition of training. Shapes: R replicas, P parameters, N trials, T steps
per episode, E episodes.
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
from pwm.core.diagnostics import Steps
from pwm.core.errors import InputError, require
from pwm.core.losses import LossConfig, Losses, discounted_returns, episode_losses
from pwm.core.rollout import Draws, Episode, Rollout

SMOOTHING = 0.99
EPSILON = 1e-8
DEVICES = ("cpu", "cuda", "mps")


class RMSprop:
    """`torch.optim.RMSprop` with its defaults, and one learning rate per replica.

    Source: Tieleman & Hinton (2012), lecture 6.5; epsilon is added outside the root.

    Args:
        parameters: [R, P], updated in place.
        learning_rates: [R].
    """

    def __init__(self, parameters: Tensor, learning_rates: Tensor) -> None:
        self.parameters = parameters.detach()  # the same memory
        self.square_average = torch.zeros_like(self.parameters)
        self._learning_rates = learning_rates.unsqueeze(1)

    def step(self, gradient: Tensor) -> None:
        """One update along a gradient [R, P], which it overwrites."""
        self.square_average.mul_(SMOOTHING).addcmul_(gradient, gradient, value=1 - SMOOTHING)
        gradient.mul_(self._learning_rates)
        self.parameters.addcdiv_(gradient, self.square_average.sqrt().add_(EPSILON), value=-1)


class TorchEngine:
    """Trains a population in PyTorch.

    Args:
        runs: R runs that differ only in seed, critic weight and learning rate.
        device: where to train.
    Raises:
        InputError: the device does not exist on this machine.
    """

    def __init__(self, runs: tuple[TrainConfig, ...], device: str = "cpu") -> None:
        self.runs = runs
        self._device = checked_device(device)
        config = runs[0]
        agent = Agent(config.agent, config.task.num_stimuli, self._device)
        self._rollout = Rollout(config.task, agent, self._device)
        initial = agent.initial_parameters([run.seed for run in runs])
        self.parameters = initial.to(self._device).requires_grad_()
        self._critic_weights = torch.tensor([run.critic_weight for run in runs]).to(self._device)
        learning_rates = torch.tensor([run.learning_rate for run in runs])
        self._optimiser = RMSprop(self.parameters, learning_rates.to(self._device))
        self._ones = torch.ones(len(runs), device=self._device)

    def train(self, draws: Draws) -> NDArray[np.float64]:
        """Trains on the draws of E episodes; returns the metrics of each, [E, metrics, R]."""
        draws = Draws(*(part.to(self._device) for part in draws))
        episodes = [
            self._update(Draws(trials, noise))
            for trials, noise in zip(draws.trials, draws.noise, strict=True)
        ]
        rewards, value, policy, entropies, errors = map(torch.stack, zip(*episodes, strict=True))
        reward, entropy, bias = (part.mean(dim=-1) for part in (rewards, entropies, errors))
        metrics = torch.stack([reward, value, policy, entropy, bias], dim=1)
        return metrics.cpu().numpy().astype(np.float64)

    def differentiate(
        self, draws: Draws, config: LossConfig, critic_weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], Steps]:
        """The gradient of one episode, and its steps; nothing is trained.

        Args:
            draws: of one episode, trials [R, N] and noise [R, N, L].
            config: the losses to differentiate.
            critic_weights: [R].
        Returns:
            The gradient of the total loss with respect to the parameters, [R, P], and the steps.
        """
        draws = Draws(*(part.to(self._device) for part in draws))
        weights = torch.from_numpy(critic_weights).to(self._device)
        episode, returns, losses = self._play(draws, config, weights)
        steps = (episode.log_probs.flatten(1), episode.values.flatten(1), returns)
        gradient = self._gradient(losses).cpu().numpy()
        return gradient, Steps(*(part.detach().cpu().numpy() for part in steps))

    def state(self) -> dict[str, NDArray[Any]]:
        """Parameters and the optimiser's state, by name."""
        return {
            "parameters": self.parameters.detach().cpu().numpy().copy(),
            "square_average": self._optimiser.square_average.cpu().numpy().copy(),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Returns to an earlier `state`."""
        with torch.no_grad():
            self.parameters.copy_(torch.from_numpy(state["parameters"]))
        self._optimiser.square_average.copy_(torch.from_numpy(state["square_average"]))

    def _update(self, draws: Draws) -> tuple[Tensor, ...]:
        """Trains on one episode; returns what its metrics are made of, detached."""
        episode, returns, losses = self._play(draws, self.runs[0].loss, self._critic_weights)
        self._optimiser.step(self._gradient(losses))
        entropies, errors = episode.entropies.flatten(1), episode.values.flatten(1) - returns
        logged = (episode.decision_rewards, losses.value, losses.policy, entropies, errors)
        return tuple(part.detach() for part in logged)

    def _play(
        self, draws: Draws, config: LossConfig, critic_weights: Tensor
    ) -> tuple[Episode, Tensor, Losses]:
        """Plays an episode; also its returns [R, T] and losses."""
        episode = self._rollout.play(self.parameters, draws)
        returns = discounted_returns(episode.rewards.flatten(1), config.discount)
        losses = episode_losses(
            episode.log_probs.flatten(1),
            episode.entropies.flatten(1),
            returns - episode.values.flatten(1),
            critic_weights,
            config,
            head_advantages=returns - episode.head_values.flatten(1),
        )
        return episode, returns, losses

    def _gradient(self, losses: Losses) -> Tensor:
        """The gradient of the total loss with respect to the parameters, [R, P]."""
        # Replicas are independent: the gradient of their sum is the gradient of each.
        (gradient,) = torch.autograd.grad(losses.total, self.parameters, self._ones)
        return gradient


def checked_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        InputError: this machine has no such device.
    """
    accepted = "cpu" + (", cuda" if torch.cuda.is_available() else "; this machine has no other")
    try:
        device = torch.device(name)
        require(device.type in DEVICES, "device", name, accepted)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError("device", name, accepted) from error
    return device


@contextmanager
def one_thread() -> Iterator[None]:
    """Runs PyTorch on one thread.

    At these sizes that is as fast, and the way work is split over threads would decide how it is
    rounded. Several cores are used by training several populations side by side.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
