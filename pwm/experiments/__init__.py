"""All experiments of the paper, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pwm.core.errors import require
from pwm.experiments.fifth import fifth_experiments
from pwm.experiments.fourth import fourth_experiments
from pwm.experiments.leak import leak_experiments
from pwm.experiments.notes import NOTES_GRIDS
from pwm.experiments.rules import rule_experiments
from pwm.experiments.start import start_experiments
from pwm.runs.engines import EngineName
from pwm.runs.experiment import Experiment, Size

_ALL = (
    *NOTES_GRIDS,
    *leak_experiments(),
    *start_experiments(),
    *rule_experiments(),
    *fourth_experiments(),
    *fifth_experiments(),
)
EXPERIMENTS: Mapping[str, Experiment] = {item.name: item for item in _ALL}
NOTES = tuple(item.name for item in NOTES_GRIDS)
"""Names of the experiments that reproduce the notes' figures, or vary their settings."""


def chosen(
    names: Sequence[str],
    size: Size = "paper",
    engine: EngineName | None = None,
    known: Mapping[str, Experiment] = EXPERIMENTS,
) -> tuple[Experiment, ...]:
    """The experiments of `known` with the given names, or all if no name is given.

    Each gets the given size and, unless it is None, the engine.

    Raises:
        InputError: one of the names is not in `known`.
    """
    for name in names:
        require(name in known, "EXPERIMENT", name, "some of " + ", ".join(known))
    experiments = [known[name].sized(size) for name in names or known]
    return tuple(replace(item, engine=engine or item.engine) for item in experiments)
