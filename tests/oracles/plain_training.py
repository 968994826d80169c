"""Training of one replica, with each rule for balancing the losses in its simplest form.

The oracle for `pwm.training.balance` and `pwm.training.update`, in double precision.
Stop-gradients, optimisers, gradient clipping and PCGrad are those of PyTorch and TorchJD.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import huber_loss
from torchjd.aggregation import PCGrad

from pwm.core.agent import VALUE
from pwm.core.rollout import Draws, Rollout
from pwm.training.config import TrainConfig
from pwm.training.parameters import Layout
from tests.oracles.plain_returns import moments, returns_of

LEAST_SCALE = 1e-4


class Played(NamedTuple):
    """Losses, rewards, returns and metrics of an episode."""

    policy: Tensor  # policy loss with the entropy bonus
    critic: Tensor  # value loss times the critic weight
    value: Tensor  # value loss without the critic weight
    rewards: NDArray[np.float64]  # [T]
    returns: NDArray[np.float64]  # [T]
    metrics: list[float]


def _optimiser(run: TrainConfig, leaf: Tensor) -> torch.optim.Optimizer:
    """Makes a PyTorch optimiser for one tensor, with the run's settings."""
    rate, decay, epsilon = run.learning_rate, run.square_decay, run.epsilon
    if run.optimizer == "adam":
        return torch.optim.Adam([leaf], rate, (run.momentum_decay, decay), eps=epsilon)
    if run.optimizer == "sgd":
        return torch.optim.SGD([leaf], rate)
    return torch.optim.RMSprop([leaf], rate, alpha=decay, eps=epsilon)


