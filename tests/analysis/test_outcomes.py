"""Stored runs by their fields: configurations, curves and outcomes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pwm.analysis.learning import final_mean, learned, times_to_learn
from pwm.analysis.outcomes import Outcomes
from pwm.analysis.stored import COLLAPSED, outcomes_of
from pwm.core.errors import InputError
from pwm.core.task import TaskConfig
from pwm.runs.experiment import Experiment
from pwm.runs.shards import plan
from pwm.runs.storage import Store
from pwm.training.config import TrainConfig
from pwm.training.history import DIAGNOSTICS, History
from tests.support.histories import same
from tests.support.outcomes import fill

BASE = TrainConfig(
    task=TaskConfig(stimulus_set="pwm0", episode_length=6),
    num_episodes=1200,
    log_every=100,
    probe_episodes=4,
)
EXPERIMENT = Experiment(
    name="small",
    base=BASE,
    axes={"baseline": ("attached", "detached"), "critic_weight": (0.1, 5.0), "seed": (0, 1, 2)},
)
OVERLAPPING = replace(EXPERIMENT, name="wider", axes={**EXPERIMENT.axes, "seed": (2, 3)})
LONGER = replace(EXPERIMENT, name="longer", base=replace(BASE, num_episodes=2000, probe_episodes=0))
TORCH = replace(EXPERIMENT, name="torch", axes={"seed": (7,)}, engine="torch")
ALL = (EXPERIMENT, OVERLAPPING, LONGER, TORCH)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return fill(tmp_path_factory.mktemp("results"), ALL)


@pytest.fixture(scope="module")
def found(store: Store) -> Outcomes:
    return Outcomes.of(EXPERIMENT, store)


def test_outcomes_of_an_experiment_have_the_axes_of_its_grid(store: Store, found: Outcomes) -> None:
    assert dict(found.axes) == dict(EXPERIMENT.axes)
    assert found.configs == EXPERIMENT.runs()
    history = store.gather(plan(EXPERIMENT))
    assert same(found.history, history)
    expected = {
        "learned": learned(history, BASE.task),
        "time": times_to_learn(history, BASE.task),
        "reward": final_mean(history, history.reward),
        "value_loss": final_mean(history, history.value_loss),
        "entropy": final_mean(history, history.entropy),
        "critic_bias": final_mean(history, history.critic_bias),
    }
    for name, values in expected.items():
        assert np.array_equal(getattr(found, name), values.reshape(2, 2, 3)), name
    assert 0 < found.learned.sum() < 12
    assert np.array_equal(found.rate(), found.learned.mean(axis=2))
    for name in ("policy_norm", "critic_bias"):
        curve = found.curve(name)
        assert np.array_equal(curve, history.curves[name].reshape(2, 2, 3, 12))


def test_at_selects_every_run_by_its_fields(found: Outcomes) -> None:
    for place, run in enumerate(EXPERIMENT.runs()):
        part = found.at(baseline=run.loss.baseline, critic_weight=run.critic_weight, seed=run.seed)
        assert part.configs == (run,)
        assert part.base == run
        assert part.reward.shape == ()
        assert part.reward == found.reward.flat[place]
        assert np.array_equal(part.history.reward[0], found.history.reward[place])
        assert np.array_equal(part.curve("reward"), part.history.reward[0])


def test_at_keeps_the_axis_of_several_values_in_the_order_given(found: Outcomes) -> None:
    part = found.at(critic_weight=[5, 0.1], baseline="detached")
    assert dict(part.axes) == {"critic_weight": (5, 0.1), "seed": (0, 1, 2)}
    assert part.weights == (5, 0.1)
    assert np.array_equal(part.time, found.time[1, ::-1])
    assert found.at(seed=(1,)).reward.shape == (2, 2, 1)
    assert found.at(seed=range(2)).axes["seed"] == (0, 1)


def test_at_accepts_fields_that_do_not_vary(found: Outcomes) -> None:
    assert found.at(episode_length=6, stimulus_set="pwm0") is found
    assert found.at(learning_rate=[0.005, 0.005]) is found


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"critic_weight": 4.0}, "critic_weight=4.0: expected .* were run: 0.1, 5.0$"),
        ({"critic_weight": [0.1, 4]}, "critic_weight=4: expected .* were run: 0.1, 5.0$"),
        ({"episode_length": 15}, "episode_length=15: expected .* were run: 6$"),
        ({"lenght": 6}, "lenght: expected a field of .*, episode_length, .*critic_weight"),
    ],
)
def test_at_says_in_one_line_what_was_run(
    found: Outcomes, store: Store, values: dict[str, object], message: str
) -> None:
    for runs in (found, Outcomes.stored(store.folder)):
        with pytest.raises(ValueError, match=message) as error:
            runs.at(**values)
        assert "\n" not in str(error.value)


def test_stored_holds_every_run_of_an_engine_once(store: Store) -> None:
    runs = Outcomes.stored(store.folder)
    expected = {run for each in (EXPERIMENT, OVERLAPPING, LONGER) for run in each.runs()}
    assert len(expected) == 12 + 4 + 12
    assert len(runs.configs) == len(expected)
    assert set(runs.configs) == expected
    assert runs.axes == {"run": tuple(range(28))}
    assert Outcomes.stored(str(store.folder), engine="torch").configs == TORCH.runs()


def test_a_query_by_fields_takes_three_lines(store: Store) -> None:
    runs = Outcomes.stored(store.folder).at(critic_weight=5, baseline="detached", num_episodes=1200)
    curves, times, successes = runs.history.reward, runs.time, runs.learned
    assert sorted(run.seed for run in runs.configs) == [0, 1, 2, 3]

    assert {(run.critic_weight, run.loss.baseline) for run in runs.configs} == {(5, "detached")}
    assert curves.shape == (4, 12)
    history = runs.history
    assert np.array_equal(times, times_to_learn(history, BASE.task))
    assert np.array_equal(successes, learned(history, BASE.task))


def test_stored_takes_several_values_too(store: Store) -> None:
    runs = Outcomes.stored(store.folder)
    assert len(runs.at(seed=[0, 3]).configs) == 4 + 4 + 4
    assert len(runs.at(seed=[0, 3], critic_weight=0.1, num_episodes=2000).configs) == 2


def test_histories_of_unequal_length_cannot_be_stacked(store: Store) -> None:
    runs = Outcomes.stored(store.folder).at(seed=0)
    with pytest.raises(
        ValueError, match=r"^num_episodes, log_every: .* 1200 and 100, 2000 and 100$"
    ):
        _ = runs.history
    assert runs.time.shape == (8,)  # outcomes can


def test_diagnostics_are_kept_if_all_runs_have_them(tmp_path: Path, store: Store) -> None:
    bare = replace(EXPERIMENT, base=replace(BASE, probe_episodes=0), axes={"seed": (9,)})
    some = Outcomes.stored(fill(tmp_path, [EXPERIMENT, bare]).folder)
    assert some.history.diagnostics == {}
    assert some.history.reward.shape == (13, 12)
    assert set(Outcomes.of(EXPERIMENT, store).history.diagnostics) == set(DIAGNOSTICS)


def test_the_end_of_an_unfinished_window_is_among_the_probed_episodes(store: Store) -> None:
    unfinished = replace(EXPERIMENT, base=replace(BASE, num_episodes=250))
    assert Outcomes.of(unfinished, store).probed.tolist() == [100, 200, 250]


def test_a_missing_folder_or_run_is_named_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no-such-folder: expected a folder of stored runs"):
        Outcomes.stored(tmp_path / "no-such-folder")
    with pytest.raises(InputError, match="--engine tork: expected one of fused, torch"):
        Outcomes.stored(tmp_path, "tork")  # type: ignore[arg-type]
    missing = Outcomes.of(EXPERIMENT, Store(tmp_path))  # nothing is read yet
    for read in (lambda: missing.learned, lambda: missing.history):
        with pytest.raises(InputError, match=r"python -m pwm\.sweep") as error:
            read()
        assert "\n" not in str(error.value)
    nothing = Outcomes.stored(tmp_path)
    assert nothing.configs == ()
    with pytest.raises(ValueError, match=r"seed=0: expected .*: none$"):
        nothing.at(seed=0)


def test_a_damaged_shard_matters_only_when_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = fill(tmp_path, [EXPERIMENT])
    first, *_ = plan(EXPERIMENT)
    path = store.path(first)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # the checksum
    path.write_bytes(content)
    runs = Outcomes.stored(tmp_path)
    assert len(runs.configs) == 12
    assert runs.at(baseline="detached").learned.shape == (6,)
    with pytest.raises(InputError):
        _ = runs.at(baseline="attached").learned
    assert "damaged" in capsys.readouterr().err


def test_collapse_is_a_deterministic_policy_that_has_not_learned() -> None:
    ones = np.ones((4, 12), np.float32)
    entropy = ones.copy()
    entropy[1:3, 4:] = COLLAPSED / 2  # deterministic from the fifth window on
    entropy[3, 4:6] = COLLAPSED / 2  # deterministic only for a while
    reward = ones * np.float32(0.5)
    reward[2] = 1  # this one learned
    history = History(100 * np.arange(1, 13), reward, ones, ones, entropy, ones)
    outcomes = outcomes_of(history, BASE.task)
    assert outcomes["collapsed"].tolist() == [False, True, False, False]
    assert outcomes["collapse"].tolist() == [np.inf, 500, 500, 500]
    assert outcomes["learned"].tolist() == [False, False, True, False]
