"""Summary, in words, of replicas that were trained together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.learning import FINAL_EPISODES, final_mean, learned
from pwm.analysis.levels import reward_levels
from pwm.core.leak import critic_bias
from pwm.training.config import TrainConfig
from pwm.training.history import AGENT_DIAGNOSTICS, History


def summary(runs: Sequence[TrainConfig], history: History) -> str:
    """Describes success, bias and diagnostics at each critic weight, then reference reward levels.

    Most numbers are means over the last 500 episodes, then medians over seeds. `history` has the
    replicas in the order of `runs`.
    """
    episodes = min(FINAL_EPISODES, int(history.episode[-1]))
    of_seeds = ", medians over seeds" if len({run.seed for run in runs}) > 1 else ""
    lines = [f"Means over the last {episodes} episodes{of_seeds}:"]
    for weight in dict.fromkeys(run.critic_weight for run in runs):
        replicas = [index for index, run in enumerate(runs) if run.critic_weight == weight]
        at_weight, run = history.select(replicas), runs[replicas[0]]
        lines.append(f"critic weight {weight:g}: {_success(run, at_weight)}")
        details = [_bias(run, at_weight), *_gradients(at_weight), *_hidden_states(at_weight)]
        lines += [f"  {line}" for line in details]
    levels = reward_levels(runs[0].task.stimulus_set)._asdict()
    named = ", ".join(f"{name.replace('_', '-')} {level:.3g}" for name, level in levels.items())
    return "\n".join([*lines, f"reward of reference policies: {named}"])


def predicted_bias(run: TrainConfig, entropy: float) -> float | None:
    """Predicted critic bias at the fixed point, in reward: c T H / (2 w), or 0 if detached.

    H, the `entropy`, is the policy's, in nats. None in settings where this formula does not hold.
    """
    loss = run.loss
    if run.critic_weight == 0 or loss.lost_gradients == "values":
        return None  # the value loss does not train the critic
    if loss.value_loss != "squared" or loss.trace_decay < 1:
        return None  # the critic's fixed point is not the mean return plus the leak's bonus
    if loss.baseline == "detached":
        return 0.0
    if loss.baseline != "attached":
        return None  # the head and the trunk get different gradients, and share no fixed point
    if loss.scales_errors:
        return None  # scaling changes the bias
    return critic_bias(run.task.num_steps, entropy, run.critic_weight, loss.policy_reduction)


def _success(run: TrainConfig, history: History) -> str:
    """Describes how many replicas learned, and the final reward."""
    successes, reward = learned(history, run.task), final_mean(history, history.reward)
    span = f" ({reward.min():.3f} to {reward.max():.3f})" if len(reward) > 1 else ""
    return f"learned {successes.sum()} of {len(successes)}; reward {np.median(reward):.3f}{span}"


def _bias(run: TrainConfig, history: History) -> str:
    """Describes the critic's final bias, measured and predicted."""
    bias = float(np.median(final_mean(history, history.critic_bias)))
    entropy = float(np.median(final_mean(history, history.entropy)))
    predicted = predicted_bias(run, entropy)
    if predicted is None:
        theory = "no prediction for this setting"
    elif predicted == 0:
        theory = "predicted 0"
    else:
        theory = f"predicted cTH/2w = {predicted:.3g} at entropy H = {entropy:.3g} nats"
    return f"critic bias {bias:.3g}; {theory}"


def _gradients(history: History) -> Iterator[str]:
    """Yields lines about gradients and values at the probes in the last 500 episodes, if any."""
    if not history.diagnostics:
        return
    # Diagnostics are nan in an unfinished window.
    is_known = ~np.isnan(history.diagnostics["total_norm"]).all(axis=0)  # (probes,)
    is_final = is_known & (history.probed > history.episode[-1] - FINAL_EPISODES)
    if not is_final.any():
        if history.probe_episode is None and not is_known.any():
            yield "gradients not probed, as no window was finished"
        return
    # Diagnostics at these probes, (R, probes) each
    final = {name: curve[:, is_final].astype(float) for name, curve in history.diagnostics.items()}

    def mean_square(part: str) -> NDArray[np.float64]:
        """Mean over these probes of the squared norm of a part of the gradient: [R]."""
        return np.asarray((final[f"{part}_norm"] ** 2).mean(axis=1))

    policy = mean_square("policy")
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction = policy / mean_square("total")
        critic = np.sqrt(mean_square("critic") / policy)
        leak = np.sqrt(mean_square("leak") / policy)
    yield (
        f"policy: {_median_text(fraction, '.1%')} of the trunk's squared gradient; norm of the "
        f"critic's part {_median_text(critic)} times the policy's, of the leak "
        f"{_median_text(leak)} times"
    )
    yield (
        "medians over probes: signal-to-noise ratio of the policy's gradient "
        f"{_median_text(final['signal_to_noise'])}; explained variance of the critic "
        f"{_median_text(final['explained_variance'])}"
    )


def _hidden_states(history: History) -> Iterator[str]:
    """Yields lines about hidden states and the critic, at up to three of the probes.

    These are the first, the one with the most saturated units, and the last that training reached.
    """
    if history.probe_episode is None or not len(history.probe_episode):
        return
    saturated = np.median(history.diagnostics["saturated"], axis=0)  # (probes,)
    for probe in sorted({0, int(saturated.argmax()), len(saturated) - 1}):  # each probe once
        agent = {name: history.diagnostics[name][:, probe] for name in AGENT_DIAGNOSTICS}  # (R,)
        yield (
            f"after {history.probe_episode[probe]} episodes: mean |h| "
            f"{_median_text(agent['activity'])}, {_median_text(agent['saturated'], '.0%')} of "
            f"units saturated; norm of the value weights {_median_text(agent['value_weight_norm'])}"
            f"; trace of the first stimulus {_median_text(agent['trace'])}; critic "
            f"{_median_text(agent['distance'])} from its fixed point"
        )


def _median_text(values: NDArray[np.floating], form: str = ".3g") -> str:
    """Median of the finite values, formatted; "undefined" if no value is finite."""
    finite = values[np.isfinite(values)].astype(float)
    return format(float(np.median(finite)), form) if len(finite) else "undefined"
