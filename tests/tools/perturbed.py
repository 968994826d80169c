"""`python -m tests.tools.perturbed NAME`: trains wrongly on purpose; lists the claims that notice.

One experiment is trained again, on one core in about three minutes, with the configurations that a
broken engine would in effect train. All other experiments are as published. NAME is one of
`PERTURBATIONS`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import tyro
from tqdm import tqdm

from pwm.analysis.evidence import Evidence
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.published import Published
from pwm.claims.every import claims
from pwm.core.errors import require
from pwm.experiments import EXPERIMENTS
from pwm.io.cli import errors_in_one_line, parse
from pwm.runs.engines import make_trainer
from pwm.runs.fields import replaced
from pwm.runs.shards import plan
from pwm.runs.storage import Store
from pwm.training.config import TrainConfig

TRAINED = "separate"
PERTURBATIONS: Mapping[str, Callable[[TrainConfig], dict[str, Any]]] = MappingProxyType(
    {
        "nothing": lambda _run: {},
        "lost-detach": lambda _run: {"baseline": "attached"},
        "lost-leak": lambda _run: {"baseline": "detached"},
        "mean-for-sum": lambda _run: {"policy_reduction": "mean"},
        "third-of-the-weight": lambda run: {"critic_weight": run.critic_weight / 3},
    }
)
"""Changes to a run's fields that are made in training but not recorded, by name."""


class Perturbed(Evidence):
    """Evidence in which one experiment was trained wrongly.

    Args:
        published: the outcomes of all other experiments.
        wrong: the outcomes of the experiment `TRAINED`.
    """

    def __init__(self, published: Published, wrong: Outcomes) -> None:
        super().__init__(published)
        self._wrong = wrong

    def of(self, name: str) -> Outcomes:
        """Outcomes of the experiment with this name."""
        return self._wrong if name == TRAINED else super().of(name)


def train(perturbation: Callable[[TrainConfig], dict[str, Any]], store: Store) -> Outcomes:
    """Trains `TRAINED` with perturbed fields; stores its runs as if the fields were unchanged."""
    for shard in tqdm(list(plan(EXPERIMENTS[TRAINED])), file=sys.stderr, unit=" shards"):
        trainer = make_trainer([replaced(run, perturbation(run)) for run in shard.runs])
        trainer.advance(trainer.num_episodes)
        store.put(shard, trainer.history(), [])
    return Outcomes.of(EXPERIMENTS[TRAINED], store)


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m tests.tools.perturbed`."""

    name: tyro.conf.Positional[str]
    """The perturbation: one of `PERTURBATIONS`."""


def main() -> None:
    """Runs the command."""
    arguments = parse(
        Arguments,
        "python -m tests.tools.perturbed",
        "Trains one experiment wrongly on purpose, and lists the claims that notice.",
    )
    with errors_in_one_line():
        known = ", ".join(PERTURBATIONS)
        require(arguments.name in PERTURBATIONS, "NAME", arguments.name, f"one of {known}")
        with tempfile.TemporaryDirectory() as folder:
            wrong = train(PERTURBATIONS[arguments.name], Store(Path(folder)))
            found = list(claims(Perturbed(Published.read(), wrong)))
    failed = [claim for claim in found if not claim.holds]
    print(f"{arguments.name}: {len(failed)} of {len(found)} claims fail")
    for claim in failed:
        low, high = claim.band
        print(f"  {claim.name:36} {claim.text:24} not in [{low:g}, {high:g}]")


if __name__ == "__main__":
    main()
