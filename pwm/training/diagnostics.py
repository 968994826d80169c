"""Diagnostics of a population, measured on probes: episodes that are not trained on.

The gradient of the total loss with respect to the trunk's parameters is the sum of three parts:

- the policy's: gradient of the policy loss through the log-probabilities, and of the entropy bonus;
- the critic's: critic weight times the gradient of the value loss;
- the leak: gradient of the policy loss through the values.

Sums are taken in a fixed order, so the diagnostics are bit-identical on every machine if the
gradients and the episodes are.

Shapes: R replicas, E episodes, N trials, L steps per trial, T = N L steps per episode, M states of
a trial (`trial_states`), H hidden units (without padding), P' parameters of the trunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pwm.core.leak import leak_temperature
from pwm.core.task import TaskConfig, observation_table
from pwm.training.config import TrainConfig
from pwm.training.history import DIAGNOSTICS

Doubles = NDArray[np.float64]
SATURATED = 0.6  # |h| above which a unit counts as saturated: tanh's slope is then below 0.64


class Trajectory(NamedTuple):
    """Quantities at each step of one episode."""

    log_probs: NDArray[np.float32]  # (R, T): of the actions taken
    values: NDArray[np.float32]  # (R, T): in reward
    returns: NDArray[np.float32]  # (R, T): Monte Carlo returns, in reward
    hidden: NDArray[np.float32]  # (R, T, H): of the LSTM that the policy reads


def trial_states(config: TaskConfig) -> NDArray[np.int64]:
    """State of each pair's trial, then of the blank trial, at each step: [pairs + 1, L].

    Two trials are in the same state at a step if they have shown the same observations up to it.
    Different steps have different states. States are numbered from 0, in order of their steps.
    """
    observations = observation_table(config)
    states = np.zeros(observations.shape[:2], np.int64)
    state_after: dict[bytes, int] = {}  # from the observations shown so far
    for step in range(config.trial_length):
        for trial, shown in enumerate(observations[:, : step + 1]):
            states[trial, step] = state_after.setdefault(shown.tobytes(), len(state_after))
    return states


class GradientProbe:
    """Accumulates episodes; computes diagnostics of gradients in the trunk, returns and values.

    policy_norm, critic_norm, leak_norm, total_norm: root mean square, over episodes, of the
        Euclidean norm of each part of the gradient, and of the sum of the three. The critic's part
        includes the critic weight.
    cosine: E(p · q) / (policy_norm critic_norm), for the policy's part p and the critic's part q.
    signal_to_noise: |E(p)|² / tr Cov(p) over episodes, for the policy's part p. Numerator and
        denominator are unbiased estimates, so the ratio can be negative.
    explained_variance: 1 - Var(G - v) / Var(G) over all steps, for the return G and the value v. If
        the return does not vary: minus infinity, or nan if the values do not vary either.
    return_variance: variance of the return among steps in the same state; mean over steps, in
        reward². A critic that does not see past trials cannot explain it.
    covariance: Σ_t Cov(G_t, log π(a_t)), each among steps in the same state, in reward times nats.
        It gives the policy loss at the critic's fixed point (`pwm.analysis.theory`).

    The last two are nan if the LSTM's state is carried over trials, if trials may be blanked by
    timeouts, or if no state was visited twice.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Doubles] = {}  # over episodes, of the terms in `add`, (R, P') each
        self._steps: list[NDArray[np.float32]] = []  # (3, R, T) per episode, see `add`

    def add(self, gradients: Sequence[NDArray[np.float32]], trajectory: Trajectory) -> None:
        """Adds an episode, given the policy's, critic's and leak's gradients, [R, P'] each."""
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
        self._steps.append(np.stack([trajectory.log_probs, trajectory.values, trajectory.returns]))

    def diagnostics(self, states: NDArray[np.int64] | None) -> Doubles:
        """The diagnostics that `DIAGNOSTICS` names, from E >= 2 episodes: [diagnostics, R].

        Args:
            states: state of the trial at each step, [R, E T]; see `trial_states`. None if the
                LSTM's state is carried over trials or trials may be blanked.
        """
        count = len(self._steps)  # E
        # Mean over episodes of each term in `add`, summed over parameters: (R,) each.
        mean = {name: _total(terms) / count for name, terms in self._sums.items()}
        squared_mean = _total((self._sums["policy"] / count) ** 2)  # |mean of the policy's part|²
        covariance_trace = (mean["policy²"] - squared_mean) * count / (count - 1)  # unbiased
        steps = np.concatenate(self._steps, axis=-1).astype(np.float64)  # (3, R, E T)
        log_probs, values, returns = steps  # in the order of `add`
        with np.errstate(divide="ignore", invalid="ignore"):
            diagnostics = {
                "policy_norm": np.sqrt(mean["policy²"]),
                "critic_norm": np.sqrt(mean["critic²"]),
                "leak_norm": np.sqrt(mean["leak²"]),
                "total_norm": np.sqrt(mean["total²"]),
                "cosine": mean["policy · critic"] / np.sqrt(mean["policy²"] * mean["critic²"]),
                # |mean|² exceeds the squared norm of the expectation by trace / E, on average.
                "signal_to_noise": (squared_mean - covariance_trace / count) / covariance_trace,
                "explained_variance": 1 - _variance(returns - values) / _variance(returns),
                "return_variance": _covariance(returns, returns, states),
                # The mean over steps times T is the sum over the steps of an episode.
                "covariance": _covariance(returns, log_probs, states) * (returns.shape[1] / count),
            }
        return np.stack([diagnostics[name] for name in DIAGNOSTICS])


