"""Diagnostics of a population, measured on episodes that are not trained on.

The gradient of the total loss with respect to the trunk is the sum of three parts: the policy's, by
way of its log-probabilities; the critic's, which is the weight times the value loss's; and the
leak, which is the policy loss's by way of the values. Every sum is taken in a fixed order, so that
the diagnostics have the same bits on every machine if the gradients and the episodes do.

Shapes: R replicas, E episodes, T steps per episode, N trials, M states of a trial, H units (without
padding).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pwm.core.config import TrainConfig
from pwm.core.history import DIAGNOSTICS
from pwm.core.leak import leak_temperature

Doubles = NDArray[np.float64]
SATURATED = 0.6  # |h| above which a hidden state counts as saturated


class Trajectory(NamedTuple):
    """Quantities of one episode at each step."""

    log_probs: NDArray[np.float32]  # (R, T): of the actions taken
    values: NDArray[np.float32]  # (R, T)
    returns: NDArray[np.float32]  # (R, T)
    hidden: NDArray[np.float32]  # (R, T, H): of the LSTM that the policy reads


class GradientProbe:
    """Accumulates episodes and computes the diagnostics of their gradients."""

    def __init__(self) -> None:
        self._sums: dict[str, Doubles] = {}  # over episodes, of the terms in `add`, (R, P') each
        self._log_probs: list[NDArray[np.float32]] = []  # of each episode, (R, T)
        self._values: list[NDArray[np.float32]] = []
        self._returns: list[NDArray[np.float32]] = []

    def add(self, gradients: Sequence[NDArray[np.float32]], trajectory: Trajectory) -> None:
        """Adds an episode to the running sums.

        Args:
            gradients: parts of the gradient with respect to the trunk's P' parameters, [R, P']
                each, in this order: the policy's (with its entropy bonus), the critic's, the leak.
            trajectory: trajectory of the episode.
        """
        policy, critic, leak = (part.astype(np.float64) for part in gradients)
        total = policy + critic + leak
        terms = {
            "policy": policy,
            "policy²": policy**2,
            "critic²": critic**2,
            "leak²": leak**2,
            "total²": total**2,
            "policy · critic": policy * critic,
        }
        for name, term in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + term
        self._log_probs.append(trajectory.log_probs)
        self._values.append(trajectory.values)
        self._returns.append(trajectory.returns)

    def diagnostics(self, states: NDArray[np.int64] | None) -> Doubles:
        """The diagnostics named by `DIAGNOSTICS`, [diagnostics, R], of E >= 2 episodes.

        Args:
            states: state of the trial at each step, [R, E T]; see `pwm.core.task.trial_states`.
                None if the state is carried or trials may be blanked.
        """
        count = len(self._returns)
        mean = {name: _total(terms) / count for name, terms in self._sums.items()}  # (R,) each
        squared_mean = _total((self._sums["policy"] / count) ** 2)
        covariance_trace = (mean["policy²"] - squared_mean) * count / (count - 1)
        log_probs = _concatenated(self._log_probs)  # (R, E T)
        values, returns = _concatenated(self._values), _concatenated(self._returns)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = {
                "policy_norm": np.sqrt(mean["policy²"]),
                "critic_norm": np.sqrt(mean["critic²"]),
                "leak_norm": np.sqrt(mean["leak²"]),
                "total_norm": np.sqrt(mean["total²"]),
                "cosine": mean["policy · critic"] / np.sqrt(mean["policy²"] * mean["critic²"]),
                "signal_to_noise": (squared_mean - covariance_trace / count) / covariance_trace,
                "explained_variance": 1 - _variance(returns - values) / _variance(returns),
                "return_variance": _covariance(returns, returns, states),
                "covariance": _covariance(returns, log_probs, states) * (returns.shape[1] / count),
            }
        return np.stack([found[name] for name in DIAGNOSTICS])


class AgentProbe:
    """Accumulates episodes and computes the diagnostics of their hidden states and critics."""

    def __init__(self, config: TrainConfig, critic_weights: NDArray[np.float32]) -> None:
        self._task = config.task
        self._bias_per_nat = np.array([_bias_per_nat(config, w) for w in critic_weights.tolist()])
        loss, num_steps = config.loss, config.task.num_steps
        weights = net_weights(config.horizon, loss.discount, loss.trace_decay)
        horizons = num_steps // config.horizon
        self._value_weights = np.tile(weights, horizons)  # (T,)
        # The leak of a step also reaches the later values that its return contains.
        leak_weights = np.tile(weights[::-1], horizons)
        self._leak_weights = leak_weights if loss.leaking_targets else np.ones(num_steps)
        self._means: list[Doubles] = []  # activity, saturated and distance of each episode, (3, R)
        self._visits = np.zeros((len(critic_weights), self._task.num_pairs))  # trials of each pair
        # Sum of h at the ends of these trials, (R, pairs, H)
        self._sums = np.zeros((*self._visits.shape, config.agent.hidden_size))

    @np.errstate(invalid="ignore")
    def add(self, trajectory: Trajectory, trials: NDArray[np.int64]) -> None:
        """Adds an episode whose trials have the given pairs, [R, N]."""
        log_probs, values, returns, hidden = (part.astype(np.float64) for part in trajectory)
        sizes = np.abs(hidden).reshape(len(hidden), -1)  # (R, T H)
        errors = self._value_weights * (values - returns)
        errors += self._bias_per_nat[:, None] * log_probs * self._leak_weights  # minus b
        self._means.append(np.stack([_mean(sizes), _mean(sizes > SATURATED), _mean(errors)]))
        at_ends = hidden[:, self._task.trial_length - 1 :: self._task.trial_length]  # (R, N, H)
        replicas = np.arange(len(trials))
        for trial, pairs in enumerate(trials.T):  # pairs [R], one of each replica
            self._visits[replicas, pairs] += 1
            self._sums[replicas, pairs] += at_ends[:, trial]

    def diagnostics(self, value_weights: NDArray[np.float32]) -> Doubles:
        """The diagnostics named by `AGENT_DIAGNOSTICS`, [diagnostics, R], of E >= 1 episodes.

        The weights of the value head are [R, H].
        """
        activity, saturated, distance = _mean(np.stack(self._means, axis=-1))
        norm = np.sqrt(_total(value_weights.astype(np.float64) ** 2))
        return np.stack([activity, saturated, norm, self._trace(), distance])

    def _trace(self) -> Doubles:
        """The diagnostic `trace` of `AGENT_DIAGNOSTICS`, [R]."""
        if self._task.timeout:
            return np.full(len(self._visits), np.nan)
        second = self._task.pairs[:, 1]
        same_second = second[:, None] == second  # (pairs, pairs)

        def among_same(terms: Doubles) -> Doubles:
            """For each pair, the sum of terms over the pairs with the same second stimulus."""
            return _total(np.where(same_second, terms[..., None, :], 0.0))

        sums, visits = self._sums.swapaxes(1, 2), self._visits[:, None]  # (R, H or 1, pairs)
        with np.errstate(invalid="ignore"):  # pairs that were never shown
            deviations = sums / visits - among_same(sums) / among_same(visits)
        explained = _total(np.where(visits > 0, visits * deviations**2, 0.0))  # (R, H)
        return _mean(explained) / _total(self._visits)


def net_weights(steps: int, discount: float, trace_decay: float) -> list[float]:
    """Net weight of each value v_t in Σ_s (v_s - G_s), where the G_s are λ-returns.

    v_t has weight 1 in its own error, minus γ (1 - λ) (γ λ)^(t-s-1) in each earlier return G_s.
    In reverse order they are the factors of each step's leak in Σ_t ∂(policy loss)/∂v_t, if targets
    leak.

    Args:
        steps: steps until returns end: of an episode, or of a trial.
        discount: γ.
        trace_decay: λ; if it is 1, the weights are 1.
    Returns:
        The weight of each step t, from 0: 1 - γ (1 - λ) (1 - (γ λ)^t) / (1 - γ λ).
    """
    weights = []
    earlier_decays = 0.0  # Σ_s<t (γ λ)^(t-s-1)
    for _ in range(steps):
        weights.append(1 - discount * (1 - trace_decay) * earlier_decays)
        earlier_decays = 1 + discount * trace_decay * earlier_decays
    return weights


def _bias_per_nat(config: TrainConfig, critic_weight: float) -> float:
    """Factor of -log π(a) in the leak's bias b; nan if the critic has no known fixed point."""
    loss = config.loss
    reached = loss.baseline in ("attached", "attached_head")
    scaled = reached and loss.scales_errors
    if critic_weight == 0 or scaled or loss.value_loss == "huber":
        return nan
    if not reached:
        return 0.0
    return leak_temperature(config.task.num_steps, critic_weight, loss.policy_reduction)


def _covariance(one: Doubles, other: Doubles, states: NDArray[np.int64] | None) -> Doubles:
    """Unbiased covariance of two quantities within states, averaged over their visits: [R].

    Only states visited more than once count; nan if there is none, or if `states` is None.

    Args:
        one: the first quantity at each step, [R, E T].
        other: the second, [R, E T].
        states: state at each step, [R, E T].
    """
    if states is None:
        return np.full(len(one), np.nan)
    visits = _sum_by_state(np.ones_like(one), states)  # (R, M)
    mean_one = np.take_along_axis(_sum_by_state(one, states) / visits, states, axis=1)  # (R, E T)
    mean_other = np.take_along_axis(_sum_by_state(other, states) / visits, states, axis=1)
    products = _sum_by_state((one - mean_one) * (other - mean_other), states)  # (R, M)
    several = visits > 1
    weighted = np.where(several, products * visits / (visits - 1), 0)  # covariances times visits
    return np.asarray(_total(weighted) / (visits * several).sum(axis=-1))


def _sum_by_state(terms: Doubles, states: NDArray[np.int64]) -> Doubles:
    """Sum of each replica's terms [R, E T] over the steps in each of M states: [R, M]."""
    count = states.max() + 1
    sums = [
        np.bincount(visited, of_replica, minlength=count)
        for visited, of_replica in zip(states, terms, strict=True)
    ]
    return np.array(sums)


def _concatenated(episodes: Sequence[NDArray[np.float32]]) -> Doubles:
    """Episodes [R, T] one after the other, [R, E T]."""
    return np.concatenate(episodes, axis=1).astype(np.float64)


def _variance(values: Doubles) -> Doubles:
    """Variance over the last axis."""
    return _mean((values - _mean(values)[..., None]) ** 2)


def _mean(values: NDArray[Any]) -> Doubles:
    """Mean over the last axis."""
    return np.asarray(_total(values) / values.shape[-1])


def _total(terms: NDArray[Any]) -> Doubles:
    """Sum over the last axis, from first to last; the order of `np.sum` depends on the machine."""
    return np.asarray(np.cumsum(terms, axis=-1)[..., -1])
