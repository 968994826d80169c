"""The update of a population in PyTorch: play episodes, differentiate their losses, step.

This is the reference engine; the fused engine must match it. Shapes: R replicas (runs trained
together), P parameters, N trials, L steps per trial, T = N L steps per episode, E episodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pwm.core.rollout import Draws, Rollout
from pwm.training.balance import (
    COMBINATIONS,
    combine,
    episode_scales,
    keep_outputs,
    learn_log_variance,
    num_states,
)
from pwm.training.config import TrainConfig
from pwm.training.diagnostics import Trajectory
from pwm.training.episode import episode_metrics, play_episode
from pwm.training.loss_config import LossConfig
from pwm.training.loss_options import Losses
from pwm.training.optimiser import Optimiser
from pwm.training.parameters import Layout
from pwm.training.start import initial_parameters
from pwm.training.tracking import Tracked, track

CLIP_EPSILON = 1e-6  # added to a norm, as `torch.nn.utils.clip_grad_norm_` does


class TorchEngine:
    """Trains R runs, which differ only in seed, critic weight and learning rate, with PyTorch."""

    def __init__(self, runs: tuple[TrainConfig, ...], device: torch.device | str = "cpu") -> None:
        self.runs = runs
        self._device = device
        self._config = config = runs[0]
        self._layout = Layout(config.agent, config.task.num_stimuli)
        self._rollout = Rollout(config.task, config.agent, device)
        self.parameters = initial_parameters(runs).to(device).requires_grad_()
        self._critic_weights = torch.tensor([run.critic_weight for run in runs]).to(device)
        self._learning_rates = torch.tensor([run.learning_rate for run in runs]).to(device)
        # Learning rate of each parameter, (R, P); the trunk's parameters are the first.
        rates = self._learning_rates.unsqueeze(1).repeat(1, self.parameters.shape[1])
        rates[:, : self._layout.trunk_size] *= config.trunk_rate
        num_gradients = num_states(config.loss.balance)
        self._optimiser = Optimiser(self.parameters, rates, config, num_gradients)
        self._tracked = self.parameters.detach().new_zeros(len(runs), len(Tracked))

    def train(self, draws: Draws) -> NDArray[np.float64]:
        """Trains on E episodes, a whole number of updates; returns metrics, [E, metrics, R]."""
        count = self._config.episodes_per_update
        trials, noise = (part.to(self._device).split(count) for part in draws)  # by update
        metrics = []
        for of_update in map(Draws, trials, noise):
            metrics += self._update(of_update)
        return _array(torch.stack(metrics)).astype(np.float64)

    def differentiate(
        self, draws: Draws, config: LossConfig, critic_weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], Trajectory]:
        """Plays one episode and differentiates its total loss, without training.

        Args:
            draws: draws for one episode: trials [R, N] and noise [R, N, L].
            config: the runs' losses, or the same with further gradients cut (`Trainer.parts`).
            critic_weights: critic weights, [R], in place of the runs' own.
        Returns:
            The gradient with respect to the parameters, [R, P], and the episode's trajectory.
        """
        draws = Draws(*(part.to(self._device) for part in draws))
        weights = self._layout.weights(self.parameters)
        critic_weight = torch.from_numpy(critic_weights).to(self._device)
        scales = episode_scales(self._tracked, self._config)
        played = play_episode(self._rollout, weights, draws, config, critic_weight, scales)
        trajectory = Trajectory(
            log_probs=_array(played.episode.log_probs.flatten(1)),
            values=_array(played.values),
            returns=_array(played.returns),
            hidden=_array(played.episode.hidden.flatten(1, 2)),
        )
        return _array(self._gradient(played.losses.total)), trajectory

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of parameters, optimiser state and running statistics, by name: [R, ...] each."""
        return {name: tensor.cpu().numpy().copy() for name, tensor in self._tensors().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restores an earlier `state`, of either engine."""
        for name, tensor in self._tensors().items():
            tensor.copy_(torch.from_numpy(state[name]))

    def _tensors(self) -> dict[str, Tensor]:
        """The tensors that training changes in place, by name: [R, ...] each."""
        parameters = self.parameters.detach()  # shares storage
        return {"parameters": parameters, **self._optimiser.state, "tracked": self._tracked}

    def _update(self, draws: Draws) -> list[Tensor]:
        """Makes one update from E episodes; returns the metrics of each episode, [metrics, R]."""
        config, loss = self._config, self._config.loss
        weights = self._layout.weights(self.parameters)
        scales = episode_scales(self._tracked, config)
        metrics, value_losses, gradients = [], [], []
        for episode in map(Draws, draws.trials, draws.noise):
            played = play_episode(
                self._rollout, weights, episode, loss, self._critic_weights, scales
            )
            metrics.append(episode_metrics(played, loss))
            value_losses.append(played.losses.value.detach())
            gradients.append(self._gradients(played.losses))
            if loss.tracks:
                rewards = played.episode.rewards.flatten(1)
                track(self._tracked, rewards, played.returns, loss.tracking_rate)
        self._step(_mean(gradients))
        if loss.balance == "uncertainty":
            learn_log_variance(self._tracked, _mean(value_losses), self._learning_rates, config)
        elif loss.balance == "popart":
            weight, bias = self._layout.value_head(self.parameters.detach())
            keep_outputs(weight, bias, scales, episode_scales(self._tracked, config))
        return metrics

    def _gradients(self, losses: Losses) -> Tensor:
        """Gradients of an episode, [gradients, R, P]: of the total loss, or of its two parts.

        Rules in `COMBINATIONS` need two: first that of the policy loss and the entropy bonus, then
        that of w times the value loss.
        """
        if self._config.loss.balance not in COMBINATIONS:
            return self._gradient(losses.total).unsqueeze(0)
        critic = self._critic_weights * losses.value  # no rule here changes `Scales.critic_factor`
        return torch.stack([self._gradient(losses.total - critic), self._gradient(critic)])

    def _gradient(self, loss: Tensor) -> Tensor:
        """Gradient of a loss [R] with respect to the parameters: [R, P]."""
        if not loss.requires_grad:  # `LossConfig.lost_gradients` has cut all of its gradients
            return torch.zeros_like(self.parameters)
        # Replicas are independent, so row r of the sum's gradient is the gradient of replica r's
        # loss. The graph is kept because `_gradients` may differentiate a second loss.
        (gradient,) = torch.autograd.grad(loss.sum(), self.parameters, retain_graph=True)
        return gradient

    def _step(self, gradients: Tensor) -> None:
        """Combines and clips mean `_gradients`, [gradients, R, P], and steps against the result."""
        loss = self._config.loss
        result = gradients.unbind(0)
        if loss.balance in COMBINATIONS:
            policy, critic = result
            result = combine(loss.balance, policy, critic, self._layout.trunk_size)
        if loss.clip_gradient:
            result = tuple(clipped(gradient, loss.clip_gradient) for gradient in result)
        self._optimiser.step(*result)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    """Converts a tensor, on any device, to an array without gradients."""
    return tensor.detach().cpu().numpy()


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    """Mean of tensors of one shape, added in their order, so that it always rounds alike."""
    return sum(tensors[1:], start=tensors[0]) / len(tensors)


def clipped(gradient: Tensor, limit: float) -> Tensor:
    """Clips the norm of each replica's gradient, [R, P], at `limit`, as `clip_grad_norm_` does."""
    norm = gradient.square().sum(dim=1, keepdim=True).sqrt()
    return gradient * (limit / (norm + CLIP_EPSILON)).clamp(max=1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Runs PyTorch on one thread in the block.

    For networks of this size, more threads are not faster, and would change the rounding.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
