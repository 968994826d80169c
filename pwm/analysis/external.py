"""Outcomes of other people's agents: the rows of `paper/external.csv`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from io import StringIO
from pathlib import Path
from typing import Literal, get_type_hints

from pwm.core.errors import FileError, require_file

Agent = Literal["A2C", "RecurrentPPO"]
Network = Literal["separate", "shared"]
Returns = Literal["raw", "normalised", "centred"]


@dataclass(frozen=True, kw_only=True, order=True)
class ExternalRun:
    """A training run of somebody else's agent on pwm5, in that library's own units."""

    agent: Agent
    network: Network
    """Whether the critic's gradient reaches the policy's network."""
    max_grad_norm: float
    """Largest norm of the gradient of all parameters; inf for no clipping."""
    episode_length: int
    returns: Returns
    """Raw, divided by their standard deviation, or with a running mean subtracted."""
    vf_coef: float
    """Weight of the value loss, a mean over steps, as is the policy loss."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class ExternalOutcome:
    """Result of a run."""

    run: ExternalRun
    num_episodes: int
    """Episodes trained: a run ends when it has learned."""
    reward: float
    """Fraction of trials rewarded over the last 500 episodes."""
    time: float
    """Episodes until 500 in a row met the criterion for *learned*; inf if they never did."""
    torch: str
    """Version of PyTorch: results have other bits with another, and the same distribution."""


RESULTS = ("num_episodes", "reward", "time", "torch")
COLUMNS = (*(field.name for field in fields(ExternalRun)), *RESULTS)


def read_outcomes(path: Path, versions: str | None = None) -> list[ExternalOutcome]:
    """The outcomes in a file, in no particular order; none if there is no file.

    Args:
        path: of the file.
        versions: its first line, if that matters.
    Raises:
        FileError: the file is damaged, or was made with other versions of the libraries.
    """
    if not path.exists():
        return []
    first, *lines = path.read_text().splitlines()
    require_file(versions in (None, first), path, f"a file that begins: {versions}")
    try:
        return [_outcome(row) for row in csv.DictReader(lines, strict=True)]
    except (csv.Error, KeyError, TypeError, ValueError):
        raise FileError(path, "columns " + ", ".join(COLUMNS)) from None


def as_text(outcomes: Sequence[ExternalOutcome], versions: str) -> str:
    """The content of a file that `read_outcomes` reads, sorted by run."""
    text = StringIO()
    text.write(f"{versions}\n")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for outcome in sorted(outcomes, key=lambda each: each.run):
        results = {name: getattr(outcome, name) for name in RESULTS}
        writer.writerow(asdict(outcome.run) | results)
    return text.getvalue()


def _outcome(row: dict[str, str]) -> ExternalOutcome:
    numbers = {"max_grad_norm": float, "episode_length": int, "vf_coef": float, "seed": int}
    run = {name: numbers.get(name, str)(row[name]) for name in get_type_hints(ExternalRun)}
    return ExternalOutcome(
        run=ExternalRun(**run),
        num_episodes=int(row["num_episodes"]),
        reward=float(row["reward"]),
        time=float(row["time"]),
        torch=row["torch"],
    )
