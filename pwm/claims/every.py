"""All claims, their numbers for the paper, and the runs that each rests on."""

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
    practice,
    predictions,
    puzzles,
    rules,
    start,
    times,
)
from pwm.claims.claim import Claim
from pwm.claims.constants import quoted
from pwm.core.errors import FileError
from pwm.experiments import EXPERIMENTS
from pwm.runs.shards import plan

Group = Callable[[Evidence], Iterator[Claim]]
MODULES = (
    leak,
    start,
    climb,
    fourth,
    fifth,
    puzzles,
    edges,
    times,
    predictions,
    gradients,
    practice,
    rules,
    brake,
)
NUMBERS = "numbers.json"  # in `paper/`
PREFIX = "claim."  # of claims' names in that file
GROUPS: tuple[Group, ...] = tuple(group for module in MODULES for group in module.GROUPS)


def claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields all claims."""
    for group in GROUPS:
        yield from group(evidence)


def numbers(found: Sequence[Claim]) -> dict[str, Mapping[str, Any]]:
    """Every number that the paper may quote, by name.

    A claim also has its sentence, its band, the command that trains its runs, and its minutes.
    """
    claimed = {
        f"{PREFIX}{claim.name}": {
            "text": claim.text,
            "value": f"{claim.estimate.value:,.{claim.digits}f}",
            "interval": _finite(claim.estimate.low, claim.estimate.high),
            "says": claim.says,
            "band": _finite(*claim.band),
            "command": "python -m pwm.sweep " + " ".join(claim.experiments),
            "minutes": max(0.1, round(sum(_minutes(name) for name in claim.experiments), 1)),
        }
        for claim in found
    }
    return dict(sorted({**quoted(), **claimed}.items()))


def disagreements(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Names of the numbers that differ, or that only one side has."""
    return [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]


def read_numbers(path: Path) -> dict[str, Any]:
    """Reads the numbers that `python -m pwm.claims` wrote.

    Raises:
        FileError: the file is missing or damaged.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise FileError(path, "a file of numbers; `python -m pwm.claims` writes it") from error
    return content


def _finite(*numbers: float) -> list[float | None]:
    """Numbers for JSON: None for those that are not finite."""
    return [number if math.isfinite(number) else None for number in numbers]


@lru_cache
def _minutes(name: str) -> float:
    """Estimated minutes that one core takes to train an experiment."""
    return sum(shard.seconds for shard in plan(EXPERIMENTS[name])) / 60
