"""`python -m pwm.claims`: every number that the paper claims, with its interval and its band.

The band is where the number must lie for the sentence about it to be true; it follows from the
sentence, not from the number. It fails if one has left its band. The numbers are written to
`paper/numbers.json`, which is all that the paper's text can quote; with `--check`, nowhere.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pwm import edge_claims, gradient_claims, leak_claims, other_claims, speed_claims
from pwm.analysis.outcomes import Evidence
from pwm.claims.claim import Claim
from pwm.claims.constants import quoted
from pwm.experiments import EXPERIMENTS
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.files import folder_errors, write_json
from pwm.runs.shards import plan
from pwm.runs.storage import Store

NUMBERS = Path(__file__).resolve().parent.parent / "paper" / "numbers.json"
LEFT = 1  # exit status: a claim has left its band


def claims(evidence: Evidence) -> Iterator[Claim]:
    """All claims."""
    for group in (
        leak_claims.theory_claims,
        leak_claims.detaching_claims,
        leak_claims.part_claims,
        leak_claims.hand_claims,
        leak_claims.separate_claims,
        edge_claims.lower_claims,
        edge_claims.upper_claims,
        speed_claims.noise_claims,
        speed_claims.best_weight_claims,
        speed_claims.sharing_claims,
        speed_claims.second_law_claims,
        gradient_claims.share_claims,
        gradient_claims.signal_claims,
        gradient_claims.identity_claims,
        other_claims.collapse_claims,
        other_claims.notes_claims,
        other_claims.practice_claims,
    ):
        yield from group(evidence)


def numbers(found: Sequence[Claim]) -> dict[str, Mapping[str, Any]]:
    """What the paper may quote, by name; of claims, also what they say and where they come from."""
    ours = {
        claim.name: {
            "text": claim.text,
            "value": f"{claim.estimate.value:,.{claim.digits}f}",
            "interval": _finite(claim.estimate.low, claim.estimate.high),
            "says": claim.says,
            "band": _finite(claim.low, claim.high),
            "command": "python -m pwm.sweep " + " ".join(claim.experiments),
            "minutes": round(sum(_minutes(name) for name in claim.experiments), 1),
        }
        for claim in found
    }
    return dict(sorted({**quoted(), **ours}.items()))


def _finite(*numbers: float) -> list[float | None]:
    """Numbers as JSON can hold them."""
    return [number if math.isfinite(number) else None for number in numbers]


@lru_cache
def _minutes(name: str) -> float:
    """About how long one core takes for an experiment."""
    return sum(shard.seconds for shard in plan(EXPERIMENTS[name])) / 60


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.claims`."""

    results: Path = Path("results")
    """Folder that histories are kept in."""
    out: Path = NUMBERS
    """File of the numbers that the paper quotes."""
    check: bool = False
    """Write nothing."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and ends the program."""
    arguments = parse(
        Arguments,
        "python -m pwm.claims",
        "Computes every number that the paper claims from the stored runs.",
        argv,
    )
    with errors_in_one_line():
        evidence = Evidence(Store(arguments.results))
        found = list(tqdm(claims(evidence), unit=" claims", file=sys.stderr, leave=False))
        if not arguments.check:
            with folder_errors("out", arguments.out):
                write_json(arguments.out, numbers(found))
        for claim in found:
            band = f"in [{claim.low:g}, {claim.high:g}]"
            verdict = band if claim.holds else "NOT " + band
            source = ", ".join(claim.experiments)
            print(f"{claim.name:36} {claim.text:24} {verdict:24} {claim.says} ({source})")
        left = sum(not claim.holds for claim in found)
        print(f"{len(found) - left} of {len(found)} claims are in their bands.")
    sys.exit(LEFT if left else 0)


if __name__ == "__main__":
    main()
