"""`python -m tests.tools.perturbed NAME`: breaks the code on purpose, and says which claims notice.

One experiment is trained anew with the broken code, on one core for about three minutes; all the
others are taken from the stored runs. NAME is one of `PERTURBATIONS`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import tyro
from tqdm import tqdm

from pwm.analysis.outcomes import Evidence, Outcomes, outcomes
from pwm.claims.__main__ import claims
from pwm.core.config import TrainConfig
from pwm.core.errors import require
from pwm.core.losses import LossConfig
from pwm.experiments import EXPERIMENTS
from pwm.fused import engine
from pwm.fused.buffers import Floats, Population, UpdateRule
from pwm.io.cli import errors_in_one_line, parse
from pwm.runs.shards import plan
from pwm.runs.storage import Store
from pwm.runs.worker import Job, train_shards

TRAINED = "separate"


@dataclass(frozen=True)
class Perturbation:
    """What is done to the engine engine."""

    update: Callable[[UpdateRule, TrainConfig], UpdateRule] = lambda update, _config: update
    population: Callable[[Population], Population] = lambda population: population


PERTURBATIONS = {
    "nothing": Perturbation(),
    "lost-detach": Perturbation(
        update=lambda update, _: update._replace(leak_into_trunk=True, leak_into_head=True)
    ),
    "lost-leak": Perturbation(
        update=lambda update, _: update._replace(leak_into_trunk=False, leak_into_head=False)
    ),
    "mean-for-sum": Perturbation(
        update=lambda update, config: update._replace(
            policy_factor=np.float32(1 / config.task.episode_length)
        )
    ),
    "third-of-the-weight": Perturbation(
        population=lambda population: population._replace(
            critic_weights=population.critic_weights / np.float32(3)
        )
    ),
}


class Perturbed(Evidence):
    """Evidence of which one experiment was trained with broken code."""

    def __init__(self, stored: Store, broken: Store) -> None:
        super().__init__(stored)
        self._broken = broken

    def of(self, name: str) -> Outcomes:
        """Outcomes of the experiment of that name."""
        if name == TRAINED and name not in self._kept:
            self._kept[name] = outcomes(EXPERIMENTS[name], self._broken)
        return super().of(name)


def train(perturbation: Perturbation, store: Store) -> None:
    """Trains the experiment with the broken engine."""
    make_update = engine.update_rule

    def update(config: TrainConfig, loss: LossConfig) -> UpdateRule:
        return perturbation.update(make_update(config, loss), config)

    def population(*parts: Floats) -> Population:
        return perturbation.population(Population(*parts))

    with (
        mock.patch.object(engine, "update_rule", update),
        mock.patch.object(engine, "Population", population),
    ):
        for shard in tqdm(list(plan(EXPERIMENTS[TRAINED])), file=sys.stderr, unit=" shards"):
            train_shards([shard], Job(store, "broken on purpose"))


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m tests.tools.perturbed`."""

    name: tyro.conf.Positional[str]
    """What to break: one of `PERTURBATIONS`."""
    results: Path = Path("results")
    """Folder of the runs of all other experiments."""


def main() -> None:
    """Runs the command."""
    arguments = parse(Arguments, "python -m tests.tools.perturbed", "Breaks the code on purpose.")
    with errors_in_one_line():
        known = ", ".join(PERTURBATIONS)
        require(arguments.name in PERTURBATIONS, "name", arguments.name, f"one of {known}")
    with tempfile.TemporaryDirectory() as folder:
        broken = Store(Path(folder))
        train(PERTURBATIONS[arguments.name], broken)
        found = list(claims(Perturbed(Store(arguments.results), broken)))
    left = [claim for claim in found if not claim.holds]
    print(f"{arguments.name}: {len(left)} of {len(found)} claims notice")
    for claim in left:
        print(f"  {claim.name:36} {claim.text:24} not in [{claim.low:g}, {claim.high:g}]")


if __name__ == "__main__":
    main()
