"""The check of training curves, on made-up curves of known bias."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pwm.core.errors import InputError
from pwm.core.leak import critic_bias
from pwm.tools import check_logs

STEPS, WEIGHT, SPREAD = 60, 2.0, 3.0


def curves(share: float, *, points: int = 200, noise: float = 0.3) -> dict[str, Any]:
    """Arguments for `share` times a leak's bias, with a summed policy loss and mean value loss."""
    random = np.random.default_rng(0)
    entropy = np.linspace(1.0, 0.4, points)
    bias = share * critic_bias(STEPS, 1.0, WEIGHT) * entropy
    return {
        "policy_loss": -STEPS * bias * entropy + random.normal(0, noise, points),
        "value_loss": SPREAD**2 + bias**2,
        "entropy": entropy,
        "weight": WEIGHT,
        "steps": STEPS,
        "bias": bias + random.normal(0, noise, points),
        "policy_reduction": "sum",
    }


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(1.0, "leak"), (0.0, "no leak"), (0.4, "cannot tell"), (4, "cannot tell")],
)
def test_verdict_follows_from_the_bias(share: float, verdict: str) -> None:
    logged = curves(share)
    assert check_logs(**logged).verdict == verdict
    from_loss = check_logs(**{**logged, "bias": None})
    assert from_loss.verdict == verdict
    entropy = logged["entropy"][100:].mean()
    assert from_loss.measured == pytest.approx(share * 15 * entropy, rel=0.02, abs=0.05)
    assert from_loss.predicted == pytest.approx(15 * entropy)


def test_reductions_change_the_bias_that_is_expected() -> None:
    expected = check_logs(**curves(1.0)).predicted
    for change, factor in (
        ({"policy_reduction": "mean"}, 1 / STEPS),
        ({"value_reduction": "sum"}, 1 / STEPS),
        ({"halved": True}, 2),
        ({"weight": 2 * WEIGHT}, 0.5),
    ):
        report = check_logs(**{**curves(1.0), **change})
        assert report.predicted == pytest.approx(factor * expected)
        assert report.verdict != "leak"


def test_noise_and_a_deterministic_policy_cannot_tell() -> None:
    noisy = check_logs(**curves(1.0, noise=100))
    assert noisy.verdict == "cannot tell"
    assert "noisy" in str(noisy)
    assert 10 < noisy.error < 60  # 2.4 standard errors of the mean of 100 points with deviation 100
    for entropy in (1e-6, 0.0):
        certain = check_logs(**{**curves(1.0), "entropy": np.full(200, entropy)})
        assert certain.verdict == "cannot tell"
        assert "deterministic" in str(certain)


def test_a_critic_on_its_way_to_a_leak_is_not_cleared() -> None:
    """The critic's bias is small relative to a leak's, but not to the spread of the returns."""
    logged = curves(0.15)
    assert check_logs(**logged).verdict == "no leak"
    logged["value_loss"] -= SPREAD**2 - 1
    assert check_logs(**logged).verdict == "cannot tell"


def test_curves_must_fit() -> None:
    with pytest.raises(InputError, match=r"CURVES \[200, 200, 199, 200\]: expected curves of one"):
        check_logs(**{**curves(1.0), "entropy": np.ones(199)})
    with pytest.raises(InputError, match="32 points or more"):
        check_logs(**curves(1.0, points=31))


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["policy_loss", "value_loss", "entropy", "bias"])
def test_numbers_that_are_not_finite_are_refused_in_the_second_half(
    name: str, number: float
) -> None:
    logged = curves(1.0)
    if name == "policy_loss":
        del logged["bias"]  # so that it is found from this loss
    logged[name][99] = number
    assert check_logs(**logged).verdict == "leak"
    logged[name][100] = number
    with pytest.raises(InputError, match="CURVES with nan or inf: expected finite numbers in"):
        check_logs(**logged)
