"""Libraries of the table that can be installed, and those that are."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NamedTuple

from pwm.analysis.conventions import CONVENTIONS
from tests.libraries.batch import Loss

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
"""Rows whose losses the adapters run, by what they run on."""
# A difference of parameters after a step of SGD has fewer digits than a gradient.
STEPPED = {"bsuite-jax", "bsuite-jax-rnn", "acme-ppo"}


class Found(NamedTuple):
    """A loss that can be run here."""

    loss: Loss
    ddof: int
    """Taken from n where the library computes a standard deviation."""


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
    return Found(adapters.LOSSES[name], adapters.DDOF.get(name, 1))


def installed_version(package: str) -> str | None:
    """Version of a package, if it is installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def tolerance(name: str) -> float:
    """Accepted difference of gradients, over the largest."""
    return 1e-5 if name in STEPPED else 1e-6
