"""Methods that balance the policy and the value loss, compared under one protocol.

Every method is tried in every condition, with the same seeds, and none is tuned to a condition.
The score was fixed before the runs (`fourth` in `paper/predictions.json`). Further experiments
give some methods more seeds (`candidates-...`) and examine heavy critics (`brake`, `limits`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pwm.experiments.grids import grid
from pwm.runs.experiment import Experiment

RATES = (0.001, 0.005)  # learning rates
CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "length": {"episode_length": (15, 60, 120, 240), "learning_rate": RATES},
    "trial": {"episode_length": 64, "trial_length": 8, "learning_rate": 0.002},
    "reward": {"episode_length": 60, "reward": (0.1, 10.0), "learning_rate": 0.002},
    "carried": {"episode_length": 60, "carry_state": True, "learning_rate": 0.002},
    "held-out": {"episode_length": (36, 90), "learning_rate": 0.002},
}
"""Fields of the conditions, by group: one condition per combination of values. `held-out` tests
the ranking of the methods in all others."""
BOTH = ("raw", "centred")  # values of `LossConfig.returns`
METHODS: Mapping[str, Mapping[str, Any]] = {
    "fixed": {"weights": (0.0, 1.0, 10.0, 100.0), "returns": BOTH},
    "standardised": {"weights": (100.0,), "returns": "standardised"},
    "rule": {
        "balance": ("stop-trunk", "per-loss", "equal", "pcgrad", "uncertainty", "return-scale"),
        "returns": BOTH,
    },
    "popart": {"balance": "popart"},
    "separate": {"separate_trunks": True, "returns": BOTH},
    "usual": {
        "weights": (0.5,),
        "policy_reduction": "mean",
        "normalise_advantages": True,
        "clip_gradient": 0.5,
    },
}
"""Fields of the methods, by group: one method per combination; the critic weight is 1 unless given.

At weight 0 the critic is not trained: with centred returns, the baseline is the running mean plus
the values of the untrained critic. `usual` has options of libraries, and normalises advantages
within the episode.
"""
CANDIDATES: Mapping[str, Mapping[str, Any]] = {
    "fixed": {"weights": (0.0, 10.0, 100.0), "returns": "centred"},
    "per-loss": {"balance": "per-loss", "returns": "centred"},
    "separate": {"separate_trunks": True, "returns": "centred"},
    "usual": METHODS["usual"],
}
"""Fields of the candidates for the recommended method, by group; they have 96 seeds."""
CANDIDATE_STEPS = (15, 60, 120)


def rule_experiments() -> Iterator[Experiment]:
    """Yields the experiments of all methods, then of the candidates, then `brake` and `limits`."""
    about = "rules that balance the two losses"
    default: dict[str, Any] = {"weights": (1.0,), "baseline": "detached", "num_episodes": 8000}
    for condition, setting in CONDITIONS.items():
        for method, fields in METHODS.items():
            yield grid(f"rules-{condition}-{method}", about, **{**default, **setting, **fields})
    default |= {"episode_length": CANDIDATE_STEPS, "learning_rate": 0.005, "num_episodes": 10_000}
    for method, fields in CANDIDATES.items():
        yield grid(f"candidates-{method}", about, seeds=96, **{**default, **fields})
    yield grid(
        "brake",
        "smaller steps of the trunk: whether that is all that a heavy critic does",
        weights=(1.0, 100.0),
        baseline="detached",
        returns="centred",
        num_episodes=10_000,
        learning_rate=0.005,
        episode_length=(15, 60),
        balance=("fixed", "stop-trunk"),
        trunk_rate=(0.03, 0.1, 0.3, 1.0),
    )
    yield grid(
        "limits",
        "an entropy bonus, a discount or other weights where policies collapse",
        weights=(10.0, 100.0, 1000.0),
        baseline="detached",
        returns="centred",
        num_episodes=10_000,
        learning_rate=0.005,
        episode_length=(120, 240),
        entropy_weight=(0.0, 0.1),
        discount=(1.0, 0.9),
    )
