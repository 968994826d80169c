"""The task agrees with its oracle, for any stimulus set and any actions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats

from pwm.core.agent import AgentConfig
from pwm.core.errors import InputError
from pwm.core.rollout import Draws, Episode
from pwm.core.task import STIMULUS_SETS, Action, TaskConfig, correct_actions
from pwm.runs.engines import EngineName
from pwm.training.draws import DrawSource
from pwm.training.parameters import Layout
from tests.oracles.plain_task import HOLD, LEFT, RIGHT, PlainTask, num_stimuli
from tests.support.playing import play_by
from tests.support.stimuli import ALL_PAIRS, stimulus_set

PAIRS_OF_THE_NOTES = {
    "pwm0": ["AB", "BA"],
    "pwm5": ["AB", "BA", "BC", "CB", "CD", "DC", "DE", "ED"],
}


def play_actions(
    engine: EngineName, task: TaskConfig, trials: torch.Tensor, actions: torch.Tensor
) -> Episode:
    """Plays given pairs [R, N] and actions [R, N, L].

    Zero parameters make the policy uniform; the noise is in the middle of each action's third.
    """
    config = AgentConfig(hidden_size=1)
    parameters = Layout(config, task.num_stimuli).initial_parameters(range(len(trials)))
    draws = Draws(trials, (actions + 0.5) / 3)
    return play_by(engine, task, config, torch.zeros_like(parameters), draws)


class Game(NamedTuple):
    pairs: list[str]
    trial_length: int
    episode_length: int
    timeout: bool
    hold_reward: float
    trials: NDArray[np.int64]  # (2, N): two replicas
    actions: NDArray[np.int64]  # (2, N, L)


@st.composite
def games(draw: st.DrawFn) -> Game:
    pairs = draw(st.lists(st.sampled_from(ALL_PAIRS), min_size=1, max_size=8, unique=True))
    trial_length = draw(st.integers(2, 5))
    num_trials = draw(st.integers(1, 6))
    remainder = draw(st.integers(0, trial_length - 1))
    return Game(
        pairs,
        trial_length,
        num_trials * trial_length + remainder,
        timeout=draw(st.booleans()),
        hold_reward=draw(st.sampled_from([0.0, 0.05, 1.0])),
        trials=draw(arrays(np.int64, (2, num_trials), elements=st.integers(0, len(pairs) - 1))),
        actions=draw(arrays(np.int64, (2, num_trials, trial_length), elements=st.integers(0, 2))),
    )


@settings(max_examples=100)
@given(game=games())
def test_observations_and_rewards_agree_with_the_oracle(game: Game, engine: EngineName) -> None:
    with stimulus_set(tuple(game.pairs)) as name:
        task = TaskConfig(
            stimulus_set=name,
            trial_length=game.trial_length,
            episode_length=game.episode_length,
            timeout=game.timeout,
            hold_reward=game.hold_reward,
        )
        episode = play_actions(
            engine, task, torch.from_numpy(game.trials), torch.from_numpy(game.actions)
        )
        assert task.num_stimuli == num_stimuli(game.pairs)
    assert np.array_equal(episode.actions, game.actions)
    for replica, (trials, actions) in enumerate(zip(game.trials, game.actions, strict=True)):
        plain = PlainTask(
            num_stimuli(game.pairs),
            game.trial_length,
            timeout=game.timeout,
            hold_reward=game.hold_reward,
        )
        for trial, (index, trial_actions) in enumerate(zip(trials, actions, strict=True)):
            plain.begin_trial(game.pairs[index])
            shown = game.pairs.index(plain.shown) if plain.shown else len(game.pairs)
            assert episode.trials[replica, trial] == shown
            for step, action in enumerate(trial_actions):
                assert episode.observations[replica, trial, step].tolist() == plain.observe()
                reward = plain.act(action)
                assert episode.rewards[replica, trial, step] == np.float32(reward)
            assert episode.rewarded[replica, trial] == reward


@pytest.mark.parametrize("violation", [LEFT, RIGHT])
def test_a_timeout_lasts_one_trial_whatever_the_actions(violation: int, engine: EngineName) -> None:
    task = TaskConfig(
        stimulus_set="pwm0", trial_length=2, episode_length=8, timeout=True, hold_reward=0.5
    )
    ab_ab_ab_ab = torch.zeros((1, 4), dtype=torch.int64)
    actions = [[violation, RIGHT], [violation, RIGHT], [HOLD, RIGHT], [HOLD, LEFT]]
    episode = play_actions(engine, task, ab_ab_ab_ab, torch.tensor([actions]))
    blank = task.num_pairs
    assert episode.trials.tolist() == [[0, blank, 0, 0]]
    assert episode.rewards.tolist() == [[[0, 1], [0, 0], [0.5, 1], [0.5, 0]]]
    assert not episode.observations[0, 1].any()


def test_without_timeout_violations_cost_nothing(engine: EngineName) -> None:
    task = TaskConfig(stimulus_set="pwm0", trial_length=3, episode_length=9)
    actions = torch.tensor([[[LEFT, RIGHT, RIGHT]] * 3])
    episode = play_actions(engine, task, torch.zeros((1, 3), dtype=torch.int64), actions)
    assert episode.rewards.tolist() == [[[0, 0, 1]] * 3]


@pytest.mark.parametrize("name", PAIRS_OF_THE_NOTES)
def test_the_stimulus_sets_of_the_notes(name: str) -> None:
    pairs = PAIRS_OF_THE_NOTES[name]
    assert list(STIMULUS_SETS[name]) == pairs
    task = TaskConfig(stimulus_set=name)
    assert [[("ABCDE")[stimulus] for stimulus in pair] for pair in task.pairs] == [
        list(pair) for pair in pairs
    ]
    assert task.num_stimuli == {"pwm0": 2, "pwm5": 5}[name]
    correct = [Action.RIGHT if pair[0] < pair[1] else Action.LEFT for pair in pairs]
    assert correct_actions(task).tolist() == correct


def test_the_setting_of_the_notes_is_the_default() -> None:
    task = TaskConfig()
    assert (task.stimulus_set, task.trial_length, task.num_trials) == ("pwm5", 3, 20)
    assert TaskConfig(episode_length=15).num_trials == 5
    assert (task.timeout, task.hold_reward) == (False, 0)
    assert [Action.HOLD, Action.LEFT, Action.RIGHT] == [HOLD, LEFT, RIGHT] == [0, 1, 2]


@pytest.mark.parametrize("pairs", [*PAIRS_OF_THE_NOTES.values(), ["AB", "BA", "CA"]])
def test_pairs_are_drawn_uniformly_and_independently(pairs: list[str]) -> None:
    with stimulus_set(tuple(pairs)) as name:
        task = TaskConfig(stimulus_set=name, trial_length=2, episode_length=8)
        trials = DrawSource(task, seeds=(0, 1)).next(2000).trials.numpy()  # (E, R, N)
    count = len(pairs)
    for replica in range(2):
        for place in range(task.num_trials):
            observed = np.bincount(trials[:, replica, place], minlength=count)
            assert stats.chisquare(observed).pvalue > 1e-3
    neighbours = {
        "of one replica": (trials[:, 0, :-1], trials[:, 0, 1:]),
        "across episodes": (trials[:-1, 0, -1], trials[1:, 0, 0]),
        "across replicas": (trials[:, 0], trials[:, 1]),
    }
    for one, other in neighbours.values():
        joint = np.bincount((one * count + other).ravel(), minlength=count**2)
        assert stats.chisquare(joint).pvalue > 1e-3


MALFORMED_SETS: list[Any] = [
    ("AA", "AB"),
    ("AB", "BA", "AB"),
    ("ab", "ba"),
    ("ABC", "BA"),
    ("ABA", "BA"),
    ("A", "BA"),
    ("", "BA"),
    ("A1", "BA"),
    ("ÀB", "BA"),
    ("AB", 5),
    ("AB", ["B", "A"]),
    ["AB", "BA"],
    "AB",
    (),
    None,
]


@pytest.mark.parametrize("pairs", MALFORMED_SETS)
def test_malformed_stimulus_sets_are_refused_in_one_line(pairs: Any) -> None:
    with stimulus_set(pairs) as name, pytest.raises(InputError) as caught:
        TaskConfig(stimulus_set=name)
    assert str(caught.value) == (
        f"--stimulus-set another = {pairs!r}: expected a tuple of different pairs of two different "
        'capital letters, such as ("AB", "BA")'
    )


@pytest.mark.parametrize("name", STIMULUS_SETS)
def test_every_stimulus_set_is_accepted(name: str) -> None:
    assert TaskConfig(stimulus_set=name).num_pairs == len(STIMULUS_SETS[name])


BAD_VALUES: list[tuple[str, Any]] = [
    ("stimulus_set", "pwm9"),
    ("stimulus_set", ""),
    ("trial_length", 1),
    ("trial_length", -3),
    ("trial_length", 3.0),
    ("trial_length", True),
    ("episode_length", 0),
    ("episode_length", 2),
    ("episode_length", 60.5),
    ("episode_length", float("nan")),
    ("hold_reward", -0.1),
    ("hold_reward", float("nan")),
    ("hold_reward", float("inf")),
]


@pytest.mark.parametrize(("field", "value"), BAD_VALUES)
def test_errors_name_the_field_and_the_value(field: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        TaskConfig(**{field: value})
    assert (caught.value.name, caught.value.value) == (field, pytest.approx(value, nan_ok=True))
    assert str(caught.value).startswith(f"--{field.replace('_', '-')} {value}: expected ")
