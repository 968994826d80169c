"""Histories depend on their run alone, log the metrics as defined, and show learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pwm.core.agent import AgentConfig, Weights
from pwm.core.errors import InputError
from pwm.core.rollout import Draws, Episode, Rollout
from pwm.core.task import TaskConfig
from pwm.runs.engines import EngineName, make_trainer
from pwm.training.config import TrainConfig
from pwm.training.draws import DrawSource
from pwm.training.history import METRICS, History
from pwm.training.loss_config import LossConfig
from pwm.training.parameters import Layout
from pwm.training.trainer import Trainer
from tests.support.training import history_of, settings_of_runs, trained

QUICK = TrainConfig(
    task=TaskConfig(episode_length=9),
    agent=AgentConfig(hidden_size=5),
    num_episodes=10,
    log_every=4,
)


def equal(one: History, other: History) -> bool:
    """Whether two histories are the same, bit for bit."""
    theirs = other.arrays()
    return all(
        np.array_equal(array, theirs[name], equal_nan=True) for name, array in one.arrays().items()
    )


@st.composite
def populations(draw: st.DrawFn) -> list[TrainConfig]:
    """Two to five arbitrary runs of one setting, of six episodes each."""
    setting = draw(settings_of_runs(most_trials=6, most_units=25))
    can_be_probed = setting.loss.lost_gradients == "none"
    probe_episodes = draw(st.sampled_from([0, 2] if can_be_probed else [0]))
    light = 0.01 if setting.critic_start == "fixed-point" else 0.0  # weight 0 has no fixed point
    batch = setting.episodes_per_update
    probe_at = draw(st.sampled_from([(), (0, batch, 4), (6,)] if probe_episodes else [()]))
    windows = batch if probe_episodes and not probe_at else 1
    shared = replace(
        setting,
        num_episodes=6,
        log_every=windows * draw(st.integers(1, 4)),
        probe_episodes=probe_episodes,
        probe_at=probe_at,
    )
    runs = st.builds(
        replace,
        st.just(shared),
        seed=st.integers(0, 3),
        critic_weight=st.sampled_from([light, 0.05, 3.0, 20.0]),
        learning_rate=st.sampled_from([0.001, 0.005, 0.01]),
    )
    return draw(st.lists(runs, min_size=2, max_size=5))


def assert_same_replica(one: Trainer, replica: int, other: Trainer, other_replica: int) -> None:
    """Asserts that two replicas have the same history and parameters, bit for bit."""
    assert equal(one.history().select([replica]), other.history().select([other_replica]))
    parameters = one.parameters.detach().numpy(), other.parameters.detach().numpy()
    assert np.array_equal(parameters[0][replica], parameters[1][other_replica], equal_nan=True)


@settings(max_examples=40)
@given(populations())
def test_a_replica_is_the_same_alone_and_among_others(
    engine: EngineName, runs: list[TrainConfig]
) -> None:
    together = trained(runs, engine)
    for replica, run in enumerate(runs):
        assert_same_replica(together, replica, trained([run], engine), 0)


@given(populations(), st.randoms(use_true_random=False))
def test_a_replica_is_the_same_in_any_order(
    engine: EngineName, runs: list[TrainConfig], random: Any
) -> None:
    order = list(range(len(runs)))
    random.shuffle(order)
    one, other = trained(runs, engine), trained([runs[replica] for replica in order], engine)
    for place, replica in enumerate(order):
        assert_same_replica(one, replica, other, place)


@given(populations(), st.lists(st.integers(0, 4), max_size=4))
def test_a_replica_is_the_same_trained_in_pieces(
    engine: EngineName, runs: list[TrainConfig], pieces: list[int]
) -> None:
    in_pieces = make_trainer(runs, engine)
    for piece in pieces:
        in_pieces.advance(piece)
        in_pieces.history()
    in_pieces.advance(in_pieces.num_episodes)
    at_once = trained(runs, engine)
    for replica in range(len(runs)):
        assert_same_replica(in_pieces, replica, at_once, replica)


@given(populations(), st.integers(0, 6))
def test_a_replica_is_the_same_if_resumed(
    engine: EngineName, runs: list[TrainConfig], done: int
) -> None:
    interrupted, resumed = make_trainer(runs, engine), make_trainer(runs, engine)
    interrupted.advance(done)
    state = interrupted.state()
    interrupted.advance(1)  # must not change the state
    resumed.restore(state)
    batch = runs[0].episodes_per_update
    assert resumed.episodes_done == ceil(done / batch) * batch
    resumed.advance(resumed.num_episodes)
    at_once = trained(runs, engine)
    for replica in range(len(runs)):
        assert_same_replica(resumed, replica, at_once, replica)


@given(populations())
def test_a_replica_is_the_same_on_any_number_of_threads(
    engine: EngineName, runs: list[TrainConfig]
) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = trained(runs, engine)
        torch.set_num_threads(2)
        two = trained(runs, engine)
    finally:
        torch.set_num_threads(before)
    for replica in range(len(runs)):
        assert_same_replica(one, replica, two, replica)


def test_a_large_population_on_two_threads_equals_its_replicas_alone(engine: EngineName) -> None:
    # Large enough that PyTorch would split operations over threads.
    runs = [
        replace(QUICK, agent=AgentConfig(hidden_size=24), num_episodes=4, seed=seed)
        for seed in range(40)
    ]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        together = trained(runs, engine)
    finally:
        torch.set_num_threads(before)
    for replica in (0, 17, 39):
        assert_same_replica(together, replica, trained([runs[replica]], engine), 0)


def test_training_uses_one_thread_and_restores_the_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play, seen = Rollout.play, []

    def watched(self: Rollout, weights: Weights, draws: Draws) -> Episode:
        seen.append(torch.get_num_threads())
        if len(seen) == 3:
            raise KeyboardInterrupt
        return play(self, weights, draws)

    monkeypatch.setattr(Rollout, "play", watched)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        trainer = make_trainer([QUICK], "torch")
        trainer.advance(2)
        assert torch.get_num_threads() == 2
        with pytest.raises(KeyboardInterrupt):
            trainer.advance(1)
        assert torch.get_num_threads() == 2
        trainer.probe(DrawSource(QUICK.task, [0], of_probes=True).next(2))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}
    assert len(seen) > 3  # the probe played, too


def recorded(runs: Sequence[TrainConfig], engine: EngineName) -> tuple[Trainer, list[Draws]]:
    """A population trained to its end, and the random draws of its episodes."""
    met: list[Draws] = []
    draw = DrawSource.next

    def recording(self: DrawSource, num_episodes: int) -> Draws:
        draws = draw(self, num_episodes)
        met.extend(map(Draws, *draws))
        return draws

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DrawSource, "next", recording)
        return trained(runs, engine), met


def test_two_seeds_share_no_random_draws(engine: EngineName) -> None:
    trainer, met = recorded([replace(QUICK, seed=0), replace(QUICK, seed=1)], engine)
    for name in METRICS:
        one, other = getattr(trainer.history(), name)
        assert not np.array_equal(one, other), name
    initial = make_trainer(trainer.runs, engine).parameters
    assert not (initial[0] == initial[1])[initial[0] != 0].any()
    trials, noise = (torch.stack(pieces) for pieces in zip(*met, strict=True))
    assert not torch.equal(trials[:, 0], trials[:, 1])
    assert not (noise[:, 0] == noise[:, 1]).any()


def test_runs_with_the_same_seed_share_their_random_draws(
    engine: EngineName,
) -> None:
    runs = [QUICK, replace(QUICK, critic_weight=0.05), replace(QUICK, learning_rate=0.001)]
    trainer, met = recorded(runs, engine)
    assert len(met) == QUICK.num_episodes
    for draws in met:
        for part in draws:
            assert torch.equal(part[0], part[1])
            assert torch.equal(part[0], part[2])
    initial = make_trainer(runs, engine).parameters
    for replica in (1, 2):
        assert torch.equal(initial[0], initial[replica])
        assert not torch.equal(trainer.parameters[0], trainer.parameters[replica])


def test_every_episode_has_new_random_draws(engine: EngineName) -> None:
    _, met = recorded([replace(QUICK, num_episodes=70)], engine)
    noise = torch.stack([draws.noise for draws in met]).flatten(1)
    assert len(noise.unique(dim=0)) == 70


LOGGED = {
    "notes": QUICK,
    "detached_mean_discounted": replace(
        QUICK,
        loss=LossConfig(
            baseline="detached", policy_reduction="mean", discount=0.9, entropy_weight=0.1
        ),
    ),
    "timeout_hold_reward": replace(
        QUICK, task=TaskConfig(episode_length=9, timeout=True, hold_reward=0.25)
    ),
}


@pytest.mark.parametrize("config", LOGGED.values(), ids=LOGGED.keys())
def test_metrics_follow_their_definitions(config: TrainConfig, engine: EngineName) -> None:
    runs = [replace(config, seed=seed, log_every=1) for seed in (0, 1)]
    trainer = make_trainer(runs, engine)
    layout = Layout(config.agent, config.task.num_stimuli)
    rollout, source = Rollout(config.task, config.agent), DrawSource(config.task, seeds=(0, 1))
    expected = []
    for _ in range(config.num_episodes):
        trials, noise = source.next(1)
        with torch.no_grad():
            episode = rollout.play(layout.weights(trainer.parameters), Draws(trials[0], noise[0]))
        for replica in range(2):
            rewards = episode.rewards[replica].flatten().tolist()
            log_probs, entropies, values = (
                getattr(episode, name)[replica].flatten().double().numpy()
                for name in ("log_probs", "entropies", "values")
            )
            returns = [
                sum(config.loss.discount**lag * reward for lag, reward in enumerate(rewards[step:]))
                for step in range(len(rewards))
            ]
            advantages = np.array(returns) - values
            gain = advantages * log_probs
            length = config.task.trial_length
            expected.append(
                [
                    np.mean([reward == 1 for reward in rewards[length - 1 :: length]]),
                    np.mean(advantages**2),
                    -(gain.sum() if config.loss.policy_reduction == "sum" else gain.mean()),
                    entropies.mean(),
                    np.mean(values - returns),
                ]
            )
        trainer.advance(1)
    history = trainer.history()
    for number, name in enumerate(METRICS):
        column = np.array(expected)[:, number].reshape(-1, 2).T  # (R, K)
        np.testing.assert_allclose(getattr(history, name), column, rtol=1e-5, atol=1e-6)


def test_episodes_of_an_update_are_played_with_the_same_parameters(engine: EngineName) -> None:
    batches = replace(QUICK, num_episodes=9, episodes_per_update=3, log_every=1)
    trainer, expected = make_trainer([batches], engine), []
    layout = Layout(QUICK.agent, QUICK.task.num_stimuli)
    rollout = Rollout(QUICK.task, QUICK.agent)
    draws = DrawSource(QUICK.task, (QUICK.seed,)).next(9)
    for first in (0, 3, 6):
        for episode in range(first, first + 3):
            with torch.no_grad():
                one = Draws(draws.trials[episode], draws.noise[episode])
                expected.append(
                    rollout.play(layout.weights(trainer.parameters), one).entropies.mean().item()
                )
        before = trainer.parameters.detach().clone()
        trainer.advance(1)  # rounded up to a whole update
        assert trainer.episodes_done == first + 3
        assert not torch.equal(trainer.parameters, before)
    np.testing.assert_allclose(trainer.history().entropy[0], expected, rtol=1e-5)
    assert trainer.history().reward.shape == (1, 9)
    trainer.advance(1)
    assert trainer.episodes_done == 9


def test_more_episodes_per_update_than_are_drawn_at_once(engine: EngineName) -> None:
    run = replace(QUICK, num_episodes=200, episodes_per_update=100, log_every=7)
    at_once, in_two = trained([run], engine), make_trainer([run], engine)
    in_two.advance(3)
    assert in_two.episodes_done == 100
    in_two.advance(200)
    assert_same_replica(at_once, 0, in_two, 0)


@pytest.mark.parametrize("log_every", [1, 3, 4, 10, 64])
def test_windows_are_averages_of_their_episodes(log_every: int, engine: EngineName) -> None:
    runs = [replace(QUICK, seed=seed) for seed in (0, 1)]
    each = history_of([replace(run, log_every=1) for run in runs], engine)
    windows = history_of([replace(run, log_every=log_every) for run in runs], engine)
    last_episodes = [*range(log_every, 11, log_every)]
    if 10 % log_every:
        last_episodes.append(10)
    assert each.episode.tolist() == list(range(1, 11))
    assert windows.episode.tolist() == last_episodes
    for name in METRICS:
        episodes = np.split(getattr(each, name), last_episodes[:-1], axis=1)
        means = np.stack([part.mean(axis=1, dtype=np.float64) for part in episodes], axis=1)
        np.testing.assert_allclose(getattr(windows, name), means, rtol=1e-6)


def test_a_history_has_the_documented_shapes_and_types(engine: EngineName) -> None:
    trainer = make_trainer([QUICK, replace(QUICK, seed=1), replace(QUICK, seed=2)], engine)
    assert trainer.history().arrays().keys() == {"episode", *METRICS}
    for episodes, windows in ((0, 0), (3, 1), (4, 2), (100, 3)):
        trainer.advance(episodes)
        history = trainer.history()
        assert history.episode.shape == (windows,)
        assert history.episode.dtype == np.int64
        for name in METRICS:
            metric = getattr(history, name)
            assert metric.shape == (3, windows)
            assert metric.dtype == np.float32
    assert trainer.episodes_done == QUICK.num_episodes
    chosen = history.select([2, 0])
    assert np.array_equal(chosen.reward, history.reward[[2, 0]])
    assert np.array_equal(chosen.critic_bias, history.critic_bias[[2, 0]])


@pytest.mark.parametrize(
    "other",
    [
        replace(QUICK, task=TaskConfig(episode_length=12)),
        replace(QUICK, agent=AgentConfig(hidden_size=6)),
        replace(QUICK, loss=LossConfig(baseline="detached")),
        replace(QUICK, num_episodes=11),
        replace(QUICK, log_every=5),
    ],
)
def test_a_population_of_different_settings_is_refused(
    other: TrainConfig, engine: EngineName
) -> None:
    with pytest.raises(ValueError, match="differ only in seed, weight and learning rate"):
        make_trainer([QUICK, other], engine)


def test_an_empty_population_is_refused(engine: EngineName) -> None:
    with pytest.raises(ValueError, match="population"):
        make_trainer([], engine)


BAD_VALUES: list[tuple[str, Any]] = [
    ("critic_weight", -1.0),
    ("critic_weight", float("nan")),
    ("critic_weight", float("inf")),
    ("learning_rate", 0.0),
    ("learning_rate", -0.005),
    ("learning_rate", float("nan")),
    ("learning_rate", float("inf")),
    ("num_episodes", 0),
    ("num_episodes", 1e4),
    ("log_every", 0),
    ("log_every", 2.5),
    ("optimizer", "adamw"),
    ("square_decay", 1.0),
    ("square_decay", -0.1),
    ("momentum_decay", float("nan")),
    ("epsilon", 0.0),
    ("epsilon", 1e-46),
    ("epsilon", float("inf")),
    ("episodes_per_update", 0),
    ("episodes_per_update", 2.0),
    ("critic_start", float("nan")),
    ("critic_start", "median"),
    ("probe_episodes", -1),
    ("probe_episodes", 1),
    ("seed", -1),
    ("seed", 0.5),
]


def test_probes_where_gradients_are_lost_are_refused() -> None:
    with pytest.raises(InputError, match="--probe-episodes 2: expected 0, or at least 2 with"):
        TrainConfig(probe_episodes=2, loss=LossConfig(lost_gradients="values"))


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ((2, 1), "2 1"),
        ((1, 1), "1 1"),
        ((-1, 1), "-1 1"),
        ((0, 11), "0 11"),
        ((0.5,), "0.5"),
        ((True,), "True"),
        ([0, 1], "[0, 1]"),
    ],
)
def test_a_schedule_of_probes_increases_and_ends_with_training(at: Any, shown: str) -> None:
    with pytest.raises(InputError) as caught:
        replace(QUICK, probe_episodes=2, probe_at=at)
    assert str(caught.value) == (
        f"--probe-at {shown}: expected increasing numbers of episodes from 0 to 10"
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"num_episodes": 10},
            "--num-episodes 10: expected a multiple of the 4 episodes per update",
        ),
        (
            {"probe_episodes": 2, "log_every": 6},
            "--log-every 6: expected a multiple of the 4 episodes per update, if probed at the "
            "ends of windows",
        ),
        (
            {"probe_episodes": 2, "probe_at": (0, 6)},
            "--probe-at 0 6: expected multiples of the 4 episodes per update",
        ),
    ],
)
def test_training_ends_and_is_probed_between_updates(changed: Any, message: str) -> None:
    run = replace(QUICK, num_episodes=12, episodes_per_update=4, log_every=5)
    with pytest.raises(InputError) as caught:
        replace(run, **changed)
    assert str(caught.value) == message


def test_another_optimiser_next_to_a_weight_that_rmsprop_learns_is_refused() -> None:
    with pytest.raises(InputError, match="--optimizer adam: expected rmsprop with uncertainty"):
        replace(QUICK, optimizer="adam", loss=LossConfig(balance="uncertainty"))


def test_a_schedule_of_probes_needs_episodes_to_play() -> None:
    with pytest.raises(InputError, match="--probe-episodes 0: expected at least 2 with --probe-at"):
        replace(QUICK, probe_at=(0,))


@pytest.mark.parametrize(("field", "value"), BAD_VALUES)
def test_errors_name_the_field_and_the_value(field: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        TrainConfig(**{field: value})
    assert caught.value.name == field
    assert str(caught.value).startswith(f"--{field.replace('_', '-')} {value}: expected ")


def test_the_setting_of_the_notes_is_the_default() -> None:
    config = TrainConfig()
    assert (config.task, config.agent) == (
        TaskConfig(stimulus_set="pwm5", trial_length=3, episode_length=60),
        AgentConfig(hidden_size=24),
    )
    assert config.loss == LossConfig(
        baseline="attached", policy_reduction="sum", discount=1.0, entropy_weight=0.0
    )
    assert (config.critic_weight, config.learning_rate) == (5.0, 0.005)
    assert (config.num_episodes, config.log_every, config.seed) == (10_000, 10, 0)


@pytest.mark.parametrize(
    ("stimulus_set", "num_episodes", "learned"), [("pwm0", 600, 0.9), ("pwm5", 2400, 0.75)]
)
def test_at_least_half_of_the_seeds_learn(
    stimulus_set: str, num_episodes: int, learned: float, engine: EngineName
) -> None:
    config = TrainConfig(
        task=TaskConfig(stimulus_set=stimulus_set, episode_length=15),
        loss=LossConfig(baseline="detached"),
        num_episodes=num_episodes,
        log_every=num_episodes // 8,
    )
    reward = history_of([replace(config, seed=seed) for seed in range(6)], engine).reward
    assert reward[:, 0].max() < learned
    assert (reward[:, -1] > learned).sum() >= 3
