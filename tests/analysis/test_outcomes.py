"""What became of runs, and what their diagnostics say, by condition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pwm.analysis.gradients import (
    before_learning,
    identity_sides,
    policy_share,
    reference_time,
    reference_times,
    share_weight,
)
from pwm.analysis.learning import final_reward, times_to_learn
from pwm.analysis.outcomes import COLLAPSED, Outcomes, outcomes
from pwm.analysis.theory import advantage_log_prob
from pwm.core.config import TrainConfig
from pwm.core.losses import LossConfig
from pwm.core.task import TaskConfig
from pwm.runs.experiment import Experiment
from pwm.runs.shards import plan
from pwm.runs.storage import Store
from pwm.runs.worker import Job, train_shards

EXPERIMENT = Experiment(
    name="some",
    about="as small as can be",
    base=TrainConfig(
        task=TaskConfig(stimulus_set="pwm0", episode_length=6),
        loss=LossConfig(baseline="attached"),
        learning_rate=0.02,
        num_episodes=1200,
        log_every=100,
        probe_episodes=4,
    ),
    axes={
        "loss.baseline": ("attached", "detached"),
        "critic_weight": (0.1, 5.0),
        "seed": (0, 1, 2),
    },
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    kept = Store(tmp_path_factory.mktemp("results"))
    train_shards(list(plan(EXPERIMENT)), Job(kept, "a test"))
    return kept


@pytest.fixture(scope="module")
def found(store: Store) -> Outcomes:
    return outcomes(EXPERIMENT, store)


def test_outcomes_stand_where_their_condition_is(store: Store, found: Outcomes) -> None:
    history = store.gather(plan(EXPERIMENT))
    runs = EXPERIMENT.runs()
    times = times_to_learn(history, EXPERIMENT.base.task)
    for place, run in enumerate(runs):
        part = found.at(loss__baseline=run.loss.baseline, critic_weight=run.critic_weight)
        seed = run.seed
        assert part.reward[seed] == final_reward(history)[place]
        assert part.critic_bias[seed] == pytest.approx(history.critic_bias[place, -5:].mean())
        expected = times.episode[place] if times.learned[place] else np.inf
        assert part.time[seed] == expected
        below = np.flatnonzero(history.entropy[place] < COLLAPSED)
        first = history.episode[below[0]] if len(below) else np.inf
        assert part.collapse[seed] == first
        for name, course in part.courses.items():
            assert np.array_equal(course[seed], history.curves[name][place], equal_nan=True)
    assert (found.collapsed <= ~found.learned).all()
    assert found.rate().shape == (2, 2)


def test_a_condition_that_is_not_there_is_refused(found: Outcomes) -> None:
    with pytest.raises(AssertionError):
        found.at(no_such_axis=1)
    with pytest.raises(ValueError, match="not in tuple"):
        found.at(critic_weight=4.0)


def test_experiments_without_probes_have_no_courses(store: Store) -> None:
    plain = replace(EXPERIMENT, base=replace(EXPERIMENT.base, probe_episodes=0, num_episodes=200))
    train_shards(list(plan(plain)), Job(store, "a test"))
    assert outcomes(plain, store).courses == {}


def test_shares_are_ratios_of_squared_norms(found: Outcomes) -> None:
    part = found.at(loss__baseline="detached", critic_weight=5.0)
    norms = part.courses
    share = policy_share(part)
    assert share.shape == (3, 12)
    assert share[1, 2] == pytest.approx(
        norms["policy_norm"][1, 2] ** 2 / norms["total_norm"][1, 2] ** 2
    )
    # At the weight that shares evenly, the critic's norm would be the policy's.
    even = share_weight(part, 5.0)
    np.testing.assert_allclose(norms["critic_norm"] * even / 5, norms["policy_norm"], rtol=1e-5)


def test_before_learning_ends_at_the_first_rise(found: Outcomes) -> None:
    part = found.at(loss__baseline="detached", critic_weight=5.0)
    courses = dict(part.courses)
    courses["reward"] = np.tile([0.5, 0.4, 0.7, 0.5] * 3, (3, 1))
    courses["reward"][2] = 1
    made = replace(part, courses=courses)
    curve = np.tile(np.arange(12.0), (3, 1))
    assert before_learning(made, curve).tolist()[:2] == [0.5, 0.5]
    assert np.isnan(before_learning(made, curve)[2])


def test_the_sides_of_the_identity_are_its_terms(found: Outcomes) -> None:
    part = found.at(loss__baseline="attached", critic_weight=5.0)
    ours, theirs = identity_sides(part, 6, 5.0)
    assert ours.shape == theirs.shape == (3, 6)
    half = {name: course[:, 6:] for name, course in part.courses.items()}
    np.testing.assert_allclose(ours, -half["policy_loss"])
    for seed, window in ((0, 0), (2, 5)):
        assert theirs[seed, window] == pytest.approx(
            advantage_log_prob(
                float(half["value_loss"][seed, window]),
                float(half["return_variance"][seed, window]),
                float(half["covariance"][seed, window]),
                critic_weight=5.0,
                steps=6,
            )
        )


def test_the_reference_is_of_light_detached_runs(found: Outcomes) -> None:
    light = found.at(loss__baseline="detached", critic_weight=0.1).time
    assert np.array_equal(reference_times(found), light[None])
    assert reference_time(found) == np.sort(light)[1]
