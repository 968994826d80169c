"""Fixed points of a critic: on λ-returns, and with Huber's loss; with or without the leak."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom

from pwm.core.config import TrainConfig
from pwm.core.leak import leak_temperature


def fixed_point_values(
    rewards: Sequence[float],
    entropies: Sequence[float],
    temperature: float,
    *,
    discount: float,
    trace_decay: float,
    leaking_targets: bool = False,
    horizon: int | None = None,
    period: int | None = None,
) -> NDArray[np.float64]:
    """Mean value of each step of an episode, for a critic at its fixed point on λ-returns.

    The λ-return of step t is a weighted sum of rewards and of later values,

        G_t = Σ_s≥t (γ λ)^(s-t) r_s + Σ_s>t m_ts v_s,    m_ts = γ (1 - λ) (γ λ)^(s-t-1).

    The leak adds q_t to it: q_t = α H_t or, if the values in the returns leak too,
    q_t = α (H_t - Σ_s<t m_st H_s). At the fixed point, values equal G + q on average.

    A critic that knows the step then overestimates the return by
    b_t = q_t + (1 - λ) Σ_j≥1 γ^j q_t+j. Far from both ends of an episode, b is
    α H (1 - γ λ) / (1 - γ), or α H with leaking targets. At discount 1, b is α H (1 + (1 - λ) n)
    with n steps to come, or about 0 after the first steps with leaking targets.

    Valid where the value head is stationary, and its features tell the steps of a period apart. A
    period shorter than the episode also requires that no state is carried and no trial is blanked,
    so that values are alike in all trials. Entropies may be means over the states met at a step.

    Args:
        rewards: mean reward at each of T steps.
        entropies: H_t, of the policy, in nats, [T].
        temperature: α, by `leak_temperature`; 0 if detached.
        discount: γ, the discount.
        trace_decay: λ, the decay of traces.
        leaking_targets: whether later values in the policy loss's returns are attached too.
        horizon: steps after which returns end, a divisor of T; T if None.
        period: steps that the critic can tell apart, a divisor of T; T if None.
    Returns:
        The values, in reward, [T]. The bias is values minus returns; the mean advantage is -q.
    """
    steps = len(rewards)
    step = np.arange(steps)
    lag = step - step[:, None]  # s - t, in row t and column s: (T, T)
    stretch = step // (horizon or steps)
    within = stretch == stretch[:, None]  # a return ends with the stretch of its step
    decay = discount * trace_decay
    reward_weights = np.where(within & (lag >= 0), decay ** np.maximum(lag, 0), 0.0)
    decayed = np.where(within & (lag > 0), decay ** np.maximum(lag - 1, 0), 0.0)
    value_weights = discount * (1 - trace_decay) * decayed  # m
    leaked = np.array(entropies, np.float64)
    if leaking_targets:
        leaked -= value_weights.T @ leaked
    # Steps at the same place in their period share a value: there are P values for T steps.
    places = np.arange(period or steps)
    at_place = step % len(places) == places[:, None]  # (P, T)
    mean_at = at_place / at_place.sum(axis=1, keepdims=True)
    # Solves values = mean_at @ (rewards' part + value_weights @ at_place.T @ values + leak).
    system = np.eye(len(places)) - mean_at @ value_weights @ at_place.T
    values = np.linalg.solve(system, mean_at @ (reward_weights @ rewards + temperature * leaked))
    return np.asarray(values @ at_place)


def huber_bias(run: TrainConfig, entropy: float, success: float) -> float:
    """Value minus mean return of an attached critic that learns by Huber's loss, in reward.

    The gradient of Huber's loss grows with the error only up to an error of 1. At the fixed point
    it balances the leak: E[clip(G - v, -1, 1)] = -α H. If α H ≥ 1, no error can, and the bias is
    inf. Returns G are undiscounted, of whole episodes; `success` is the probability of a reward.
    """
    trials = run.task.num_trials
    leak = leak_temperature(run.task.num_steps, run.critic_weight) * entropy
    if leak >= 1:
        return inf
    # With n trials left the return is binomial, and all n from 1 to N are equally frequent.
    returns = np.arange(trials + 1)
    given_left = [binom.pmf(returns, left, success) for left in range(1, trials + 1)]
    probabilities = np.mean(given_left, axis=0)

    def imbalance(value: float) -> float:
        """Mean clipped error plus the leak, zero at the fixed point."""
        return float(probabilities @ np.clip(returns - value, -1, 1)) + leak

    fixed_point = float(brentq(imbalance, -1.0, trials + 1.0, xtol=1e-14))
    return fixed_point - float(probabilities @ returns)
