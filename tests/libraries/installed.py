"""Libraries of `conventions.toml` whose losses can be run, and those that are installed."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NamedTuple

from pwm.analysis.conventions import CONVENTIONS, ratio
from tests.libraries.batch import SPREADS, STEPS, Check, Loss, make_batch, measured_factors

FRAMEWORKS = {
    "torch": (
        *("stable-baselines3-a2c", "stable-baselines3-ppo", "sb3-contrib-recurrent-ppo"),
        *("sb3-contrib-maskable-ppo", "cleanrl-ppo", "torchrl-a2c", "torchrl-ppo"),
        *("torchrl-reinforce", "tianshou-a2c", "tianshou-ppo", "rllib-ppo", "rllib-impala"),
        *("skrl-a2c", "skrl-ppo", "pfrl-a2c", "pfrl-a3c", "pfrl-ppo", "rl-games-ppo"),
        *("rsl-rl-ppo", "sample-factory-appo"),
    ),
    "jax": ("brax-ppo", "bsuite-jax", "bsuite-jax-rnn", "acme-ppo", "acme-impala"),
    "tensorflow": ("bsuite-tf", "bsuite-tf-rnn", "tf-agents-reinforce", "tf-agents-ppo"),
}
"""Rows of the table whose losses can be run, by framework."""
# Gradients found from an SGD step's change of the parameters have fewer digits.
STEPPED = {"bsuite-jax", "bsuite-jax-rnn", "acme-ppo"}


class Found(NamedTuple):
    """A loss that can be run here."""

    loss: Loss
    ddof: int
    """Subtracted from n where the library computes a standard deviation."""
    check: Check | None
    """None if the library is not on PyTorch."""


def loss_of(name: str) -> Found | str:
    """The loss of a row, or the reason why it cannot be run here."""
    package = CONVENTIONS[name].package
    (framework,) = (key for key, names in FRAMEWORKS.items() if name in names)
    for needed, there in (
        (framework, find_spec(framework) is not None),
        (f"{package}=={CONVENTIONS[name].version}", installed_version(package) is not None),
    ):
        if not there:
            return f"{needed} is not installed"
    adapters = import_module(f"tests.libraries.{framework}_losses")
    checks = getattr(adapters, "CHECKS", {})
    return Found(adapters.LOSSES[name], adapters.DDOF.get(name, 1), checks.get(name))


def installed_version(package: str) -> str | None:
    """Version of a package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def weight_error(name: str, found: Found) -> float | None:
    """Relative difference of the weight found from a loss alone and the table's.

    `check_leak` finds it in PyTorch, and a fit of the gradients elsewhere, both in units of
    unnormalised advantages. None, outside PyTorch, if a leak passes through their normalisation:
    a fit cannot tell the two apart.

    Raises:
        SystemExit: the baseline is attached in only one of loss and table, or no weight was found.
    """
    row, batch = CONVENTIONS[name], make_batch(SPREADS[0], found.ddof)
    normalised = "advantages" in row.normalises
    if found.check is not None:
        report = found.check(batch)
        attached, weight = report.verdict == "leak", report.losses.weight_of_means
    elif row.attached and normalised:
        return None
    else:
        policy, value, leak = measured_factors(batch, found.loss(batch))
        attached, weight = abs(leak) > policy / 2, value / policy
    if attached != row.attached or weight is None:
        raise SystemExit(f"{name}: attached is {attached}, and the weight {weight}")
    wanted = ratio(row.weight, name, STEPS) * (SPREADS[0] if normalised else 1)
    return abs(weight / wanted - 1)


def tolerance(name: str) -> float:
    """Accepted relative difference of gradients."""
    return 1e-5 if name in STEPPED else 1e-6
