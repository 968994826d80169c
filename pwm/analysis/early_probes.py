"""Early probes of the hidden states and the critic, by where the critic starts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.outcomes import Evidence, Outcomes

STARTS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "raw": ("climb-raw", {"returns": "raw"}),
        "mean": ("climb-start", {}),
        "centred": ("climb-raw", {"returns": "centred"}),
    }
)
"""Experiment and its fields, by the critic's start or its returns."""


def probed(evidence: Evidence, start: str, steps: int, weight: float) -> Outcomes:
    """Detached runs with early probes: [1, S], as the schedule of the probes is an axis."""
    name, fields = STARTS[start]
    return evidence.of(name).at(**fields, episode_length=steps, critic_weight=weight)


def probes(runs: Outcomes, name: str) -> NDArray[np.float32]:
    """One diagnostic of the runs from `probed`, at all J probes: [S, J]."""
    (course,) = runs.course(name)
    return np.asarray(course)


def probe_after(runs: Outcomes, name: str, episode: int) -> NDArray[np.float64]:
    """The same diagnostic at the last probe no later than some episode: [S]."""
    place = int(np.searchsorted(runs.probed, episode, side="right")) - 1
    return probes(runs, name)[:, place].astype(np.float64)