class PlainTraining:
    """Trains one replica.

    Args:
        run: the configuration, with an attached or detached baseline.
        parameters: initial parameters, [1, P], in double precision.
    """

    def __init__(self, run: TrainConfig, parameters: Tensor) -> None:
        self.run = run
        self.parameters = parameters.clone().requires_grad_()
        self._layout = Layout(run.agent, run.task.num_stimuli)
        self._rollout = Rollout(run.task, run.agent)
        self._log_variance = torch.zeros((), dtype=torch.float64, requires_grad=True)
        # One for both losses, or for the policy loss only; one for the value loss; one for the log
        # variance that the rule "uncertainty" learns.
        self._optimisers = [
            _optimiser(run, leaf) for leaf in (self.parameters, self.parameters, self._log_variance)
        ]
        self._rewards: list[NDArray[np.float64]] = []  # of all episodes so far
        self._returns: list[NDArray[np.float64]] = []  # of all episodes so far

    def update(self, draws: Draws) -> list[list[float]]:
        """Trains on the E episodes of an update: trials [E, 1, N] and noise [E, 1, N, L].

        Returns:
            The metrics of each episode.
        """
        centre, spread = self._standard()
        played = [self._play(Draws(*each), centre, spread) for each in zip(*draws, strict=True)]
        policy, critic, value = (
            torch.stack([getattr(each, name) for each in played]).mean()
            for name in ("policy", "critic", "value")
        )
        self._step(policy, critic)
        if self.run.loss.balance == "uncertainty":
            learned = torch.exp(-self._log_variance) * value.detach() / 2 + self._log_variance / 2
            (self._log_variance.grad,) = torch.autograd.grad(learned, self._log_variance)
            self._optimisers[2].step()
        self._rewards += [each.rewards for each in played]
        self._returns += [each.returns for each in played]
        if self.run.loss.balance == "popart":
            self._keep_outputs(centre, spread)
        return [each.metrics for each in played]

    def _play(self, draws: Draws, centre: float, spread: float) -> Played:
        """Plays one episode, trials [1, N] and noise [1, N, L]."""
        run, loss = self.run, self.run.loss
        episode = self._rollout.play(self._layout.weights(self.parameters), draws)
        rewards = episode.rewards.flatten().double().numpy()
        returns = returns_of(run, torch.tensor(rewards)).numpy()
        log_probs, entropies = episode.log_probs.flatten(), episode.entropies.flatten()
        error_scale = self._error_scale(len(rewards))
        values = episode.values.flatten()
        targets = returns_of(run, torch.tensor(rewards), centre + spread * values)
        targets = (targets - centre) / spread
        errors = (targets.detach() - values) / error_scale
        head_values = self._rollout.play(
            self._layout.weights(self._with_trunk_cut()), draws
        ).values.flatten()
        of_head = (targets.detach() - head_values) / error_scale
        advantages = self._advantages(errors, (targets - values) / error_scale)
        factor = 1 if loss.policy_reduction == "sum" else 1 / len(rewards)
        policy = -factor * (advantages * log_probs).sum()
        critic_errors = of_head if loss.balance == "stop-trunk" else errors
        value = self._value_loss(critic_errors)
        weight: float | Tensor = run.critic_weight
        if loss.balance == "uncertainty":
            weight = weight * torch.exp(-self._log_variance.detach()) / 2
        unit = spread * error_scale  # reward per unit of a scaled error
        metrics = (  # in the order of `METRICS`
            (rewards.reshape(-1, run.task.trial_length)[:, -1] > 0).mean(),
            (critic_errors**2).mean() * unit**2,
            policy if loss.normalise_advantages else policy * unit,
            entropies.mean(),
            (centre + spread * values).mean() - float(np.mean(returns)),
        )
        return Played(
            policy - loss.entropy_weight * factor * entropies.sum(),
            weight * value,
            value,
            rewards,
            returns,
            [torch.as_tensor(metric).item() for metric in metrics],
        )

    def _with_trunk_cut(self) -> Tensor:
        """The parameters; gradients reach those of the heads only."""
        of_heads = torch.zeros_like(self.parameters)
        of_heads[:, self._layout.trunk_size :] = 1
        return of_heads * self.parameters + (1 - of_heads) * self.parameters.detach()

    def _advantages(self, errors: Tensor, attached_errors: Tensor) -> Tensor:
        """Advantages of the policy loss, from errors with detached and with attached targets."""
        loss = self.run.loss
        advantages = errors.detach() if loss.baseline == "detached" else errors
        if loss.leaking_targets:
            advantages = attached_errors
        if loss.normalise_advantages:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        return advantages

    def _value_loss(self, errors: Tensor) -> Tensor:
        """Mean squared error, or twice Huber's loss, which has the same curvature at zero."""
        if self.run.loss.value_loss == "squared":
            return (errors**2).mean()
        assert self.run.loss.value_loss == "huber"
        return 2 * huber_loss(errors, torch.zeros_like(errors), delta=1.0)

    def _step(self, policy: Tensor, critic: Tensor) -> None:
        """Takes an optimiser step on the policy loss and the weighted value loss."""
        rule, trunk = self.run.loss.balance, slice(self._layout.trunk_size)
        (by_policy,) = torch.autograd.grad(policy, self.parameters, retain_graph=True)
        (by_critic,) = torch.autograd.grad(critic, self.parameters, retain_graph=True)
        before = self.parameters.detach().clone()
        gradients = [by_policy, by_critic] if rule == "per-loss" else [by_policy + by_critic]
        if rule == "pcgrad":
            gradients[0][:, trunk] = PCGrad()(torch.cat([by_policy, by_critic])[:, trunk])
        elif rule == "equal":
            norm = torch.linalg.vector_norm
            ratio = norm(by_policy[:, trunk]) / norm(by_critic[:, trunk])
            gradients[0][:, trunk] = by_policy[:, trunk] + ratio * by_critic[:, trunk]
        for gradient, optimiser in zip(gradients, self._optimisers, strict=False):  # one or two
            self.parameters.grad = gradient
            if self.run.loss.clip_gradient:
                torch.nn.utils.clip_grad_norm_([self.parameters], self.run.loss.clip_gradient)
            optimiser.step()
        with torch.no_grad():  # the trunk takes `trunk_rate` of its step
            moved = (self.parameters - before)[:, trunk]
            self.parameters[:, trunk] = before[:, trunk] + self.run.trunk_rate * moved

    def _moments(self, episodes: list[NDArray[np.float64]]) -> tuple[float, float]:
        """Running mean and variance over `episodes`, with the run's tracking rate."""
        return moments(episodes, self.run.loss.tracking_rate)

    def _standard(self) -> tuple[float, float]:
        """Centre and divisor that standardise the next episode's returns."""
        loss = self.run.loss
        if not self._returns:
            return 0.0, 1.0
        mean, variance = self._moments(self._returns)
        standardised = loss.returns == "standardised" or loss.balance == "popart"
        return (
            mean if loss.returns == "centred" or standardised else 0.0,
            max(variance**0.5, LEAST_SCALE) if standardised else 1.0,
        )

    def _error_scale(self, steps: int) -> float:
        """The divisor σ of errors: σ² = Var(r) + Var(γ) E(G²), with γ = 0 where a return ends."""
        if self.run.loss.balance != "return-scale" or not self._returns:
            return 1.0
        discounts = np.full(steps, self.run.loss.discount)
        of_trial = self.run.loss.return_horizon == "trial"
        length = self.run.task.trial_length if of_trial else steps
        discounts[length - 1 :: length] = 0
        mean_square, _ = self._moments([returns**2 for returns in self._returns])
        square = self._moments(self._rewards)[1] + discounts.var() * mean_square
        return max(sqrt(square), LEAST_SCALE)

    def _keep_outputs(self, centre: float, spread: float) -> None:
        """Rescales the value head so that new centre + new spread * v' = centre + spread * v."""
        new_centre, new_spread = self._standard()
        named = self._layout.named(self.parameters.detach())  # views
        named["head_weight"][0, -1, :, VALUE] *= spread / new_spread
        bias = named["head_bias"][0, -1, :, VALUE]
        bias.copy_((centre + spread * bias - new_centre) / new_spread)