class AgentProbe:
    """Accumulates episodes and computes diagnostics of the critic and the hidden states h.

    activity: mean of |h| over steps and units.
    saturated: fraction of steps and units with |h| > 0.6 (`SATURATED`).
    value_weight_norm: Euclidean norm of the weights of the value head, without its bias.
    trace: memory of the first stimulus in h at a trial's last step: variance of h's mean per pair,
        among pairs with the same second stimulus, weighted by the number of trials; mean over
        units. Where the state is carried, it contains the sampling variance of the means. Nan if
        trials may be blanked by timeouts.
    distance: signed distance from the critic's fixed point to the critic, in reward: mean over
        steps of v - G - b, with the value v and Monte Carlo return G. If the policy loss's gradient
        reaches the value head, b = -(c T / (2 w)) log π(a), whose mean is the leak's bias
        c T H / (2 w) (`pwm.core.leak`); otherwise b = 0. Unless errors or losses are scaled, it
        is the total loss's gradient with respect to the value head's bias, divided by 2 w.
        With λ-returns, the terms v - G are weighted by `net_weights`, and if the targets leak, the
        terms b by the same weights in reverse order.
        Nan where no fixed point is known: if w = 0; with Huber's value loss; or if the policy
        loss's gradient reaches the value head and `LossConfig.scales_errors`.

    Args:
        config: configuration of the runs.
        critic_weights: critic weights, [R].
    """

    def __init__(self, config: TrainConfig, critic_weights: NDArray[np.float32]) -> None:
        self._task = config.task
        temperatures = [_temperature(config, weight) for weight in critic_weights.tolist()]
        self._temperatures = np.array(temperatures)  # (R,)
        loss, num_steps = config.loss, config.task.num_steps
        weights = net_weights(config.horizon, loss.discount, loss.trace_decay)
        horizons = num_steps // config.horizon  # per episode
        self._error_weights = np.tile(weights, horizons)  # (T,)
        # If targets leak, the leak of a step also reaches the later values in its return.
        leak_weights = np.tile(weights[::-1], horizons)
        self._leak_weights = leak_weights if loss.leaking_targets else np.ones(num_steps)  # (T,)
        self._means: list[Doubles] = []  # activity, saturated, distance: (3, R) per episode
        # Trials of each pair so far, (R, pairs)
        self._visits = np.zeros((len(critic_weights), self._task.num_pairs))
        # Sum of the hidden states h at the ends of these trials, (R, pairs, H)
        self._sums = np.zeros((*self._visits.shape, config.agent.hidden_size))

    @np.errstate(invalid="ignore")  # values may be infinite in diverged runs
    def add(self, trajectory: Trajectory, trials: NDArray[np.int64]) -> None:
        """Adds an episode; `trials` has the index of each trial's pair, [R, N]."""
        log_probs, values, returns, hidden = (part.astype(np.float64) for part in trajectory)
        magnitudes = np.abs(hidden).reshape(len(hidden), -1)  # |h|, (R, T H)
        errors = self._error_weights * (values - returns)  # v - G, (R, T)
        biases = -self._temperatures[:, None] * log_probs * self._leak_weights  # b, (R, T)
        distance = _mean(errors - biases)  # mean of v - G - b
        saturated = _mean(magnitudes > SATURATED)  # a fraction
        self._means.append(np.stack([_mean(magnitudes), saturated, distance]))
        length = self._task.trial_length
        at_ends = hidden[:, length - 1 :: length]  # at the last step of each trial, (R, N, H)
        replicas = np.arange(len(trials))
        for trial, pairs in enumerate(trials.T):  # pairs [R]: this trial's in each replica
            self._visits[replicas, pairs] += 1
            self._sums[replicas, pairs] += at_ends[:, trial]

    def diagnostics(self, value_weights: NDArray[np.float32]) -> Doubles:
        """The diagnostics of E >= 1 episodes, in the order of `AGENT_DIAGNOSTICS`.

        They are [diagnostics, R]. `value_weights`, [R, H], are the weights of the value head.
        """
        activity, saturated, distance = _mean(np.stack(self._means, axis=-1))
        norm = np.sqrt(_total(value_weights.astype(np.float64) ** 2))
        return np.stack([activity, saturated, norm, self._trace(), distance])

    def _trace(self) -> Doubles:
        """The diagnostic `trace`, [R]. If the state is carried, it is not 0 even without memory."""
        if self._task.timeout:
            return np.full(len(self._visits), np.nan)
        second = self._task.pairs[:, 1]
        same_second = second[:, None] == second  # (pairs, pairs)

        def over_same_second(terms: Doubles) -> Doubles:
            """Sums terms [..., pairs], for each pair, over those with the same second stimulus."""
            return _total(np.where(same_second, terms[..., None, :], 0.0))

        sums, visits = self._sums.swapaxes(1, 2), self._visits[:, None]  # (R, H or 1, pairs)
        with np.errstate(invalid="ignore"):  # 0 / 0 for pairs that were never shown
            mean_of_pair = sums / visits
            mean_of_same_second = over_same_second(sums) / over_same_second(visits)
        squares = visits * (mean_of_pair - mean_of_same_second) ** 2  # (R, H, pairs)
        sum_of_squares = _total(np.where(visits > 0, squares, 0.0))  # over trials, (R, H)
        return _mean(sum_of_squares) / _total(self._visits)


