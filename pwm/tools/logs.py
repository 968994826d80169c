"""Check of training curves: is the critic as biased as a leak would make it?

A leak raises the values by c T H / (2 w) above the returns (`pwm.core.leak.critic_bias`), where c
is 1 for a summed policy loss and 1/T for a mean, T the number of steps, H the entropy and w the
weight of the mean squared error. This prediction has no free parameter. It is compared with the
bias b, the mean of values minus returns. If b is not logged, it is computed from the policy loss:
-c Σ (G - v) log π(a) is about -c T b H.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, sqrt
from statistics import fmean, stdev

from pwm.analysis.theory import policy_factor
from pwm.core.errors import require, require_integer, require_positive
from pwm.core.losses import Reduction
from pwm.tools.report import Verdict
from pwm.tools.series import Series, floats

BLOCKS = 8  # parts of the second half of the curves; their means are treated as independent
QUANTILE = 2.365  # of Student's t with BLOCKS - 1 degrees of freedom, for 95%
FEWEST = 4 * BLOCKS  # points per curve, so that each block of its second half averages two
LEAST_ENTROPY = 0.01  # nats; with less, a leak causes no visible bias
LOW, HIGH = 0.5, 1.5  # measured bias over predicted bias: between these, a leak
NONE = 0.3  # from -LOW to this, no leak
UNKNOWN: Verdict = "cannot tell"


@dataclass(frozen=True, kw_only=True)
class LogReport:
    """Findings of `check_logs`; `print` shows them."""

    verdict: Verdict
    reason: str
    predicted: float
    """Bias c T H / (2 w) with a leak, mean over the second half of the curves, in reward."""
    measured: float
    """Bias in the logs, mean over the second half of the curves, in reward."""
    error: float
    """Half-width of the 95% interval of `measured`, assuming a bias proportional to the entropy."""

    def __str__(self) -> str:
        return (
            f"{self.verdict.upper()}: {self.reason}.\n"
            f"  values minus returns  {self.measured:+.3g} ± {self.error:.2g}\n"
            f"  expected with a leak  {self.predicted:+.3g}"
        )


def check_logs(
    *,
    policy_loss: Series,
    value_loss: Series,
    entropy: Series,
    weight: float,
    steps: int,
    bias: Series | None = None,
    policy_reduction: Reduction = "mean",
    value_reduction: Reduction = "mean",
    halved: bool = False,
) -> LogReport:
    """Checks from training curves whether the policy loss trains the critic.

    Not for normalised advantages, bootstrapped returns or Huber's loss, which change a leak's bias.
    All curves have the same points: one per update, or means over windows of updates.

    Args:
        policy_loss: policy loss without the entropy bonus.
        value_loss: value loss without its weight.
        entropy: the policy's mean entropy over steps, in nats.
        weight: weight of the value loss.
        steps: T, steps per update.
        bias: mean over steps of values minus returns; by default, found from `policy_loss`.
        policy_reduction: reduction of the policy loss over steps.
        value_reduction: reduction of the value loss over steps.
        halved: whether the value loss is half the squared error.
    Raises:
        InputError: curves of unequal length, of fewer than 32 points, or with nan or inf in the
            second half, or a number out of range.
    """
    require_positive("WEIGHT", weight)
    require_integer("STEPS", steps, 1)
    lengths = [len(each) for each in (policy_loss, value_loss, entropy, bias) if each is not None]
    lengths_fit = min(lengths) == max(lengths) >= FEWEST
    require(lengths_fit, "CURVES", lengths, f"curves of one length, {FEWEST} points or more")
    # Factors of each step's term in the policy loss and of its squared error in the value loss
    c = policy_factor(steps, policy_reduction)
    square_factor = (0.5 if halved else 1.0) * (1.0 if value_reduction == "sum" else 1 / steps)
    half = len(entropy) // 2  # the first half is skipped: the values may start far from the returns
    entropies = floats(entropy)[half:]
    if bias is None:
        biases = [
            -loss / (c * steps * max(nats, LEAST_ENTROPY))
            for loss, nats in zip(floats(policy_loss)[half:], entropies, strict=True)
        ]
    else:
        biases = floats(bias)[half:]
    losses = floats(value_loss)[half:]
    are_finite = all(map(isfinite, [*entropies, *biases, *losses]))
    require(are_finite, "CURVES", "with nan or inf", "finite numbers in their second half")
    mean_entropy, measured = fmean(entropies), fmean(biases)
    predicted = c / (2 * weight * square_factor) * mean_entropy  # w = weight * square_factor * T
    # A leak's bias falls with the entropy. Only the deviations from this proportion are noise.
    per_nat = measured / mean_entropy if mean_entropy else 0.0  # bias per nat of entropy
    block_means = zip(_block_means(biases), _block_means(entropies), strict=True)
    residuals = [block_bias - per_nat * nats for block_bias, nats in block_means]
    error = QUANTILE * stdev(residuals) / sqrt(BLOCKS)
    mean_square = fmean(losses) / (square_factor * steps)
    scatter = sqrt(max(mean_square - measured**2, 0.0))
    if mean_entropy < LEAST_ENTROPY:
        verdict, reason = UNKNOWN, "the policy is deterministic, and a leak leaves no trace"
    else:
        verdict, reason = _verdict(predicted, measured, error, scatter, logged=bias is not None)
    return LogReport(
        verdict=verdict, reason=reason, predicted=predicted, measured=measured, error=error
    )


def _verdict(
    predicted: float, measured: float, error: float, scatter: float, *, logged: bool
) -> tuple[Verdict, str]:
    """Verdict and reason from the numbers of a `LogReport`, unless the policy is deterministic.

    `scatter` is the standard deviation of the returns around the values, in reward; `logged`,
    whether the bias was logged.
    """
    # Ends of the interval of the measured bias, as fractions of the predicted one
    low, high = (measured - error) / predicted, (measured + error) / predicted
    if low > LOW and high < HIGH:
        return "leak", "the values exceed the returns by about as much as a leak predicts"
    # A bias that is large relative to the scatter may still be growing towards a leak's.
    if low > -LOW and high < NONE and abs(measured) < scatter / 2:
        return "no leak", "the values do not exceed the returns as a leak would make them"
    if error > predicted / 2:
        return UNKNOWN, "the curves are too noisy, or too short"
    reason = "the bias is neither that of a leak nor none; the critic may not have arrived yet"
    if not logged:
        reason += ". Log the mean of values minus returns"
    return UNKNOWN, reason


def _block_means(series: list[float]) -> list[float]:
    """Means of `BLOCKS` consecutive blocks of about equal length."""
    ends = [round(block * len(series) / BLOCKS) for block in range(BLOCKS + 1)]
    return [fmean(series[first:end]) for first, end in pairwise(ends)]
