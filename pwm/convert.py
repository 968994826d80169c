"""`python -m pwm.convert`: converts a critic weight from one library to another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from pwm.analysis.conventions import CONVENTIONS, Convention, convert_weight, formula, ratio
from pwm.core.errors import require, require_choice, require_integer, require_positive
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.inherited import say

ERRORS = {  # caveats by `Convention.error`
    "clipped": "values far from those before the update have no gradient.",
    "capped": "errors above the library's cap have no gradient.",
    "huber": "the loss of errors above 1 is linear (Huber), and lighter.",
}
SEPARATE = (  # the caveat if actor and critic share no parameters
    "the weight only scales the critic's learning rate, and under RMSprop or Adam not even that, "
    "but for a limit on the norm of both gradients."
)


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.convert`."""

    source: Annotated[str, tyro.conf.arg(name="from", metavar="NAME", help_behavior_hint="")]
    """Library and algorithm that the weight is from, or "notes"."""
    to: Annotated[
        str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: all)")
    ] = None
    """Library and algorithm to convert it to."""
    weight: Annotated[
        float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="(default: the library's)")
    ] = None
    """Weight of the value loss, in the units of --from."""
    episode_length: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="(default: none)")
    ] = None
    """Steps per update, an episode in the notes; needed from or to the notes, and without --to."""

    def __post_init__(self) -> None:
        require_choice("from", self.source, CONVENTIONS)
        if self.to is not None:
            require_choice("to", self.to, CONVENTIONS)
        if self.weight is not None:
            require_positive("weight", self.weight)
        if self.episode_length is not None:
            require_integer("episode_length", self.episode_length, 1)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    arguments = parse(
        Arguments,
        "python -m pwm.convert",
        "Converts the weight of the critic's loss from one library's units to another's. "
        f"Libraries: {', '.join(CONVENTIONS)}.",
        argv,
    )
    with errors_in_one_line():
        source, to, steps = arguments.source, arguments.to, arguments.episode_length
        weight = arguments.weight or CONVENTIONS[source].weight
        libraries = list(CONVENTIONS) if to is None else [source, to]
        needing = [name for name in libraries if CONVENTIONS[name].needs_steps]
        accepted = f"a number of steps: {', '.join(needing)} sums one loss and averages the other"
        require(steps is not None or not needing, "episode_length", "(none)", accepted)
        if to is None:
            assert steps is not None  # the notes, one of the libraries, need it
            lines = _to_all(source, weight, steps)
        else:
            lines = _to_one(source, to, weight, steps)
        for line in lines:
            say(line)


def _to_all(source: str, weight: float, steps: int) -> Iterator[str]:
    """Yields a line per library: the weight, converted for `steps` steps, and its usual weight."""
    for name, convention in CONVENTIONS.items():
        converted = convert_weight(weight, steps, source=source, to=name)
        yield f"{name:<26}{converted:<10.3g}{_default(convention)}"


def _to_one(source: str, to: str, weight: float, steps: int | None) -> Iterator[str]:
    """Yields the output lines: the converted weight, both libraries' losses, and caveats."""
    any_steps = steps or 1  # if none are given, no number below depends on them: see `main`
    converted = convert_weight(weight, any_steps, source=source, to=to)
    yield f"{weight:.3g} in {source} is {converted:.3g} in {to} ({_default(CONVENTIONS[to])})"
    width = max(len(source), len(to))
    for name, weight_there in ((source, weight), (to, converted)):
        yield f"  {name:<{width}}  {formula(CONVENTIONS[name], weight_there)}"
    error_weight = ratio(weight, source, any_steps)  # the same in `to`, by definition
    compared = f"{error_weight:.3g} times as much as its policy term"
    yield f"In both, a step's squared error weighs {compared}."
    for caveat in _caveats_of_pair(source, to, steps):
        yield f"- {caveat}"
    names_by_caveat: dict[str, list[str]] = {}
    for name in dict.fromkeys((source, to)):  # once if they are the same
        for caveat in _caveats(CONVENTIONS[name], error_weight):
            names_by_caveat.setdefault(caveat, []).append(name)
    for caveat, names in names_by_caveat.items():
        yield f"- {', '.join(names)}: {caveat}"


def _default(convention: Convention) -> str:
    """Describes a library's weight, such as "vf_coef, 0.5 by default", or says that it has none."""
    if not convention.parameter:
        return "no such weight: multiply its value loss"
    return f"{convention.parameter}, {convention.weight:g} {convention.usual}"


def _caveats_of_pair(source: str, to: str, steps: int | None) -> Iterator[str]:
    """Yields differences between two libraries that the converted weight does not cover.

    `steps` is the number of steps per update, None if it was not given.
    """
    first, second = CONVENTIONS[source], CONVENTIONS[to]
    if first.policy != second.policy and steps != 1:
        length = "T" if steps is None else steps
        change = f"1/{length} of" if first.policy == "sum" else f"{length} times"
        yield (
            f"{to}: the gradient is {change} that in {source}; RMSprop and Adam do not see it, SGD "
            "and a limit on the gradient's norm do."
        )
    source_scales = "advantages" in first.normalises
    if source_scales != ("advantages" in second.normalises):
        library, action = (source, "multiply") if source_scales else (to, "divide")
        yield (
            f"{library}: advantages are divided by their standard deviation: {action} the "
            "converted weight by it."
        )


def _caveats(convention: Convention, error_weight: float) -> Iterator[str]:
    """Yields properties of a library that no choice of weight makes up for.

    `error_weight` is ρ in `pwm.analysis.conventions`: the weight of a step's squared error relative
    to its policy term. The leak's temperature is 1 / (2 ρ).
    """
    if convention.networks == "separate":
        yield f"actor and critic share no parameters: {SEPARATE}"
    if convention.networks == "either":
        yield f"if actor and critic share no parameters, {SEPARATE}"
    if "returns" in convention.normalises:
        yield "returns are standardised, and errors with them."
    if convention.error in ERRORS:
        yield ERRORS[convention.error]
    if convention.attached:
        yield "the baseline is attached: the policy loss trains the critic too."
        if "advantages" not in convention.normalises:  # else the leak sums to 0
            limit = ", for errors up to 1" if convention.error == "huber" else ""
            yield (
                "this leak acts as an entropy bonus in the critic's target would, of temperature "
                f"{1 / (2 * error_weight):.3g}{limit}."
            )


if __name__ == "__main__":
    main()
