"""Diagnostics of the hidden states and the critic, measured early in training (probes)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes

STARTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "raw": ("climb-raw", {"returns": "raw"}),
    "mean": ("climb-start", {}),
    "centred": ("climb-raw", {"returns": "centred"}),
}
"""Experiment, and fields that select its runs, for each start of the critic: at 0 ("raw"), at the
mean return ("mean"), or at 0 with centred returns ("centred")."""


def probed_runs(evidence: Evidence, start: str, steps: int, weight: float) -> Outcomes:
    """Detached runs with early probes: [1, S]; the first axis, `probe_at`, has only one value."""
    name, fields = STARTS[start]
    return evidence.of(name).at(**fields, episode_length=steps, critic_weight=weight)


def probes(runs: Outcomes, name: str) -> NDArray[np.float32]:
    """Diagnostic `name` of runs returned by `probed_runs`, at each of J probes: [S, J]."""
    return np.asarray(runs.curve(name)[0])


def probe_after(runs: Outcomes, name: str, episode: int) -> NDArray[np.float64]:
    """Diagnostic `name` of `probed_runs` at their probe after `episode` episodes: [S]."""
    probe = runs.probed.tolist().index(episode)
    return probes(runs, name)[:, probe].astype(np.float64)
