"""`python -m pwm.convert`: converts a critic weight from one library to another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from pwm.analysis.conventions import CONVENTIONS, Convention, convert_weight, formula, ratio
from pwm.core.errors import require, require_integer, require_positive
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.inherited import say

ERRORS = {
    "clipped": "values far from those before the update have no gradient.",
    "capped": "errors above the library's cap have no gradient.",
    "huber": "the loss of errors above 1 is linear (Huber), and lighter.",
}
SEPARATE = (
    "the weight only scales the critic's learning rate, and under RMSprop or Adam not even that."
)


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.convert`."""

    source: Annotated[str, tyro.conf.arg(name="from", metavar="NAME", help_behavior_hint="")]
    """Library and algorithm, or the notes, that the weight is of."""
    to: Annotated[
        str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: all)")
    ] = None
    """Library and algorithm to convert it to."""
    weight: Annotated[
        float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="(default: the library's)")
    ] = None
    """Weight of the value loss, in the units of the first."""
    episode_length: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="(default: none)")
    ] = None
    """Steps of an episode, of which the notes sum one loss and average the other."""


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
        for flag, name in (("from", arguments.source), ("to", arguments.to)):
            known = name is None or name in CONVENTIONS
            require(known, flag, name, "one of " + ", ".join(CONVENTIONS))
        weight = arguments.weight
        if weight is None:
            weight = CONVENTIONS[arguments.source].weight
        require_positive("weight", weight)
        if arguments.episode_length is not None:
            require_integer("episode_length", arguments.episode_length, 1)
        if arguments.to is None:
            lines = _to_all(arguments.source, weight, arguments.episode_length)
        else:
            lines = _to_one(arguments.source, arguments.to, weight, arguments.episode_length)
        for line in lines:
            say(line)


def _steps(names: Sequence[str], episode_length: int | None) -> int:
    """Steps per update: `episode_length`, or 1 if it is None and no named convention needs it.

    Raises:
        InputError: `episode_length` is None, and one of the conventions depends on it.
    """
    needing = [name for name in names if CONVENTIONS[name].needs_steps]
    accepted = f"a number of steps: {', '.join(needing)} sums one loss and averages the other"
    require(episode_length is not None or not needing, "episode_length", "(none)", accepted)
    return episode_length or 1


def _to_all(source: str, weight: float, episode_length: int | None) -> Iterator[str]:
    """Yields a line per library: the converted weight, and the library's usual weight."""
    steps = _steps(list(CONVENTIONS), episode_length)
    for name, convention in CONVENTIONS.items():
        converted = convert_weight(weight, steps, source=source, to=name)
        yield f"{name:<26}{converted:<10.3g}{_default(convention)}"


def _to_one(source: str, to: str, weight: float, episode_length: int | None) -> Iterator[str]:
    """Yields lines: the converted weight, both losses, and what no weight can compensate for."""
    steps = _steps([source, to], episode_length)
    converted = convert_weight(weight, steps, source=source, to=to)
    yield f"{weight:.3g} in {source} is {converted:.3g} in {to} ({_default(CONVENTIONS[to])})"
    width = max(len(source), len(to))
    for name, weight_there in ((source, weight), (to, converted)):
        yield f"  {name:<{width}}  {formula(CONVENTIONS[name], weight_there)}"
    error_weight = ratio(weight, source, steps)  # the same in both: this defines the conversion
    yield (
        f"In both, a step's squared error weighs {error_weight:.3g} times as much as its policy "
        "term."
    )
    for caveat in _caveats_of_pair(source, to, steps):
        yield f"- {caveat}"
    for caveat in _caveats_of_each(source, to, error_weight):
        yield f"- {caveat}"


def _default(convention: Convention) -> str:
    """Describes a library's weight by its name and usual value, as text."""
    if not convention.parameter:
        return "no such weight: multiply its value loss"
    return f"{convention.parameter}, {convention.weight:g} {convention.usual}"


def _caveats_of_pair(source: str, to: str, steps: int) -> Iterator[str]:
    """Yields differences between two libraries that no weight compensates."""
    first, second = CONVENTIONS[source], CONVENTIONS[to]
    if first.policy != second.policy and steps > 1:
        change = f"1/{steps} of" if first.policy == "sum" else f"{steps} times"
        yield (
            f"{to}: the gradient is {change} that in {source}; RMSprop and Adam do not see it, SGD "
            "and a limit on the gradient's norm do."
        )
    first_scales = "advantages" in first.normalises
    second_scales = "advantages" in second.normalises
    if first_scales != second_scales:
        scaling, act = (source, "multiply") if first_scales else (to, "divide")
        yield (
            f"{scaling}: advantages are divided by their standard deviation: {act} the converted "
            "weight by it."
        )


def _caveats_of_each(source: str, to: str, error_weight: float) -> Iterator[str]:
    """Yields properties that no weight compensates, each after the names of the libraries with it.

    Args:
        source: first library.
        to: second library, which may be the first.
        error_weight: weight of a step's squared error relative to its policy term.
    """
    libraries: dict[str, list[str]] = {}  # names of the libraries with a property, by property
    for name in dict.fromkeys((source, to)):  # once if they are the same
        for text in _caveats(CONVENTIONS[name], error_weight):
            libraries.setdefault(text, []).append(name)
    for text, names in libraries.items():
        yield f"{', '.join(names)}: {text}"


def _caveats(convention: Convention, error_weight: float) -> Iterator[str]:
    """Yields properties of a library that no weight compensates; see `_caveats_of_each`."""
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
        if "advantages" not in convention.normalises:
            yield (
                "this leak acts as an entropy bonus in the critic's target would, of temperature "
                f"{1 / (2 * error_weight):.3g}."
            )


if __name__ == "__main__":
    main()
