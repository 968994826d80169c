"""All claims, and the content of `paper/numbers.json`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pwm.analysis.evidence import Evidence
from pwm.claims import (
    brake,
    climb,
    edges,
    fifth,
    fourth,
    gradients,
    leak,
    noise,
    open_questions,
    practice,
    predictions,
    rules,
    working_range,
)
from pwm.claims.claim import Claim, Number
from pwm.claims.constants import quoted
from pwm.experiments import EXPERIMENTS
from pwm.io.errors import FileError
from pwm.runs.shards import plan

Group = Callable[[Evidence], Iterator[Claim]]  # yields the claims about one question
MODULES = (  # in the order in which their claims are printed
    leak, noise, climb, working_range, fourth, fifth, open_questions, edges, predictions, gradients,
    practice, rules, brake,
)  # fmt: skip
GROUPS: tuple[Group, ...] = tuple(group for module in MODULES for group in module.GROUPS)
NUMBERS = "numbers.json"  # in `paper/`
PREFIX = "claim."  # of the names of claims in that file


def claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields all claims."""
    for group in GROUPS:
        yield from group(evidence)


def numbers(given: Sequence[Claim]) -> dict[str, Number]:
    """Returns the content of `paper/numbers.json`: `quoted` numbers and the given claims, by name.

    A claim's entry holds its number, interval and sentence, the band in which the sentence is
    true, the command that trains its runs, and about how many minutes this takes on one core.
    """
    claimed = {
        f"{PREFIX}{claim.name}": {
            "text": claim.text,
            "value": claim.text.split()[0],  # as printed, without the interval
            "interval": _for_json(claim.estimate.low, claim.estimate.high),
            "says": claim.says,
            "band": _for_json(*claim.band),
            "command": "python -m pwm.sweep " + " ".join(claim.experiments),
            "minutes": max(0.1, round(sum(_minutes(name) for name in claim.experiments), 1)),
        }
        for claim in given
    }
    return dict(sorted({**quoted(), **claimed}.items()))


def disagreements(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Names of the numbers that differ, or that only one of the two mappings has."""
    return [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]


def read_numbers(path: Path) -> dict[str, Any]:
    """Reads the numbers that `python -m pwm.claims` wrote.

    Raises:
        FileError: the file cannot be read, or is not JSON.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise FileError(path, "a file of numbers; `python -m pwm.claims` writes it") from error
    return content


def _for_json(*ends: float) -> list[float | None]:
    """The ends of a range; None in place of infinity and nan, which JSON cannot express."""
    return [end if math.isfinite(end) else None for end in ends]


@lru_cache
def _minutes(name: str) -> float:
    """Estimated minutes that one core takes to train an experiment."""
    return sum(shard.seconds for shard in plan(EXPERIMENTS[name])) / 60
