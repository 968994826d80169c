"""Rows of the table against the libraries themselves, where they are installed.

They need environments of their own. `python -m tests.libraries` runs all that is there, and writes
the results into the documentation.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest

from pwm.analysis.conventions import CONVENTIONS, ratio
from tests.libraries.batch import (
    SPREADS,
    STEPS,
    expected,
    largest_difference,
    make_batch,
    measured_factors,
)
from tests.libraries.installed import FRAMEWORKS, Found, loss_of, tolerance

pytestmark = pytest.mark.machine
NAMES = [name for names in FRAMEWORKS.values() for name in names]


def run(name: str) -> Found:
    """A library's loss, or a skip that says what is missing."""
    found = loss_of(name)
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_gradients_and_the_default_weight_are_those_of_the_library(name: str) -> None:
    loss, ddof = run(name)
    for spread in SPREADS:
        batch = make_batch(spread, ddof)
        found, wanted = loss(batch), expected(CONVENTIONS[name], batch, ddof)
        assert found.weight == wanted.weight
        assert largest_difference(found, wanted) < tolerance(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_weight_found_from_the_gradients_alone_is_that_of_the_table(name: str) -> None:
    loss, ddof = run(name)
    row, batch = CONVENTIONS[name], make_batch(SPREADS[0], ddof)
    policy, value, leak = measured_factors(batch, loss(batch))
    deviation = SPREADS[0] if "advantages" in row.normalises else 1.0
    if not (row.attached and row.normalises):  # where the leak is no multiple of log π
        assert value / (policy * deviation) == pytest.approx(ratio(row.weight, name, STEPS), 1e-5)
        assert leak / policy == pytest.approx(float(row.attached), abs=1e-5)


@pytest.mark.parametrize("name", FRAMEWORKS["torch"])
def test_the_leak_check_finds_the_weight_of_the_table(name: str) -> None:
    _, ddof = run(name)
    import torch  # noqa: PLC0415, not in every environment
    from torch.distributions import Categorical  # noqa: PLC0415

    from pwm.tools.leak import check_leak  # noqa: PLC0415, it needs PyTorch
    from tests.libraries.torch_losses import RUNS  # noqa: PLC0415

    log_probs: list[torch.Tensor] = []
    log_prob: Any = Categorical.log_prob

    def recorded(policy: Categorical, actions: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = log_prob(policy, actions)
        log_probs.append(found)
        return found

    with patch.object(Categorical, "log_prob", recorded):
        table, weight, loss = RUNS[name](make_batch(SPREADS[0], ddof))
    (used,) = [
        found
        for found in log_probs
        if found.requires_grad
        and torch.autograd.grad(loss, found, retain_graph=True, allow_unused=True)[0] is not None
    ]
    report = check_leak(loss, None, table.parameters.items(), values=table.values, log_probs=used)
    assert report.verdict == ("leak" if CONVENTIONS[name].attached else "no leak")
    assert report.losses is not None
    deviation = SPREADS[0] if "advantages" in CONVENTIONS[name].normalises else 1.0
    wanted = ratio(weight, name, STEPS) * deviation  # for advantages in units of the reward
    assert report.losses.weight_of_means == pytest.approx(wanted, rel=1e-4)
