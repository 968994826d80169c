"""Early probes of the hidden states and the critic, by where the critic starts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes

STARTS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "raw": ("climb-raw", {"returns": "raw"}),
        "mean": ("climb-start", {}),
        "centred": ("climb-raw", {"returns": "centred"}),
    }
)
"""By the critic's start or its returns: an experiment, and the fields that select its runs."""


def probed(evidence: Evidence, start: str, steps: int, weight: float) -> Outcomes:
    """Detached runs with early probes: [1, S]; the first axis is the schedule of the probes."""
    name, fields = STARTS[start]
    return evidence.of(name).at(**fields, episode_length=steps, critic_weight=weight)


def probes(runs: Outcomes, name: str) -> NDArray[np.float32]:
    """One diagnostic of the runs from `probed`, at all J probes: [S, J]."""
    return np.asarray(runs.curve(name)[0])


def probe_after(runs: Outcomes, name: str, episode: int) -> NDArray[np.float64]:
    """One diagnostic of the runs from `probed`, at the last probe up to an episode: [S]."""
    probe = int(np.searchsorted(runs.probed, episode, side="right")) - 1
    return probes(runs, name)[:, probe].astype(np.float64)
