"""Check of the critic's start: its distance from the returns, and whether that matters.

A critic's values start near zero, and must first climb to the mean return. During the climb, a
heavily weighted critic harms the layers that it shares with the policy. Subtracting a running mean
of the return leaves nothing to climb. The unit of distance is the spread of the returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from statistics import fmean, pstdev, stdev

from pwm.tools.errors import require_argument
from pwm.tools.series import Series, floats

FEWEST = 4  # updates: a standard error over all, and a speed between two in the second half
NEAR = 0.5  # of returns' spread; at 0.9, learning at weight 1 takes 1.2 times as long (60 steps)
ADVICE = """\
If critic and policy share layers, let the critic learn the return minus a running mean m of it:
    advantages = returns - m - values.detach()
    value_loss = (returns - m - values).square().mean()
    m += max(1 / n, 0.1) * (returns.mean() - m)    # after the n-th update
Then give each of the two losses an optimiser of its own, or weigh the critic heavily: 100 / T where
both losses are means over the T steps of an episode. This is established for returns of whole
episodes, RMSprop and one family of tasks. With separate networks the climb costs nothing there."""


@dataclass(frozen=True, kw_only=True)
class StartReport:
    """Findings of `check_start`; `print` shows them."""

    distance: float
    """Mean return of all updates minus the mean value at the last one, in reward."""
    error: float
    """Standard error of the distance, from the mean returns of the updates alone."""
    spread: float
    """Spread of the returns, their standard deviation, in reward."""
    updates: float
    """Updates until the values reach the returns at their speed; inf if they do not approach."""

    @property
    def far(self) -> bool:
        """Whether the distance is long enough to matter, and more than twice its standard error."""
        return abs(self.distance) > max(NEAR * self.spread, 2 * self.error)

    def __str__(self) -> str:
        side = "below" if self.distance > 0 else "above"
        ratio = abs(self.distance) / self.spread if self.spread else inf
        lines = [
            f"{'FAR' if self.far else 'NEAR'}: the values are {ratio:.2g} times the spread of the "
            f"returns {side} them.",
            f"  distance  {abs(self.distance):.3g} ± {self.error:.2g}",
            f"  spread    {self.spread:.3g}",
        ]
        if not self.far:
            return "\n".join(lines)
        time = f"about {self.updates:.2g} updates at the present speed"
        lines.append(f"  time      {time if self.updates < inf else 'never, at this speed'}")
        return "\n".join([*lines, ADVICE])


def check_start(values: Sequence[Series], returns: Sequence[Series]) -> StartReport:
    """Measures the distance from critic to returns after the first updates, and the time left.

    The mean return is taken over all these updates, since the policy hardly changes during them.
    The speed is measured in their second half, so optimiser and learning rate need not be known. It
    is not constant: the first steps of RMSprop are larger than later ones, and SGD slows down as
    the values approach the returns. With either optimiser, the values move faster if the layers
    below the head learn too.

    Args:
        values: for each of the first updates, the critic's values, a series over steps. Twenty
            updates are enough.
        returns: the critic's targets, in the same form.
    Raises:
        ArgumentError: fewer than 4 updates, no steps, values and returns of different shapes, or
            numbers that are not finite.
    """
    lengths = [len(update) for update in values]  # steps of each update
    same_lengths = lengths == [len(update) for update in returns]
    fits = same_lengths and len(lengths) >= FEWEST and all(lengths)
    given = f"{len(lengths)} updates of {sorted(set(lengths))} steps"
    accepted = f"{FEWEST} updates or more, each with as many values as returns"
    require_argument(fits, "values", given, accepted)
    for name, series in (("values", values), ("returns", returns)):
        are_finite = all(isfinite(number) for update in series for number in floats(update))
        require_argument(are_finite, name, "with nan or inf", "finite numbers")
    mean_values = [fmean(floats(update)) for update in values]
    mean_returns = [fmean(floats(update)) for update in returns]
    distance = fmean(mean_returns) - mean_values[-1]
    middle, last = len(mean_values) // 2, len(mean_values) - 1
    speed = (mean_values[last] - mean_values[middle]) / (last - middle)  # in reward per update
    return StartReport(
        distance=distance,
        error=stdev(mean_returns) / sqrt(len(mean_returns)),
        spread=pstdev(number for update in returns for number in floats(update)),
        updates=distance / speed if distance * speed > 0 else inf,
    )
