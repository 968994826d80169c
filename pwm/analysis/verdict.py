"""A summary of one training run in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.learning import FINAL_EPISODES, final_mean, learned
from pwm.analysis.levels import reward_levels
from pwm.core.config import TrainConfig
from pwm.core.history import MECHANISM, History
from pwm.core.leak import critic_bias


def verdict(runs: Sequence[TrainConfig], history: History) -> str:
    """Summary per critic weight: replicas that learned, the critic's bias, diagnostics.

    Args:
        runs: the configuration of each replica.
        history: history of the replicas, in the same order.
    Returns:
        Lines of text. Numbers are means over the last 500 episodes, and medians over seeds.
    """
    episodes = min(FINAL_EPISODES, int(history.episode[-1]))
    of_seeds = ", medians over seeds" if len({run.seed for run in runs}) > 1 else ""
    lines = [f"Means over the last {episodes} episodes{of_seeds}:"]
    for weight in dict.fromkeys(run.critic_weight for run in runs):
        replicas = [place for place, run in enumerate(runs) if run.critic_weight == weight]
        part, run = history.select(replicas), runs[replicas[0]]
        lines.append(f"critic weight {weight:g}: {_success(run, part)}")
        lines += [f"  {line}" for line in (_bias(run, part), *_gradients(part), *_mechanism(part))]
    levels = reward_levels(runs[0].task.stimulus_set)._asdict()
    named = ", ".join(f"{name.replace('_', '-')} {level:.3g}" for name, level in levels.items())
    return "\n".join([*lines, f"reward of reference policies: {named}"])


def predicted_bias(run: TrainConfig, entropy: float) -> float | None:
    """Bias of the critic at its fixed point: c T H / 2w, or 0 if detached.

    Args:
        run: the configuration.
        entropy: H, entropy of the policy, in nats.
    Returns:
        The bias, in reward; None where the critic has no fixed point, the leak reaches a part of
        it, errors are scaled, the value loss is Huber's, or the critic learns λ-returns
        (`fixed_point_values`).
    """
    loss = run.loss
    other_loss = loss.value_loss == "huber" or loss.trace_decay < 1
    if run.critic_weight == 0 or loss.lost_gradients == "values" or other_loss:
        return None
    if loss.baseline == "detached":
        return 0.0
    if loss.baseline != "attached" or loss.scales_errors:
        return None
    return critic_bias(run.task.num_steps, entropy, run.critic_weight, loss.policy_reduction)


def _success(run: TrainConfig, history: History) -> str:
    """Number of replicas that learned and their final reward, in words."""
    outcome, reward = learned(history, run.task), final_mean(history, history.reward)
    span = f" ({reward.min():.3f} to {reward.max():.3f})" if len(reward) > 1 else ""
    return f"learned {outcome.sum()} of {len(outcome)}; reward {np.median(reward):.3f}{span}"


def _bias(run: TrainConfig, history: History) -> str:
    """The critic's final bias, and the one that `predicted_bias` gives, in words."""
    bias, entropy = (
        float(np.median(final_mean(history, curve)))
        for curve in (history.critic_bias, history.entropy)
    )
    predicted = predicted_bias(run, entropy)
    if predicted is None:
        theory = "no prediction for this setting"
    elif predicted == 0:
        theory = "predicted 0"
    else:
        theory = f"predicted cTH/2w = {predicted:.3g} at entropy H = {entropy:.3g} nats"
    return f"critic bias {bias:.3g}; {theory}"


def _gradients(history: History) -> Iterator[str]:
    """Yields the diagnostics of gradients in words; nothing for a run without them."""
    if not history.diagnostics:
        return
    probed = ~np.isnan(history.diagnostics["total_norm"]).all(axis=0)  # nan in an unfinished window
    last = probed & (history.probed > history.episode[-1] - FINAL_EPISODES)
    if not last.any():
        if history.probe_episode is None:
            yield "gradients not probed, as no window was finished"
        return
    final = {name: curve[:, last].astype(float) for name, curve in history.diagnostics.items()}
    policy, critic, leak, total = (
        (final[f"{part}_norm"] ** 2).mean(axis=1) for part in ("policy", "critic", "leak", "total")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        share, critic, leak = policy / total, np.sqrt(critic / policy), np.sqrt(leak / policy)
    yield (
        f"policy: {_median(share, '.1%')} of the trunk's squared gradient; norm of the critic's "
        f"part {_median(critic)} times the policy's, of the leak {_median(leak)} times"
    )
    yield (
        "medians over probes: signal-to-noise ratio of the policy's gradient "
        f"{_median(final['signal_to_noise'])}; explained variance of the critic "
        f"{_median(final['explained_variance'])}"
    )


def _mechanism(history: History) -> Iterator[str]:
    """Yields hidden states and critic at the first, most saturated and last probe, in words."""
    if history.probe_episode is None or not len(history.probe_episode):
        return
    saturated = np.median(history.diagnostics["saturated"], axis=0)
    for place in sorted({0, int(saturated.argmax()), len(saturated) - 1}):
        found = {name: history.diagnostics[name][:, place].astype(float) for name in MECHANISM}
        episodes = history.probe_episode[place]
        yield (
            f"after {episodes} episodes: mean |h| {_median(found['activity'])}, "
            f"{_median(found['saturated'], '.0%')} of units saturated; norm of the value weights "
            f"{_median(found['value_weight_norm'])}; trace of the first stimulus "
            f"{_median(found['trace'])}; critic {_median(found['distance'])} from its fixed point"
        )


def _median(values: NDArray[np.float64], form: str = ".3g") -> str:
    """Formatted median of the finite values; "undefined" if there are none."""
    finite = values[np.isfinite(values)]
    return format(float(np.median(finite)), form) if len(finite) else "undefined"
