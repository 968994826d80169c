"""`python -m pwm.claims`: every number that the paper claims, with its interval and its band.

A band is the range in which the sentence about the number is true; it follows from the sentence,
not from the number. The command fails if a number is outside its band. It writes all numbers to
`paper/numbers.json`, the only numbers that the paper's text can quote; with `--check`, it writes
nothing.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import tyro
from tqdm import tqdm

from pwm.analysis.outcomes import Evidence
from pwm.claims import (
    brake,
    climb,
    edges,
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
from pwm.experiments import EXPERIMENTS
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.files import folder_errors, write_json
from pwm.io.repository import published
from pwm.runs.shards import plan
from pwm.runs.storage import Store

OUTSIDE = 1  # exit status: a claim is outside its band
MODULES = (
    leak,
    start,
    climb,
    fourth,
    puzzles,
    edges,
    times,
    predictions,
    gradients,
    practice,
    rules,
    brake,
)


def claims(evidence: Evidence) -> Iterator[Claim]:
    """All claims."""
    for module in MODULES:
        for group in module.GROUPS:
            yield from group(evidence)


def numbers(found: Sequence[Claim]) -> dict[str, Mapping[str, Any]]:
    """Every number that the paper may quote, by name.

    A claim also has its sentence, its band and the command that trains its runs.
    """
    claimed = {
        f"claim.{claim.name}": {
            "text": claim.text,
            "value": f"{claim.estimate.value:,.{claim.digits}f}",
            "interval": _finite(claim.estimate.low, claim.estimate.high),
            "says": claim.says,
            "band": _finite(*claim.band),
            "command": "python -m pwm.sweep " + " ".join(claim.experiments),
            "minutes": round(sum(_minutes(name) for name in claim.experiments), 1),
        }
        for claim in found
    }
    return dict(sorted({**quoted(), **claimed}.items()))


def _finite(*numbers: float) -> list[float | None]:
    """Numbers for JSON, with None for what it cannot hold."""
    return [number if math.isfinite(number) else None for number in numbers]


@lru_cache
def _minutes(name: str) -> float:
    """Estimated time that one core takes to train an experiment."""
    return sum(shard.seconds for shard in plan(EXPERIMENTS[name])) / 60


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.claims`."""

    results: Path = Path("results")
    """Folder of the stored runs."""
    out: Annotated[
        Path | None,
        tyro.conf.arg(metavar="PATH", help_behavior_hint="(default: paper/numbers.json)"),
    ] = None
    """File to write the numbers to."""
    check: bool = False
    """Write nothing."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and exits."""
    arguments = parse(
        Arguments,
        "python -m pwm.claims",
        "Computes every number that the paper claims from the stored runs.",
        argv,
    )
    with errors_in_one_line():
        path = arguments.out or published("numbers.json")
        evidence = Evidence(Store(arguments.results))
        found = list(tqdm(claims(evidence), unit=" claims", file=sys.stderr, leave=False))
        if not arguments.check:
            with folder_errors("out", path):
                write_json(path, numbers(found))
        for claim in found:
            low, high = claim.band
            verdict = f"{'in' if claim.holds else 'NOT in'} [{low:g}, {high:g}]"
            source = ", ".join(claim.experiments)
            print(f"claim.{claim.name:30} {claim.text:24} {verdict:24} {claim.says} ({source})")
        outside = sum(not claim.holds for claim in found)
        print(f"{len(found) - outside} of {len(found)} claims are in their bands.")
    sys.exit(OUTSIDE if outside else 0)


if __name__ == "__main__":
    main()
