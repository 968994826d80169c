"""Weights of policy and value losses in public libraries, and conversion of critic weights.

Over the steps t of an update, with the advantage A_t and the value's error δ_t = G_t - v_t,

    loss = reduce_t (-A_t log π(a_t)) + weight · factor · reduce_t δ_t²,

where each reduction is a sum or a mean. Two weights are equivalent if they give the same ratio of
the gradients of the two terms. Relative to a step's policy term, its squared error is weighted by

    ρ = weight · factor · c_value / c_policy,

where c is 1 for a sum and 1/n for a mean over n steps. The number of steps matters only if one
loss is summed and the other averaged, as in the notes: ρ = w / T for an episode of T steps. The
formula also gives PPO's gradients in the first gradient step of an update, where the probability
ratio is 1 and nothing is clipped.

Where the baseline is attached, α = 1 / (2 ρ) is the temperature of the leak (`pwm.core.leak`).
"""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from pwm.core.errors import require, require_choice

Reduction = Literal["sum", "mean"]
Error = Literal["squared", "clipped", "capped", "huber"]
Networks = Literal["shared", "separate", "either"]
Normalised = Literal["advantages", "returns"]
# Fields of `Convention` that accept only some words
CHOICES = {"policy": Reduction, "value": Reduction, "error": Error, "networks": Networks}
FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True, kw_only=True)
class Convention:
    """Loss of one algorithm of a library, or of the notes, with its usual settings."""

    repository: str  # owner and name on GitHub
    file: str  # path in the repository of the file that defines the loss
    version: str  # of `package`, or a commit of the repository if there is no package
    package: str = ""  # name on PyPI; empty if this version of the loss is not on PyPI
    parameter: str = ""  # the library's name for the weight; empty if it has no such parameter
    weight: float  # usual weight of the value loss
    usual: str = "by default"  # when `weight` is usual, in words that can follow the number
    factor: float = 1.0  # of δ², in addition to the weight; Huber's loss is ½ δ² for small errors
    policy: Reduction = "mean"  # of the policy loss over the steps of an update
    value: Reduction = "mean"  # of the value loss over the steps of an update
    error: Error = "squared"
    """Form of the value loss: squared; clipped, with no gradient for values moved far in an update
    (in most libraries, only toward the target); capped, with none for large errors; or Huber's."""
    attached: bool = False  # whether the policy loss trains the critic through the advantage
    networks: Networks  # of actor and critic; "either" if the user's network decides
    normalises: tuple[Normalised, ...] = ()  # what is divided by its standard deviation

    def __post_init__(self) -> None:
        require(self.weight > 0, "weight", self.weight, "a number above 0")
        require(self.factor in (0.5, 1), "factor", self.factor, "0.5 or 1")
        for name, choice in CHOICES.items():
            require_choice(name, getattr(self, name), get_args(choice))
        for quantity in self.normalises:
            require_choice("normalises", quantity, get_args(Normalised))
        for name in ("repository", "file", "version"):
            require(bool(getattr(self, name)), name, "(none)", "where the loss was read")

    @property
    def needs_steps(self) -> bool:
        """Whether ρ depends on the number of steps of an update."""
        return self.policy != self.value


def read_conventions(path: Path = FILE) -> dict[str, Convention]:
    """Reads conventions, by "library-algorithm" or just "library", in the order of the TOML file.

    Raises:
        InputError: a field is unknown, missing or out of range.
    """
    conventions = {}
    for library, table in tomllib.loads(path.read_text("utf-8")).items():
        # A library's table holds a table for each algorithm, and the fields that all of them share.
        algorithms = {key: value for key, value in table.items() if isinstance(value, dict)}
        shared = {key: value for key, value in table.items() if key not in algorithms}
        if not algorithms:
            conventions[library] = _convention(library, shared)
        for algorithm, own in algorithms.items():
            conventions[f"{library}-{algorithm}"] = _convention(library, shared | own)
    return conventions


def _convention(library: str, values: dict[str, Any]) -> Convention:
    """Makes a convention from its fields; errors for unknown or missing ones name `library`."""
    for name in values:
        require_choice(library, name, sorted(field.name for field in fields(Convention)))
    needed = {field.name for field in fields(Convention) if field.default is MISSING}
    missing = ", ".join(sorted(needed - values.keys()))
    require(not missing, library, f"without {missing}", "all fields without a default")
    normalises = tuple(values.get("normalises", ()))  # a list in TOML
    return Convention(**{**values, "normalises": normalises})


CONVENTIONS = read_conventions()


def ratio(weight: float, convention: str, steps: int) -> float:
    """Weight ρ of a step's squared error relative to its policy term, with `steps` per update.

    The value loss's `weight` is in the units of `convention`, a key of `CONVENTIONS`.

    Raises:
        InputError: the convention is unknown, or `steps` is below 1.
    """
    require(steps >= 1, "steps", steps, "an integer, 1 or above")
    require_choice("library", convention, CONVENTIONS)
    loss = CONVENTIONS[convention]
    c_value = 1 if loss.value == "sum" else 1 / steps
    c_policy = 1 if loss.policy == "sum" else 1 / steps
    return weight * (loss.factor * c_value / c_policy)


def convert_weight(
    critic_weight: float, steps: int, *, source: str = "notes", to: str = "stable-baselines3-a2c"
) -> float:
    """Converts a critic weight so that the policy and value gradients keep their ratio.

    The total loss may still differ by a factor, to which RMSprop and Adam are invariant. What a
    library normalises or clips (`Convention`) is ignored, though it may change the ratio.

    Args:
        critic_weight: weight in the units of `source`; this project's units are the notes'.
        steps: steps per update, at least 1; for the notes, steps per episode.
        source: a key of `CONVENTIONS`.
        to: a key of `CONVENTIONS`.
    Returns:
        The weight in the units of `to`.
    Raises:
        InputError: a convention is unknown, or `steps` is below 1.
    """
    return ratio(critic_weight, source, steps) / ratio(1, to, steps)


def formula(convention: Convention, weight: float) -> str:
    """Formula of a loss as text, for instance "-mean A log π + 0.5 · mean δ²".

    A is the advantage, π the probability of the action, and δ the value's error. The weight is in
    the units of the convention.
    """
    symbols = {"sum": "Σ", "mean": "mean"}
    policy, value = symbols[convention.policy], symbols[convention.value]
    is_huber = convention.error == "huber"
    half = " · ½" if convention.factor == 0.5 and not is_huber else ""  # Huber's loss includes it
    form = "" if convention.error == "squared" else f"{convention.error} "
    error = "Huber(δ)" if is_huber else f"{form}δ²"
    return f"-{policy} A log π + {weight:.3g}{half} · {value} {error}"
