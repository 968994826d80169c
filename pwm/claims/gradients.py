"""Claims about gradients: who owns the trunk, how noisy the policy's is, and the identity."""

from __future__ import annotations

from collections.abc import Iterator
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import Estimate, of_resampled_seeds, point
from pwm.analysis.gradients import before_learning, identity_sides, policy_share, share_weight
from pwm.analysis.outcomes import Evidence, Outcomes
from pwm.analysis.theory import slowdown
from pwm.claims.claim import Claim


def share_claims(evidence: Evidence) -> Iterator[Claim]:
    """Who owns the trunk."""
    detached = evidence.of("gradients").at(baseline="detached")
    for steps in (15, 60):
        for weight, low, high in ((0.1, 0.9, 1.0), (5.0, 0.0, 0.5), (100.0, 0.0, 0.1)):
            part = detached.at(episode_length=steps, critic_weight=weight)
            yield Claim(
                f"claim.share-{steps}-{weight:g}",
                "detached, the policy's share of the trunk's squared gradient, before learning",
                _mean_of_seeds(before_learning(part, policy_share(part))),
                low,
                high,
                ("gradients",),
                3,
            )
    for steps in detached.axes["episode_length"]:
        part = detached.at(episode_length=steps, critic_weight=0.1)
        yield Claim(
            f"claim.share-weight-{steps}",
            "weight at which the critic's gradient of the trunk would equal the policy's, from 0.1",
            _mean_of_seeds(before_learning(part, share_weight(part, 0.1))),
            1.0,
            3.0,
            ("gradients",),
            1,
        )
    for steps, low, high in ((15, 1.0, 4.0), (120, 4.0, 20.0)):
        part = detached.at(episode_length=steps, critic_weight=5.0)
        yield Claim(
            f"claim.share-weight-heavy-{steps}",
            "the same from the norms at weight 5",
            _mean_of_seeds(before_learning(part, share_weight(part, 5.0))),
            low,
            high,
            ("gradients",),
            1,
        )


def signal_claims(evidence: Evidence) -> Iterator[Claim]:
    """How noisy the policy's gradient is, and how large."""
    runs = evidence.of("gradients")
    for baseline in ("attached", "detached"):
        grid = runs.at(baseline=baseline)
        for weight in (0.1, 5.0):
            part = grid.at(episode_length=15, critic_weight=weight)
            leak = baseline == "attached" and weight < 1
            yield Claim(
                f"claim.snr-{baseline}-{weight:g}",
                "signal-to-noise ratio of the policy's gradient at 15 steps, before learning, in ‰",
                _mean_of_seeds(1000 * before_learning(part, part.courses["signal_to_noise"])),
                -1 if leak else 0,
                1 if leak else 15,
                ("gradients",),
                1,
            )
    yield from _norm_claims(runs)


def identity_claims(evidence: Evidence) -> Iterator[Claim]:
    """The two sides of the identity."""
    attached = evidence.of("gradients").at(baseline="attached")
    for steps in attached.axes["episode_length"]:
        for weight in (1.0, 5.0):
            part = attached.at(episode_length=steps, critic_weight=weight)
            yield Claim(
                f"claim.identity-{steps}-{weight:g}",
                "one side of the identity over the other, mean of all seeds and windows",
                _ratio_of_sides(part, steps, weight),
                0.8,
                1.25,
                ("gradients",),
                3,
            )

    part = attached.at(episode_length=120, critic_weight=0.1)
    yield Claim(
        "claim.identity-120-0.1",
        "the same where the critic has not arrived at its fixed point",
        _ratio_of_sides(part, 120, 0.1),
        1.25,
        3.0,
        ("gradients",),
    )
    for weight, low, high in ((5.0, 3, 5), (20.0, 0, 2)):
        close = 0
        for steps in attached.axes["episode_length"]:
            part = attached.at(episode_length=steps, critic_weight=weight)
            ours, theirs = identity_sides(part, steps, weight)
            larger = np.maximum(np.abs(ours), np.abs(theirs))
            close += bool(np.nanmedian(np.abs(ours - theirs) / larger) < 0.2)
        yield Claim(
            f"claim.window-{weight:g}",
            "lengths, of five, at which the sides differ by less than a fifth in the median window",
            point(close),
            low,
            high,
            ("gradients",),
            0,
        )


def _norm_claims(runs: Outcomes) -> Iterator[Claim]:
    """What the norm of the policy's gradient itself says of a leak, at the first probe."""
    for steps in (15, 60):
        norms, bias, variance = (
            {
                baseline: np.median(
                    runs.at(episode_length=steps, critic_weight=1.0, baseline=baseline).courses[
                        name
                    ][:, 0]
                )
                for baseline in ("attached", "detached")
            }
            for name in ("policy_norm", "critic_bias", "return_variance")
        )
        expected = slowdown(float(bias["attached"]) / sqrt(float(variance["attached"])))
        yield Claim(
            f"claim.norm-{steps}",
            "norm of the policy's gradient, attached over detached at weight 1, over what a bias "
            "alone would make of it",
            point(float(norms["attached"] / norms["detached"]) / expected),
            0,
            0.7,
            ("gradients",),
        )


def _ratio_of_sides(part: Outcomes, steps: int, weight: float) -> Estimate:
    """Measured over predicted sum of advantage times log-probability."""
    ours, theirs = identity_sides(part, steps, weight)

    def ratio(seeds: NDArray[np.intp]) -> float:
        return float(ours[seeds].mean() / theirs[seeds].mean())

    return of_resampled_seeds(ratio, len(ours), np.random.default_rng(0))


def _mean_of_seeds(values: NDArray[np.float64]) -> Estimate:
    """Mean over the seeds that have a value, with its normal 95% interval."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return point(nan)
    error = 1.96 * float(np.std(values, ddof=1)) / sqrt(len(values))
    mean = float(np.mean(values))
    return Estimate(mean, mean - error, mean + error)
