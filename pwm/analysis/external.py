"""Outcomes of other people's code: the rows of two files in `paper/`, and the runs by setting."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_type_hints

import numpy as np
from numpy.typing import NDArray

from pwm.core.errors import FileError, require_file
from pwm.io.repository import published

AGENT_FILE, LOOP_FILE = "external.csv", "loops.csv"

Agent = Literal["A2C", "RecurrentPPO"]
Network = Literal["separate", "shared"]
Returns = Literal["raw", "normalised", "centred"]
Loop = Literal["tutorial", "reinforce", "a3c", "a3c-textbook"]
Baseline = Literal["attached", "detached"]


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
    """Outcome of an agent's run."""

    run: ExternalRun
    num_episodes: int
    """Episodes trained: a run ends when it has learned."""
    reward: float
    """Fraction of trials rewarded in the last 500 episodes."""
    time: float
    """Episodes until 500 in a row met the criterion for *learned*; inf if they never did."""
    torch: str
    """Version of PyTorch: results have other bits with another, and the same distribution."""


@dataclass(frozen=True, kw_only=True, order=True)
class LoopRun:
    """A training run of a public loop on CartPole."""

    loop: Loop
    baseline: Baseline
    weight: float
    """Factor of the value loss, in the loop's own units."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class LoopOutcome:
    """Outcome of a loop's run; means are over the steps of the second half of its episodes."""

    run: LoopRun
    num_updates: int
    """Updates trained: a run ends when it has learned."""
    num_episodes: int
    length: float
    """Mean number of steps of the last 100 episodes."""
    time: float
    """Updates until the middle of the first 100 episodes in a row with more than 195 steps on
    average; inf if there were none."""
    error: float
    """Mean of value minus target; with Huber's loss, an error counts up to 1."""
    entropy: float
    """Mean entropy of the policy, in nats."""
    bias: float
    """Mean of value minus the discounted return of the whole episode; nan if returns are
    standardised."""
    bootstrap: float
    """Mean factor of the bootstrap value in a target: γ to the number of steps, or 0."""
    torch: str
    """Version of PyTorch."""


Outcome = TypeVar("Outcome", bound=ExternalOutcome | LoopOutcome)


def read_outcomes(path: Path, kind: type[Outcome], versions: str | None = None) -> list[Outcome]:
    """Reads the outcomes in a file; none if there is no file.

    Args:
        path: the file.
        kind: class of the outcomes.
        versions: first line that the file must have, if that matters.
    Raises:
        FileError: the file is damaged, or was made with other versions of the libraries.
    """
    if not path.exists():
        return []
    first, *lines = path.read_text("utf-8").splitlines()
    require_file(versions in (None, first), path, f"a file that begins: {versions}")
    types: dict[str, Any] = get_type_hints(kind)
    run_class: Any = types.pop("run")
    run_types = get_type_hints(run_class)
    try:
        return [
            kind(run=run_class(**_typed(row, run_types)), **_typed(row, types))
            for row in csv.DictReader(lines, strict=True)
        ]
    except (csv.Error, KeyError, TypeError, ValueError):
        raise FileError(path, "columns " + ", ".join([*run_types, *types])) from None


def _typed(row: dict[str, str], types: dict[str, Any]) -> dict[str, Any]:
    """Values of a row of CSV: numbers in columns of type int or float, strings in others."""
    converters = {name: kind if kind in (int, float) else str for name, kind in types.items()}
    return {name: convert(row[name]) for name, convert in converters.items()}


def as_text(outcomes: Sequence[ExternalOutcome | LoopOutcome], versions: str) -> str:
    """The content of a file for `read_outcomes`: the line `versions`, then CSV, sorted by run."""
    rows = []
    for outcome in sorted(outcomes, key=lambda each: astuple(each.run)):
        results = asdict(outcome)
        rows.append(results.pop("run") | results)
    text = StringIO()
    text.write(f"{versions}\n")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


class AgentSetting(NamedTuple):
    """Setting of an agent: an `ExternalRun` without its seed and its length."""

    agent: Agent
    network: Network
    returns: Returns
    vf_coef: float
    max_grad_norm: float = 0.5


class LoopSetting(NamedTuple):
    """Setting of a loop: all fields of a `LoopRun` but the seed."""

    loop: Loop
    baseline: Baseline
    weight: float


def times_by_setting(
    outcomes: Iterable[ExternalOutcome],
) -> dict[AgentSetting, NDArray[np.float64]]:
    """Episodes until each seed of an agent's setting had learned, inf if it never did: [S]."""
    times: dict[AgentSetting, list[float]] = {}
    for outcome in sorted(outcomes, key=lambda each: each.run):
        run = outcome.run
        setting = AgentSetting(run.agent, run.network, run.returns, run.vf_coef, run.max_grad_norm)
        times.setdefault(setting, []).append(outcome.time)
    return {setting: np.array(seeds) for setting, seeds in times.items()}


class Loops:
    """Runs of public training loops."""

    def __init__(self, outcomes: Sequence[LoopOutcome]) -> None:
        self._outcomes: dict[LoopSetting, list[LoopOutcome]] = {}
        for outcome in sorted(outcomes, key=lambda each: each.run):
            run = outcome.run
            setting = LoopSetting(run.loop, run.baseline, run.weight)
            self._outcomes.setdefault(setting, []).append(outcome)

    @property
    def settings(self) -> list[LoopSetting]:
        """Every setting."""
        return list(self._outcomes)

    def values(self, setting: LoopSetting, field: str) -> NDArray[np.float64]:
        """A field of the outcomes of each seed of a setting: [S]."""
        return np.array([getattr(outcome, field) for outcome in self._outcomes[setting]], float)


@lru_cache(maxsize=1)
def agent_times() -> dict[AgentSetting, NDArray[np.float64]]:
    """The published times to learn of other people's agents, as `times_by_setting`."""
    return times_by_setting(read_outcomes(published(AGENT_FILE), ExternalOutcome))


@lru_cache(maxsize=1)
def loops() -> Loops:
    """The published runs of other people's training loops."""
    return Loops(read_outcomes(published(LOOP_FILE), LoopOutcome))
