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
    "squared": "",
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
        names = [arguments.source, *([] if arguments.to is None else [arguments.to])]
        for flag, name in zip(("from", "to"), names, strict=False):
            require(name in CONVENTIONS, flag, name, "one of " + ", ".join(CONVENTIONS))
        weight = arguments.weight
        if weight is None:
            weight = CONVENTIONS[arguments.source].weight
        require_positive("weight", weight)
        if arguments.episode_length is not None:
            require_integer("episode_length", arguments.episode_length, 1)
        if arguments.to is None:
            lines = _all(arguments.source, weight, arguments.episode_length)
        else:
            lines = _pair(arguments.source, arguments.to, weight, arguments.episode_length)
        for line in lines:
            say(line)


def _steps(names: Sequence[str], given: int | None) -> int:
    """Steps of an update; any number if no convention's meaning depends on it."""
    needing = [name for name in names if CONVENTIONS[name].needs_steps]
    accepted = f"a number of steps: {', '.join(needing)} sums one loss and averages the other"
    require(given is not None or not needing, "episode_length", "(none)", accepted)
    return given or 1


def _all(source: str, weight: float, length: int | None) -> Iterator[str]:
    """A line for each library."""
    steps = _steps(list(CONVENTIONS), length)
    for name, convention in CONVENTIONS.items():
        converted = convert_weight(weight, steps, source=source, to=name)
        yield f"{name:<26}{converted:<10.3g}{_default(convention)}"


def _pair(source: str, to: str, weight: float, length: int | None) -> Iterator[str]:
    """The conversion, both formulas, and what it does not cover."""
    steps = _steps([source, to], length)
    converted = convert_weight(weight, steps, source=source, to=to)
    yield f"{weight:.3g} in {source} is {converted:.3g} in {to} ({_default(CONVENTIONS[to])})"
    width = max(len(source), len(to))
    for name, own in ((source, weight), (to, converted)):
        yield f"  {name:<{width}}  {formula(CONVENTIONS[name], own)}"
    share = ratio(weight, source, steps)
    yield f"In both, a step's squared error weighs {share:.3g} times as much as its policy term."
    yield from (f"- {line}" for line in _caveats(source, to, share, steps))


def _default(convention: Convention) -> str:
    if not convention.parameter:
        return "no such weight: multiply its value loss"
    return f"{convention.parameter}, {convention.weight:g} {convention.usual}"


def _caveats(source: str, to: str, share: float, steps: int) -> Iterator[str]:
    """Differences that no weight makes up for, with the names that they concern."""
    pair = {name: CONVENTIONS[name] for name in dict.fromkeys((source, to))}
    scaled = ["advantages" in CONVENTIONS[name].normalises for name in (source, to)]
    reductions = [CONVENTIONS[name].policy for name in (source, to)]
    found: dict[str, list[str]] = {}
    for name, own in pair.items():
        for condition, text in (
            (own.networks == "separate", f"actor and critic share no parameters: {SEPARATE}"),
            (own.networks == "either", f"if actor and critic share no parameters, {SEPARATE}"),
            ("returns" in own.normalises, "returns are standardised, and errors with them."),
            (own.error != "squared", ERRORS[own.error]),
            (own.attached, "the baseline is attached: the policy loss trains the critic too."),
            (
                own.attached and "advantages" not in own.normalises,
                "this leak acts as an entropy bonus in the critic's target would, of temperature "
                f"{1 / (2 * share):.3g}.",
            ),
        ):
            if condition:
                found.setdefault(text, []).append(name)
    if reductions[0] != reductions[1] and steps > 1:
        change = f"1/{steps} of" if reductions[0] == "sum" else f"{steps} times"
        yield (
            f"{to}: the gradient is {change} that in {source}; RMSprop and Adam do not see it, SGD "
            "and a limit on the gradient's norm do."
        )
    if scaled[0] != scaled[1]:
        act = "multiply" if scaled[0] else "divide"
        yield (
            f"{source if scaled[0] else to}: advantages are divided by their standard deviation: "
            f"{act} the converted weight by it."
        )
    yield from (f"{', '.join(names)}: {text}" for text, names in found.items())


if __name__ == "__main__":
    main()
