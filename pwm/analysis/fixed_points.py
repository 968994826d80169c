"""Fixed points of critics: on λ-returns with a squared loss, and on whole returns with Huber's.

The policy loss's gradient may also reach the critic: the leak.
"""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom

from pwm.core.leak import leak_temperature
from pwm.training.config import TrainConfig

Array = NDArray[np.float64]


def target_weights(
    steps: int, discount: float, trace_decay: float, horizon: int
) -> tuple[Array, Array]:
    """Weights M of the rewards r and N of later values v in λ-returns G = M r + N v, [T, T] each.

    With the discount γ and the trace decay λ, M[t, s] = (γ λ)^(s-t) for s ≥ t, and
    N[t, s] = γ (1 - λ) (γ λ)^(s-t-1) for s > t; both are 0 elsewhere. An episode has T
    `steps`. A return ends with the segment of `horizon` steps, a divisor of T, that it starts in.
    """
    step = np.arange(steps)
    lag = step - step[:, None]  # s - t: (T, T)
    segment = step // horizon
    within = segment == segment[:, None]
    decay = discount * trace_decay
    reward_weights = np.where(within & (lag >= 0), decay ** np.maximum(lag, 0), 0.0)
    decayed = np.where(within & (lag > 0), decay ** np.maximum(lag - 1, 0), 0.0)
    return reward_weights, discount * (1 - trace_decay) * decayed


def fixed_point_values(
    rewards: Array,
    entropies: Array,
    temperature: float,
    *,
    discount: float,
    trace_decay: float,
    leaking_targets: bool = False,
    horizon: int,
    period: int,
) -> Array:
    """Mean value at each step of an episode, for a critic at its fixed point with λ-returns.

    The leak adds q_t to the target G_t: q_t = α H_t or, if the policy loss's gradient also reaches
    the values in G (with the weights N of `target_weights`), q_t = α (H_t - Σ_s<t N_st H_s).
    At the fixed point, v = G + q on average over steps that the critic does not distinguish.

    If the critic knows the step t of a segment, from 0, then v exceeds the discounted return by
    b_t = q_t + (1 - λ) Σ_j≥1 γ^j q_t+j, up to the segment's end. For constant H and γ < 1, far from
    both ends, b is α H (1 - γ λ) / (1 - γ), or α H with leaking targets. At γ = 1, with n steps to
    come, b is α H (1 + (1 - λ) n), or α H λ^t (1 + λ - λ^(n+1)) with leaking targets.

    Valid for a squared value loss and unscaled errors (`LossConfig.scales_errors`), if the value
    head is stationary and its features distinguish the steps of a period. A period shorter than the
    episode also requires that the LSTM's state is reset at every trial and no timeout blanks a
    trial. Entropies may be means over the states met at a step.

    Args:
        rewards: mean reward at each step, [T].
        entropies: H_t, entropy of the policy at each step, in nats, [T].
        temperature: α, as computed by `leak_temperature`; 0 if detached.
        discount: γ, the discount.
        trace_decay: λ, the trace decay.
        leaking_targets: whether the policy loss's gradient also reaches the values in G.
        horizon: steps per segment at whose end returns are cut, a divisor of T.
        period: number of steps that the critic distinguishes, a divisor of T.
    Returns:
        The values, in reward, [T]. The bias is values minus discounted returns.
    """
    steps = len(rewards)
    reward_weights, value_weights = target_weights(steps, discount, trace_decay, horizon)
    leak = entropies  # q / α: (T,)
    if leaking_targets:
        leak = leak - value_weights.T @ leak
    # Steps at the same place in their period share a value: there are P values for T steps.
    at_place = np.arange(steps) % period == np.arange(period)[:, None]  # (P, T)
    mean_at = at_place / at_place.sum(axis=1, keepdims=True)  # averages over the steps at a place
    # values = mean_at @ (reward_weights @ rewards + value_weights @ at_place.T @ values + q)
    system = np.eye(period) - mean_at @ value_weights @ at_place.T
    values = np.linalg.solve(system, mean_at @ (reward_weights @ rewards + temperature * leak))
    return np.asarray(values @ at_place)  # (P,) to (T,)


def huber_bias(run: TrainConfig, entropy: float, success: float) -> float:
    """Value minus mean return of an attached critic trained with a Huber loss, in reward.

    The loss is that of `LossConfig.value_loss`, twice the usual one (whose weight w counts half).
    Its gradient grows with the error up to an error of 1, then stays constant. At the fixed point
    it balances the leak: E[clip(G - v, -1, 1)] = -α H, with α = `leak_temperature`. If α H > 1, no
    error is large enough; if α H = 1, every large value is a fixed point: the bias is inf in both
    cases. Returns G are undiscounted, over whole episodes with rewards of 1; the policy loss is a
    sum over steps.

    The critic does not know which trial it is in, and H counts as equal at all steps, so it has one
    value for all steps. Without a leak, the fixed point is Huber's estimate of the returns'
    location: the mean if they are symmetric (as at success 1); otherwise, a bias usually remains.

    Args:
        run: configuration, from which the task and the critic weight are read.
        entropy: H, the policy's mean entropy over steps, in nats.
        success: probability that a trial is rewarded.
    """
    trials = run.task.num_trials
    leak = leak_temperature(run.task.num_steps, run.critic_weight) * entropy
    if leak >= 1:
        return inf
    # With n trials left, the return is binomial; each n from 1 to N is equally frequent.
    returns = np.arange(trials + 1)
    given_n = [binom.pmf(returns, n, success) for n in range(1, trials + 1)]
    probabilities = np.mean(given_n, axis=0)

    def imbalance(value: float) -> float:
        """Mean clipped error plus the leak, zero at the fixed point."""
        return float(probabilities @ np.clip(returns - value, -1, 1)) + leak

    # Returns are in [0, trials], so the fixed point is at most 1 outside.
    fixed_point = float(brentq(imbalance, -1.0, trials + 1.0, xtol=1e-14))
    return fixed_point - float(probabilities @ returns)
