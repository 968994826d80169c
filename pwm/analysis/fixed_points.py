"""Fixed points of a critic that learns λ-returns, with or without the leak."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


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
    """Mean value at each step of a critic at its fixed point on λ-returns; exact in short episodes.

    A λ-return is Σ_s≥t (γ λ)^(s-t) r_s + Σ_s>t m_ts v_s, m_ts = γ (1 - λ) (γ λ)^(s-t-1). The leak
    adds q_t = α H_t to the target, or with leaking targets α (H_t - Σ_s<t m_st H_s). A critic that
    knows the step overestimates the return by b_t = q_t + (1 - λ) Σ_j≥1 γ^j q_t+j. Far from both
    ends, b = α H (1 - γ λ) / (1 - γ), or α H with leaking targets. At discount 1, b is
    α H (1 + (1 - λ) n) with n steps to come, or about 0 after the first steps. For a critic that
    knows only the step of the trial, v = target + q holds on average over the trials.

    Valid where the value head is stationary, and its features tell the steps of a period apart; for
    a period shorter than the episode also if no state is carried and no trial is blanked, so that
    values are alike in all trials. The entropies may be those of states met at a step, on average.

    Args:
        rewards: mean reward at each of T steps.
        entropies: H_t, of the policy, in nats, [T].
        temperature: α, by `leak_temperature`; 0 if detached.
        discount: γ, the discount.
        trace_decay: λ, the decay of traces.
        leaking_targets: whether later values in the policy loss's returns are attached too.
        horizon: steps to the end of a return, a divisor of T; T if None.
        period: steps that the critic can tell apart, a divisor of T; T if None.
    Returns:
        The values, in reward, [T]. The bias is values minus returns; the mean advantage is -q.
    """
    steps = len(rewards)
    step = np.arange(steps)
    lag = step - step[:, None]  # (T, T), from row t to column s
    same = step // (horizon or steps) == step[:, None] // (horizon or steps)
    of_reward = np.where(same & (lag >= 0), (discount * trace_decay) ** np.maximum(lag, 0), 0.0)
    earlier = np.where(same & (lag > 0), (discount * trace_decay) ** np.maximum(lag - 1, 0), 0.0)
    of_value = discount * (1 - trace_decay) * earlier
    leak = temperature * (np.asarray(entropies) - leaking_targets * (of_value.T @ entropies))
    alike = step % (period or steps) == np.arange(period or steps)[:, None]  # (period, T)
    mean = alike / alike.sum(axis=1, keepdims=True)
    system = np.eye(len(alike)) - mean @ of_value @ alike.T
    values = np.linalg.solve(system, mean @ (of_reward @ rewards + leak))
    return np.asarray(values @ alike)
