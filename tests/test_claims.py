"""Claims hold of runs that are as the paper says, and notice runs that are not."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pwm.claims import NUMBERS, claims, numbers
from pwm.evidence import Claim, Evidence
from pwm.experiments import EXPERIMENTS
from pwm.grid import Experiment, with_fields
from pwm.outcomes import Outcomes
from pwm.quoted import predictions, quoted
from pwm.store import Store
from pwm.theory import critic_bias, value_floor
from pwm.train import TrainConfig

Law = Callable[[TrainConfig], float]


def edge_of(run: TrainConfig) -> float:
    """The lower edge by the law of a fixed bias; 0 where there is none."""
    steps, loss = run.task.episode_length, run.loss
    if loss.baseline in ("detached", "attached_trunk") or loss.lost_gradients == "values":
        return 0.0
    share = 1.0 if loss.policy_reduction == "sum" else 1 / steps
    return float(predictions()["lower_edge_per_step"] * share * steps)


def rate_of(run: TrainConfig, edge: Law = edge_of) -> float:
    """The fraction of seeds that learn."""
    weight, steps = run.critic_weight, run.task.episode_length
    if run.num_episodes > 50_000:
        return 0.95
    rate = 0.9 / (1 + (edge(run) / weight) ** 4)
    if run.learning_rate == 0.001 and not run.agent.separate_trunks and steps >= 60:
        rate /= 1 + (weight * steps / 900) ** 4
    if run.learning_rate >= 0.005 and steps >= 60 and not run.loss.entropy_weight:
        rate *= 0.5
    return rate


class MadeUp(Evidence):
    """Evidence as a law says, without a run."""

    def __init__(self, edge: Law = edge_of, bias: float = 1.0) -> None:
        super().__init__(Store.__new__(Store))
        self._edge, self._bias = edge, bias

    def of(self, name: str) -> Outcomes:
        """Outcomes of an experiment."""
        if name not in self._kept:
            self._kept[name] = self._made_up(EXPERIMENTS[name])
        return self._kept[name]

    def _made_up(self, experiment: Experiment) -> Outcomes:
        axes = {field: values for field, values in experiment.axes.items() if field != "seed"}
        seeds = len(experiment.axes["seed"])
        place = (np.arange(seeds) + 0.5) / seeds
        cells: list[dict[str, Any]] = []
        for values in itertools.product(*axes.values()):
            run = with_fields(experiment.base, dict(zip(axes, values, strict=True)))
            learned = place < rate_of(run, self._edge)
            attached = run.loss.baseline == "attached"
            bias = critic_bias(run.task.episode_length, 0.5, run.critic_weight) if attached else 0
            floor = value_floor(1.0, run.task.num_trials)
            cells.append(
                {
                    "learned": learned,
                    "reward": np.where(learned, 1.0, 0.5),
                    "value_loss": np.full(seeds, 1.02 * floor),
                    "entropy": np.full(seeds, 0.5),
                    "critic_bias": np.full(seeds, self._bias * bias),
                    "collapsed": ~learned & (run.learning_rate > 0.003),
                    "peak_value_loss": np.full(seeds, floor),
                    "collapse": np.where(learned, np.inf, 0.2 * run.num_episodes),
                    "time": np.where(learned, 0.5 * run.num_episodes, np.inf),
                }
            )
        shape = (*(len(values) for values in axes.values()), seeds)
        arrays: dict[str, Any] = {
            name: np.stack([cell[name] for cell in cells]).reshape(shape) for name in cells[0]
        }
        return Outcomes(experiment.axes, experiment.base, **arrays)


@pytest.fixture(scope="module")
def as_said() -> list[Claim]:
    return list(claims(MadeUp()))


def broken(evidence: Evidence) -> set[str]:
    return {claim.name for claim in claims(evidence) if not claim.holds}


def test_claims_hold_of_runs_that_are_as_the_paper_says(as_said: list[Claim]) -> None:
    assert [claim.name for claim in as_said if not claim.holds] == []


def test_every_claim_has_a_name_of_its_own_and_experiments(as_said: list[Claim]) -> None:
    assert len({claim.name for claim in as_said}) == len(as_said)
    for claim in as_said:
        assert claim.name.startswith("claim.")
        assert set(claim.experiments) <= set(EXPERIMENTS)
        assert claim.low < claim.high
        assert not claim.estimate.low > claim.estimate.high


def test_a_lost_detach_is_noticed() -> None:
    def everywhere(run: TrainConfig) -> float:
        return 0.107 * run.task.episode_length

    found = broken(MadeUp(everywhere))
    assert {"claim.low-detached-15-0.001", "claim.low-detached-60-0.005"} <= found


def test_an_edge_that_moves_by_a_factor_of_three_is_noticed() -> None:
    found = broken(MadeUp(lambda run: 3 * edge_of(run)))
    assert {"claim.edge-steps-6", "claim.edge-steps-30", "claim.edge-mean-15-steps"} <= found


def test_an_edge_at_a_fixed_weight_is_noticed() -> None:
    found = broken(MadeUp(lambda run: 1.6 if edge_of(run) else 0.0))
    assert {"claim.exponent-steps", "claim.exponent-trial"} <= found


def test_a_mean_in_place_of_a_sum_is_noticed() -> None:
    found = broken(MadeUp(lambda run: edge_of(run) / run.task.episode_length))
    assert {"claim.edge-steps-6", "claim.edge-steps-30"} <= found
    assert "claim.edge-mean-15-steps" in found


def test_a_factor_of_two_in_the_bias_is_noticed() -> None:
    assert {"claim.bias-0.005", "claim.bias-0.001"} <= broken(MadeUp(bias=2.0))


def test_the_text_of_a_claim_is_its_number_and_interval(as_said: list[Claim]) -> None:
    written = numbers(as_said)
    for claim in as_said:
        text = written[claim.name]["text"]
        assert text.startswith(f"{claim.estimate.value:,.{claim.digits}f}")
        assert ("[" in text) != math.isnan(claim.estimate.low)
    assert set(quoted()) <= set(written)


def test_the_published_numbers_are_those_that_are_claimed(as_said: list[Claim]) -> None:
    published = json.loads(NUMBERS.read_text())
    assert set(published) == set(numbers(as_said))
    for name, number in quoted().items():
        assert published[name] == number
