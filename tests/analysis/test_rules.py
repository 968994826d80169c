"""The comparison of methods: scores, ties, pairing by seed, and each method's runs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import inf

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr

from pwm.analysis.rules import (
    CANDIDATES,
    CONDITIONS,
    HELD_OUT,
    METHODS,
    Comparison,
    candidates,
    compared,
)
from pwm.experiments import EXPERIMENTS
from pwm.training.config import TrainConfig
from tests.support.outcomes import MadeUpEvidence

SEEDS = 8


def seeds(*successes: int) -> list[NDArray[np.bool_]]:
    """Whether each seed learns, [S] for each condition: the first `successes` of them do."""
    return [np.arange(SEEDS) < number for number in successes]


def comparison(held_out: Sequence[str] = (), **learned: Sequence[NDArray[np.bool_]]) -> Comparison:
    """Comparison of methods by name in conditions "A", "B", ...; time to learn is 100 episodes."""
    cells = np.array(list(learned.values()))
    return Comparison(
        methods=tuple(learned),
        conditions=tuple("ABCDE"[: cells.shape[1]]),
        learned=cells,
        time=np.where(cells, 100.0, inf),
        reward=np.where(cells, 0.92, 0.5),
        held_out=tuple(held_out),
    )


def test_the_score_is_the_mean_over_ranked_conditions_then_the_worst() -> None:
    found = comparison(
        held_out="C",
        even=seeds(4, 4, 0),
        uneven=seeds(8, 0, 8),
        better=seeds(5, 4, 0),
        worse=seeds(7, 0, 8),
    )
    assert found.ranked_conditions == ("A", "B")
    assert found.ranking() == ("better", "even", "uneven", "worse")
    assert found.success("uneven").value == found.success("even").value == 0.5
    assert found.success("uneven", "C").value == 1.0
    assert (found.worst_success("uneven"), found.worst_success("even")) == (0.0, 0.5)
    assert [found.rank(name) for name in found.methods] == [2, 3, 1, 4]


def test_runs_that_end_above_a_level_are_counted_in_place_of_those_that_learned() -> None:
    found = comparison(one=seeds(4, 6))
    assert found.ending_above(0.9).success("one") == found.success("one")
    assert found.ending_above(0.95).success("one").value == 0


def test_equal_scores_share_their_rank_and_keep_their_order() -> None:
    found = comparison(one=seeds(4, 6), other=seeds(6, 4), last=seeds(0, 0))
    assert found.ranking() == ("one", "other", "last")
    assert [found.rank(name) for name in found.methods] == [1.5, 1.5, 3]


def test_differences_are_paired_by_seed() -> None:
    first, last = np.arange(SEEDS) < 4, np.arange(SEEDS) >= 4
    found = comparison(half=[first], same=[first], others=[last], more=[first | (last & False)])
    assert found.difference("half", "same") == (0.0, 0.0, 0.0)
    assert found.tied("half", "same")
    value, low, high = found.difference("half", "others")
    assert value == 0.0
    assert low <= -0.5
    assert high >= 0.5
    assert found.tied("half", "others")


def test_a_small_difference_in_the_same_seeds_is_a_tie_and_a_steady_one_is_not() -> None:
    found = comparison(
        most=seeds(7, 7, 7), one_less=seeds(6, 7, 7), all_less=seeds(0, 7, 7), none=seeds(0, 0, 0)
    )
    assert found.tied("most", "one_less")
    assert not found.tied("most", "all_less")
    assert not found.tied("none", "most")
    assert found.difference("most", "all_less").value == pytest.approx(7 / 24)


def test_failures_are_conditions_in_which_fewer_than_half_learn() -> None:
    found = comparison(held_out="C", it=seeds(4, 3, 0))
    assert found.failed_conditions("it") == ("B", "C")


def test_rank_correlation_is_spearmans() -> None:
    random = np.random.default_rng(1)
    cells = random.random((6, 5, SEEDS)) < random.random((6, 5, 1))
    learned = {f"method {number}": list(each) for number, each in enumerate(cells)}
    found = comparison(held_out="DE", **learned)

    def keys(part: NDArray[np.bool_]) -> list[float]:
        rates = part.mean(axis=-1)  # the worst rate only breaks ties
        return list(rates.mean(axis=1) + 0.001 * rates.min(axis=1))

    expected = spearmanr(keys(cells[:, :3]), keys(cells[:, 3:])).statistic
    assert found.rank_correlation().value == pytest.approx(expected)
    same = comparison(held_out="B", a=seeds(1, 2), b=seeds(2, 3), c=seeds(7, 8))
    assert same.rank_correlation().value == pytest.approx(1)


def test_times_are_medians_over_all_seeds() -> None:
    found = comparison(most=seeds(5), few=seeds(3))
    assert found.median_episodes("most", "A") == 100.0
    assert found.median_episodes("few", "A") == inf
    assert found.time_ratio("most", "most", "A").value == 1.0
    assert found.time_ratio("few", "most", "A").value == inf


def test_there_are_25_methods_and_12_ranked_conditions_and_each_cell_is_its_own() -> None:
    assert len(METHODS) == 25
    assert len(CONDITIONS) - len(HELD_OUT) == 12
    settings = set()

    def outcome(run: TrainConfig) -> dict[str, float]:
        settings.add(run)
        return {"time": float(len(settings))}

    evidence = MadeUpEvidence(outcome)
    found = compared(evidence)
    assert found.learned.shape == (25, 14, 24)
    numbers = found.time[..., 0]
    assert len(np.unique(numbers)) == numbers.size
    # Every run of the experiments is in the comparison.
    assert len(settings) == numbers.size
    every = [name for name in EXPERIMENTS if name.startswith("rules-")]
    assert sum(EXPERIMENTS[name].num_runs for name in every) == found.time.size


def test_names_say_what_is_compared() -> None:
    def outcome(run: TrainConfig) -> dict[str, float]:
        loss, task = run.loss, run.task
        return {
            "time": run.critic_weight,
            "learned": loss.returns == "centred",
            "reward": task.episode_length,
        }

    evidence = MadeUpEvidence(outcome)
    found, few = compared(evidence), candidates(evidence)
    for (row, method), (column, _) in itertools.product(
        enumerate(found.methods), enumerate(found.conditions)
    ):
        assert found.learned[row, column].all() == method.startswith("centred")
        number = method.rsplit(" ", 1)[-1]
        weight = float(number) if number.isdigit() else 0.5 if method == "usual" else 1.0
        assert (found.time[row, column] == weight).all(), method
    assert few.methods == tuple(CANDIDATES)
    assert few.learned.shape == (6, 3, 96)
    assert few.ranked_conditions == ("15 steps", "60 steps", "120 steps")
    assert set(few.methods) <= set(found.methods)
