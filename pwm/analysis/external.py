"""Outcomes of other people's code, read from two files in `paper/` and grouped by setting.

The code is of two kinds: agents of public libraries, trained on this project's task (pwm5), and
public training loops, reimplemented and run on CartPole.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_type_hints

import numpy as np
from numpy.typing import NDArray

from pwm.io.errors import FileError, require_file
from pwm.io.repository import published

AGENT_FILE, LOOP_FILE = "external.csv", "loops.csv"
Array = NDArray[np.float64]

Agent = Literal["A2C", "RecurrentPPO"]
Network = Literal["separate", "shared"]
Returns = Literal["raw", "normalised", "centred"]
# TensorFlow's tutorial, TF-Agents' REINFORCE, and A3C with two optimisers or ("textbook") with one
Loop = Literal["tutorial", "reinforce", "a3c", "a3c-textbook"]
Baseline = Literal["attached", "detached"]


@dataclass(frozen=True, kw_only=True, order=True)
class ExternalRun:
    """A training run of a library's agent on pwm5."""

    agent: Agent
    network: Network
    """Whether actor and critic have separate networks or share a trunk, which both then train."""
    max_grad_norm: float
    """Norm to which the gradient of all parameters is clipped; inf for no clipping."""
    episode_length: int
    returns: Returns
    """Raw, divided by their standard deviation, or with a running mean subtracted."""
    vf_coef: float
    """Weight of the value loss; policy and value loss are means over steps."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class ExternalOutcome:
    """Outcome of training a library's agent on pwm5."""

    run: ExternalRun
    num_episodes: int
    """Episodes trained; a run ends once it has learned."""
    reward: float
    """Fraction of trials rewarded in the last 500 episodes."""
    time: float
    """Episodes until 500 in a row met the criterion for *learned*, tested every 32; inf if none."""
    torch: str
    """Version of PyTorch; other versions give other bits, but results of the same distribution."""


@dataclass(frozen=True, kw_only=True, order=True)
class LoopRun:
    """A training run of a public training loop on CartPole."""

    loop: Loop
    baseline: Baseline
    weight: float
    """Factor of the value loss, in the loop's own units."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class LoopOutcome:
    """Outcome of running a public training loop on CartPole.

    `error`, `entropy`, `bias` and `bootstrap` are means over the steps of the second half of the
    episodes.
    """

    run: LoopRun
    num_updates: int
    """Updates trained; a run ends once it has learned."""
    num_episodes: int
    length: float
    """Mean steps per episode over the last 100 episodes."""
    time: float
    """Updates until the middle of the first 100 episodes in a row with more than 195 steps on
    average; inf if no 100 episodes were that long."""
    error: float
    """Value minus target; with Huber's loss, limited to [-1, 1]."""
    entropy: float
    """Entropy of the policy, in nats."""
    bias: float
    """Value minus the discounted return until the end of the episode; nan if returns are
    standardised."""
    bootstrap: float
    """Factor of the bootstrap value in an n-step target, γ^n; 0 for targets without it."""
    torch: str  # version of PyTorch


Outcome = TypeVar("Outcome", bound=ExternalOutcome | LoopOutcome)


def read_outcomes(path: Path, kind: type[Outcome], versions: str | None = None) -> list[Outcome]:
    """Reads the outcomes in a file written by `as_text`.

    Args:
        path: the file.
        kind: class of the outcomes.
        versions: expected first line of the file, or None to accept any.
    Raises:
        FileError: the file cannot be read or parsed, or its first line is not `versions`.
    """
    try:
        first, *lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError):  # no file, no line, or not text
        raise FileError(path, "a file with a line of versions, then CSV") from None
    require_file(versions in (None, first), path, f"a file with the first line: {versions}")
    result_types: dict[str, Any] = get_type_hints(kind)
    run_class: Any = result_types.pop("run")
    run_types = get_type_hints(run_class)
    outcomes = []
    try:
        header, *rows = csv.reader(lines, strict=True)
        for values in rows:
            row = dict(zip(header, values, strict=True))
            run = run_class(**_typed(row, run_types))
            outcomes.append(kind(run=run, **_typed(row, result_types)))
    except (csv.Error, KeyError, TypeError, ValueError):
        raise FileError(path, "columns " + ", ".join([*run_types, *result_types])) from None
    return outcomes


def _typed(row: dict[str, str], types: dict[str, Any]) -> dict[str, Any]:
    """Values of a CSV row in the columns of `types`, converted to int, float or else str."""
    converters = {name: kind if kind in (int, float) else str for name, kind in types.items()}
    return {name: convert(row[name]) for name, convert in converters.items()}


def as_text(outcomes: Sequence[ExternalOutcome | LoopOutcome], versions: str) -> str:
    """Text of a file for `read_outcomes`: the line `versions`, then CSV, one row per outcome.

    Rows are sorted by run; there must be at least one.
    """
    rows = []
    for outcome in sorted(outcomes, key=lambda each: each.run):
        results = asdict(outcome)
        run = results.pop("run")
        rows.append(run | results)
    text = StringIO()
    text.write(f"{versions}\n")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


class AgentSetting(NamedTuple):
    """Fields of `ExternalRun` that make a setting; each agent has only one `episode_length`."""

    agent: Agent
    network: Network
    returns: Returns
    vf_coef: float
    max_grad_norm: float = 0.5


class LoopSetting(NamedTuple):
    """Fields of `LoopRun` that make a setting: all but `seed`."""

    loop: Loop
    baseline: Baseline
    weight: float


def times_by_setting(outcomes: Iterable[ExternalOutcome]) -> dict[AgentSetting, Array]:
    """Episodes until each seed learned, inf if it never did: [S] by setting, in order of seed."""
    times: dict[AgentSetting, list[float]] = {}
    for outcome in sorted(outcomes, key=lambda each: each.run):
        run = outcome.run
        setting = AgentSetting(run.agent, run.network, run.returns, run.vf_coef, run.max_grad_norm)
        times.setdefault(setting, []).append(outcome.time)
    return {setting: np.array(seeds) for setting, seeds in times.items()}


class Loops:
    """Outcomes of public training loops, by setting and seed."""

    def __init__(self, outcomes: Sequence[LoopOutcome]) -> None:
        self._outcomes: dict[LoopSetting, list[LoopOutcome]] = {}
        for outcome in sorted(outcomes, key=lambda each: each.run):
            run = outcome.run
            setting = LoopSetting(run.loop, run.baseline, run.weight)
            self._outcomes.setdefault(setting, []).append(outcome)

    @property
    def settings(self) -> list[LoopSetting]:
        """All settings that were run."""
        return list(self._outcomes)

    def values(self, setting: LoopSetting, field: str) -> Array:
        """Field `field` of `LoopOutcome` for each seed of a setting, in order of seed: [S]."""
        return np.array([getattr(outcome, field) for outcome in self._outcomes[setting]], float)


@lru_cache(maxsize=1)
def agent_times() -> dict[AgentSetting, Array]:
    """Published times to learn of the libraries' agents, by setting, in episodes: [S] each."""
    return times_by_setting(read_outcomes(published(AGENT_FILE), ExternalOutcome))


@lru_cache(maxsize=1)
def loops() -> Loops:
    """Published outcomes of the training loops."""
    return Loops(read_outcomes(published(LOOP_FILE), LoopOutcome))
