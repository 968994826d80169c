"""Weighting of the two losses in public libraries, and conversion of a critic weight.

Over the steps t of an update, with the advantage A_t and the error δ_t = G_t - v_t of the value,

    loss = reduce_t (-A_t log π(a_t)) + weight · factor · reduce_t δ_t²,

where each reduction is a sum or a mean. Two weights are equivalent if they give the same ratio of
the gradients of the two terms. Relative to a step's policy term, its squared error is weighted by

    ρ = weight · factor · c_value / c_policy,

where c is 1 for a sum and 1/n for a mean over n steps. The number of steps matters only if one
loss is summed and the other averaged, as in the notes: ρ = w / T for an episode of T steps. In the
first gradient step of a PPO update the ratio of probabilities is 1 and nothing is clipped, so that
its gradients are those above.

Where the baseline is attached, α = 1 / 2ρ is the temperature of the leak (`pwm.core.leak`).
"""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from pwm.core.errors import require

Reduction = Literal["sum", "mean"]
Error = Literal["squared", "clipped", "capped", "huber"]
Networks = Literal["shared", "separate", "either"]
Normalised = Literal["advantages", "returns"]
CHOICES = {"policy": Reduction, "value": Reduction, "error": Error, "networks": Networks}
"""Accepted values of a convention's fields."""
ERROR_TERMS: dict[Error, str] = {
    "squared": "δ²",
    "clipped": "clipped δ²",
    "capped": "capped δ²",
    "huber": "Huber(δ)",
}
"""Terms of the value loss in a formula."""
FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True, kw_only=True)
class Convention:
    """The loss of one algorithm of a library, as it is by default."""

    repository: str
    """Owner and name on GitHub."""
    file: str
    """File of the repository that defines the loss."""
    version: str
    """Version of the package, or the commit if it is not on PyPI."""
    package: str = ""
    """Name on PyPI; empty if it is not there in this form."""
    parameter: str = ""
    """Library's name of the weight; empty if it has none."""
    weight: float
    """Usual weight of the value loss."""
    usual: str = "by default"
    """Condition under which that weight is usual, in words."""
    factor: float = 1.0
    """Factor of the squared error next to the weight, for small errors: 1 or ½."""
    policy: Reduction = "mean"
    """Reduction of the policy loss over the steps of an update."""
    value: Reduction = "mean"
    """Reduction of the value loss."""
    error: Error = "squared"
    """Form of the value loss: squared; clipped, with no gradient for values far from those before
    the update; capped, with no gradient for large errors; or Huber's."""
    attached: bool = False
    """Whether the policy loss trains the critic through the advantage."""
    networks: Networks
    """Whether actor and critic share parameters, or either, depending on the network chosen."""
    normalises: tuple[Normalised, ...] = ()
    """Quantities scaled to a standard deviation of 1."""

    def __post_init__(self) -> None:
        require(self.weight > 0, "weight", self.weight, "a number above 0")
        require(self.factor in (0.5, 1), "factor", self.factor, "0.5 or 1")
        for name, choice in CHOICES.items():
            _require_choice(name, getattr(self, name), get_args(choice))
        for quantity in self.normalises:
            _require_choice("normalises", quantity, get_args(Normalised))
        for name in ("repository", "file", "version"):
            require(bool(getattr(self, name)), name, "(none)", "where the loss was read")

    @property
    def needs_steps(self) -> bool:
        """Whether ρ depends on the number of steps of an update."""
        return self.policy != self.value

    def ratio_per_weight(self, steps: int) -> float:
        """ρ for a weight of 1: a step's squared error relative to its policy term.

        Args:
            steps: n, steps per update, at least 1.
        """
        c_value = 1 if self.value == "sum" else 1 / steps
        c_policy = 1 if self.policy == "sum" else 1 / steps
        return self.factor * c_value / c_policy


def read_conventions(path: Path = FILE) -> dict[str, Convention]:
    """Reads the conventions of a file: by "library-algorithm", in the file's order.

    Raises:
        InputError: a field is unknown, missing or out of range.
    """
    found = {}
    for library, table in tomllib.loads(path.read_text("utf-8")).items():
        algorithms = {key: value for key, value in table.items() if isinstance(value, dict)}
        shared = {key: value for key, value in table.items() if key not in algorithms}
        if not algorithms:
            found[library] = _convention(library, shared)
        for algorithm, own in algorithms.items():
            found[f"{library}-{algorithm}"] = _convention(library, shared | own)
    return found


def _convention(library: str, row: dict[str, Any]) -> Convention:
    """The convention with the fields of a row, or an `InputError` that names the library."""
    known = {field.name for field in fields(Convention)}
    for key in row:
        require(key in known, library, key, "one of " + ", ".join(sorted(known)))
    needed = {field.name for field in fields(Convention) if field.default is MISSING}
    missing = ", ".join(sorted(needed - row.keys()))
    require(not missing, library, f"without {missing}", "all fields without a default")
    return Convention(**row | {"normalises": tuple(row.get("normalises", ()))})


def _require_choice(name: str, value: str, accepted: tuple[str, ...]) -> None:
    """Raises `InputError` unless the value is one of those accepted."""
    require(value in accepted, name, value, "one of " + ", ".join(accepted))


CONVENTIONS = read_conventions()


def ratio(weight: float, convention: str, steps: int) -> float:
    """Weight ρ of a step's squared error relative to its policy term.

    Args:
        weight: weight of the value loss, in the units of the convention.
        convention: a key of `CONVENTIONS`.
        steps: steps per update, at least 1.
    Raises:
        InputError: the convention is unknown, or there is no step.
    """
    require(steps >= 1, "steps", steps, "an integer, 1 or above")
    _require_choice("library", convention, tuple(CONVENTIONS))
    return weight * CONVENTIONS[convention].ratio_per_weight(steps)


def convert_weight(
    critic_weight: float, steps: int, *, source: str = "notes", to: str = "stable-baselines3-a2c"
) -> float:
    """Weight at which one library balances its two losses as another does at a given weight.

    The two totals may still differ by a common factor, to which RMSprop and Adam are invariant.

    Args:
        critic_weight: weight in the units of `source`; this project's units are the notes'.
        steps: steps per update, at least 1; for the notes, steps per episode.
        source: a key of `CONVENTIONS`.
        to: another key.
    Returns:
        The weight in the units of `to`.
    Raises:
        InputError: a convention is unknown, or there is no step.
    """
    return ratio(critic_weight, source, steps) / ratio(1, to, steps)


def formula(convention: Convention, weight: float) -> str:
    """A library's loss as a formula in the advantage A and the value's error δ.

    Args:
        convention: the library's convention.
        weight: weight of the value loss, in the library's units.
    """
    symbols = {"sum": "Σ", "mean": "mean"}
    policy, value = symbols[convention.policy], symbols[convention.value]
    # Huber's loss includes the ½.
    half = " · ½" if convention.factor == 0.5 and convention.error != "huber" else ""
    return f"-{policy} A log π + {weight:.3g}{half} · {value} {ERROR_TERMS[convention.error]}"