def net_weights(steps: int, discount: float, trace_decay: float) -> list[float]:
    """Net weight of each value v_t in the sum of errors Σ_s (v_s - G_s), with λ-returns G_s: [T].

    v_t has the coefficient 1 in its own error v_t - G_t, and -γ (1 - λ) (γ λ)^(t-s-1) in the error
    of each earlier step s, whose return contains it. The sum is affine in the values, and 0 if they
    equal the Monte Carlo returns M_t, as λ-returns do then. So it is Σ_t weight_t (v_t - M_t),
    which `AgentProbe` measures.

    If targets leak, log π(a_s) has the same coefficients in the derivatives of the policy loss with
    respect to v_s and to later values. They add up to the net weight of step T - 1 - s, which has
    as many earlier steps as step s has later ones.

    Returns end after T = `steps`; γ is `discount`, λ is `trace_decay`. Weights are 1 if λ is 1.
    """
    weights = []
    earlier_decays = 0.0  # Σ_s<t (γ λ)^(t-s-1)
    for _ in range(steps):
        weights.append(1 - discount * (1 - trace_decay) * earlier_decays)
        earlier_decays = 1 + discount * trace_decay * earlier_decays
    return weights


def _temperature(config: TrainConfig, critic_weight: float) -> float:
    """Temperature α of the leak's entropy bonus (`pwm.core.leak`) in the value head's targets.

    It is 0 if the head gets no leak, and nan if no fixed point of the critic is known.
    """
    loss = config.loss
    leak_is_scaled = loss.leaks_into_head and loss.scales_errors
    if critic_weight == 0 or leak_is_scaled or loss.value_loss == "huber":
        return nan
    if not loss.leaks_into_head:
        return 0.0
    return leak_temperature(config.task.num_steps, critic_weight, loss.policy_reduction)


def _covariance(one: Doubles, other: Doubles, states: NDArray[np.int64] | None) -> Doubles:
    """Unbiased covariance within each state, averaged over states weighted by their visits: [R].

    All arguments have a number per step, [R, E T]. States visited once are left out. The result is
    nan if none remain, or if `states` is None.
    """
    if states is None:
        return np.full(len(one), np.nan)
    visits = _sum_by_state(np.ones_like(one), states)  # (R, M)
    mean_one = np.take_along_axis(_sum_by_state(one, states) / visits, states, axis=1)  # (R, E T)
    mean_other = np.take_along_axis(_sum_by_state(other, states) / visits, states, axis=1)
    products = _sum_by_state((one - mean_one) * (other - mean_other), states)  # (R, M)
    repeated = visits > 1  # the quotient below may else be 0 / 0; the caller silences that
    # The covariance within a state, products / (visits - 1), times its weight, visits.
    weighted = np.where(repeated, products * visits / (visits - 1), 0)
    return np.asarray(_total(weighted) / (visits * repeated).sum(axis=-1))


def _sum_by_state(terms: Doubles, states: NDArray[np.int64]) -> Doubles:
    """Sum of each replica's terms, [R, E T], over the steps in each of M states: [R, M].

    `states`, [R, E T], has each step's state, from 0 to M - 1.
    """
    num_states = states.max() + 1  # M
    sums = [
        np.bincount(of_replica, weights=weights, minlength=num_states)
        for of_replica, weights in zip(states, terms, strict=True)
    ]
    return np.array(sums)


def _variance(values: Doubles) -> Doubles:
    """Variance over the last axis."""
    return _mean((values - _mean(values)[..., None]) ** 2)


def _mean(values: NDArray[Any]) -> Doubles:
    """Mean over the last axis."""
    return np.asarray(_total(values) / values.shape[-1])


def _total(terms: NDArray[Any]) -> Doubles:
    """Sum over the last axis, from first to last; NumPy does not specify the order of `np.sum`."""
    return np.cumsum(terms, axis=-1)[..., -1]
