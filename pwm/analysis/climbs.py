"""Probes of hidden states and critic early in training, by the critic's start."""

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
"""Experiment and fields by the critic's start, or the returns."""


def probed(evidence: Evidence, start: str, steps: int, weight: float) -> Outcomes:
    """Detached runs that were probed early: [1, S], as their schedule is an axis."""
    name, fields = STARTS[start]
    return evidence.of(name).at(**fields, episode_length=steps, critic_weight=weight)


def probes(runs: Outcomes, name: str) -> NDArray[np.float32]:
    """A diagnostic of probed runs: [S, J]."""
    (course,) = runs.course(name)
    return np.asarray(course)


def probe_after(runs: Outcomes, name: str, episode: int) -> NDArray[np.float64]:
    """A diagnostic at the last probe up to some episode: [S]."""
    place = int(np.searchsorted(runs.probed, episode, side="right")) - 1
    return probes(runs, name)[:, place].astype(np.float64)
