"""`python -m pwm.bench`: the plain loop does the same work, and the table shows the timings."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from types import MethodType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Categorical
from torch.utils.flop_counter import FlopCounterMode

from pwm.bench import __main__ as bench
from pwm.bench.contestants import Contestant, contestants, peers
from pwm.bench.operations import operations, plain_operations, product_rate
from pwm.bench.plain import PlainLoop
from pwm.bench.rows import EPISODES_PER_CALL, state_rows
from pwm.core.agent import AgentConfig, Weights
from pwm.core.rollout import Draws, Episode, Rollout
from pwm.core.task import STIMULUS_SETS, TaskConfig
from pwm.fused.engine import FusedEngine
from pwm.runs.engines import make_trainer
from pwm.training.config import TrainConfig
from pwm.training.parameters import Layout
from pwm.training.trainer import Trainer
from pwm.training.update import TorchEngine
from tests.oracles.plain_agent import Trunk
from tests.support.refusals import assert_refused

ONE_SIZE = ("--hidden-sizes", "24")
RUN = TrainConfig(task=TaskConfig(episode_length=15), num_episodes=5, log_every=1, seed=3)


def loop_with_parameters_of(trainer: Trainer) -> PlainLoop:
    """A plain loop that starts from the parameters of a population of one."""
    loop = PlainLoop(trainer.runs[0])
    names = Layout(RUN.agent, RUN.task.num_stimuli).named(trainer.parameters.detach())
    for name, tensors in layers_of(loop).by_name().items():
        parts = names[name][0, 0].T.split_with_sizes([len(tensor) for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.data.copy_(part.reshape(tensor.shape))
    return loop


def layers_of(loop: PlainLoop) -> Trunk:
    """The loop's own layers, as the `Trunk` of the tests' oracle."""
    trunk = Trunk(RUN.task.num_stimuli, RUN.agent.hidden_size, torch.float32)
    trunk.lstm = loop._lstm
    trunk.policy_head, trunk.value_head = loop._policy_head, loop._value_head
    return trunk


@pytest.mark.parametrize("critic_weight", [0.05, 5.0])
def test_the_plain_loop_learns_the_same_from_the_same_trials_and_actions(
    critic_weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer([replace(RUN, critic_weight=critic_weight)], "torch")
    loop = loop_with_parameters_of(trainer)
    layout = Layout(RUN.agent, RUN.task.num_stimuli)
    played: list[Episode] = []
    play = Rollout.play

    def watched(self: Rollout, weights: Weights, draws: Draws) -> Episode:
        played.append(play(self, weights, draws))
        return played[-1]

    monkeypatch.setattr(Rollout, "play", watched)
    for number in range(RUN.num_episodes):
        trainer.advance(1)
        episode = played[-1]
        trials, actions = deque(episode.trials[0]), deque(episode.actions[0])
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randint", lambda *_arguments, trials=trials: trials.popleft())
            patch.setattr(Categorical, "sample", lambda _, actions=actions: actions.popleft())
            total_reward, value_loss, policy_loss, entropy = loop._episode()
        assert not trials
        assert not actions

        history = trainer.history()
        assert total_reward == episode.rewards.sum()
        assert total_reward == round(history.reward[0, number] * RUN.task.num_trials)
        assert value_loss == pytest.approx(history.value_loss[0, number], rel=1e-4)
        assert policy_loss == pytest.approx(history.policy_loss[0, number], rel=1e-4)
        assert entropy == pytest.approx(history.entropy[0, number], rel=1e-4)

        # The same update: the next episode starts from the same parameters.
        names = layout.named(trainer.parameters.detach())
        for name, tensors in layers_of(loop).by_name().items():
            flat = torch.cat([tensor.detach().view(len(tensor), -1) for tensor in tensors]).T
            torch.testing.assert_close(flat, names[name][0, 0], rtol=1e-3, atol=1e-4)


def test_the_plain_loop_draws_its_own_trials_and_actions() -> None:
    torch.manual_seed(0)
    loop = PlainLoop(RUN)
    returns = [loop._episode()[0] for _ in range(40)]
    assert len(set(returns)) > 2
    assert all(0 <= value <= RUN.task.num_trials for value in returns)


def test_the_plain_loop_makes_one_update_per_episode() -> None:
    loop = PlainLoop(RUN)
    loop.advance(3)
    states = loop._optimiser.state.values()
    assert {int(state["step"]) for state in states} == {3}
    assert len(states) == 8  # every parameter: four of the LSTM, two of each head


# Rows of the JAX peer


@pytest.mark.parametrize("trial_length", [2, 3, 5])
@pytest.mark.parametrize("stimulus_set", STIMULUS_SETS)
def test_each_step_of_a_trial_has_the_row_of_the_stimuli_seen_so_far(
    stimulus_set: str, trial_length: int
) -> None:
    task = TaskConfig(stimulus_set=stimulus_set, trial_length=trial_length)
    # For each row of `_play_states`: the step, and the stimuli seen so far.
    played: list[tuple[int, ...]] = [
        (step, stimulus) for step in range(trial_length - 1) for stimulus in range(task.num_stimuli)
    ]
    played += [(trial_length - 1, first, second) for first, second in task.pairs]
    rows = state_rows(task)
    assert rows.shape == (task.num_pairs, trial_length)
    for (first, second), pair_rows in zip(task.pairs, rows, strict=True):
        *before_last, last = [played[row] for row in pair_rows]
        assert before_last == [(step, first) for step in range(trial_length - 1)]
        assert last == (trial_length - 1, first, second)


# Contestants


@pytest.mark.parametrize("episode_length", [15, 60, 240])
def test_every_episode_that_a_population_in_jax_trains_is_counted(episode_length: int) -> None:
    run = TrainConfig(task=TaskConfig(episode_length=episode_length))
    with ThreadPoolExecutor(1) as pool:
        for each in peers(run, replicas=4, pool=pool, cores=2):
            assert each.episodes > 0
            assert each.episodes % EPISODES_PER_CALL == 0  # `advance` trains whole calls


def test_the_contestants_train_as_named() -> None:
    run = TrainConfig(
        task=TaskConfig(episode_length=6), agent=AgentConfig(hidden_size=5), num_episodes=100
    )
    population = tuple(replace(run, seed=seed) for seed in range(4))
    submitted: list[Any] = []

    class Pool(ThreadPoolExecutor):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            submitted.append(args)
            return super().submit(function, *args, **kwargs)

    with Pool(1) as pool:
        racing = contestants(run, 4, pool, cores=2)
        plain, in_torch, fused, on_all_cores = racing
        names = [item.name for item in racing]
        assert names == ["plain loop", "torch", "fused", "fused, 2 cores"]
        assert [item.replicas for item in racing] == [1, 4, 4, 8]
        assert isinstance(trained_by(plain), PlainLoop)
        for contestant, engine in ((in_torch, TorchEngine), (fused, FusedEngine)):
            trainer = trained_by(contestant)
            assert isinstance(trainer, Trainer)
            assert type(trainer.engine) is engine
            assert trainer.runs == population
            contestant.advance(3)
            assert trainer.episodes_done == 3
        on_all_cores.advance(3)
    assert submitted == [(make_trainer, (population,), 3)] * 2


def trained_by(contestant: Contestant) -> object:
    """The object whose method a contestant times."""
    assert isinstance(contestant.advance, MethodType)
    return contestant.advance.__self__


def test_a_product_is_timed() -> None:
    assert 1e8 < product_rate() < 1e13


@pytest.mark.parametrize("episode_length", [3, 15, 240])
def test_operations_are_counted_over_the_rows_that_the_engine_computes(
    episode_length: int,
) -> None:
    run = TrainConfig(task=TaskConfig(episode_length=episode_length), num_episodes=50)
    engine = FusedEngine((run,))
    trainer = Trainer(engine)
    rows = []
    for _ in range(run.num_episodes):
        trainer.advance(1)
        starts = engine.work.level_start
        rows.append((starts[3] - starts[1], starts[3] - 1))  # after the first step, and all
    with_past, every = np.mean(rows, axis=0)
    expected = 3 * 2 * (with_past * 24 * 96 + every * 24 * 4)
    assert operations(run, episodes=50) == pytest.approx(expected)


@pytest.mark.parametrize("hidden", [1, 24, 64])
def test_operations_of_the_plain_loop_are_those_that_torch_counts(hidden: int) -> None:
    run = TrainConfig(
        task=TaskConfig(episode_length=7), agent=AgentConfig(hidden_size=hidden)
    )  # two trials
    by_input, by_state = nn.Linear(5, 4 * hidden), nn.Linear(hidden, 4 * hidden)
    heads = nn.Linear(hidden, 4)
    with FlopCounterMode(display=False) as counter:
        gates = by_input(torch.zeros(1, 5)) + by_state(torch.zeros(1, hidden, requires_grad=True))
        heads(gates.unflatten(1, (4, hidden)).sum(dim=1)).sum().backward()
    assert plain_operations(run) == 6 * counter.get_total_flops()


def test_a_rate_counts_replica_episodes_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    asked = []

    def advance(num_episodes: int) -> None:
        asked.append(num_episodes)
        clock[0] += 2.0

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    assert Contestant("some", replicas=6, advance=advance, episodes=50).rate() == 150
    assert asked == [50]


# The table


class Scripted(Contestant):
    """A contestant with known rates."""

    def __init__(self, name: str, replicas: int, rates: list[float]) -> None:
        super().__init__(name, replicas, _nothing, 1)
        self._rates: Iterator[float] = iter(rates)

    def rate(self) -> float:
        return next(self._rates)


def _nothing(_num_episodes: int) -> None:
    pass


def test_the_table_shows_medians_and_ratios_within_rounds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def scripted(_run: TrainConfig, replicas: int, _pool: object, _cores: int) -> list[Contestant]:
        return [
            # The first round warms up and does not count.
            Scripted("plain loop", 1, [1, 10, 20, 40]),
            Scripted("fused", replicas, [9e9, 1000, 4000, 6000]),
        ]

    products: Iterator[float] = iter([9e9, 1e9, 2e9, 6e9])
    monkeypatch.setattr(bench, "contestants", scripted)
    monkeypatch.setattr(bench, "product_rate", lambda: next(products))
    monkeypatch.setattr(bench, "operations", lambda _run: 250_000.0)
    monkeypatch.setattr(bench, "plain_operations", lambda _run: 750_000.0)
    bench.main(["--rounds", "3", "--replicas", "7", "--episode-lengths", "15", *ONE_SIZE])
    *_, header, plain, fused = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["units", "steps", "replicas", "replica-episodes/s"]
    assert plain.split() == ["24", "15", "plain", "loop", "1", "20", "1", "[1,", "1]"]
    assert fused.split() == [
        *("24", "15", "fused", "7", "4,000", "150", "[100,", "200]"),
        *("75%,", "25%", "of", "2", "Gflop/s"),
    ]


def test_a_real_round_prints_every_contestant_at_every_length(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(run: TrainConfig, replicas: int, pool: Executor, cores: int) -> list[Contestant]:
        return [replace(item, episodes=1) for item in contestants(run, replicas, pool, cores)]

    monkeypatch.setattr(bench, "contestants", short)
    threads = torch.get_num_threads()
    flags = ["--rounds", "1", "--replicas", "2", "--cores", "1", "--episode-lengths", "6", "9"]
    bench.main([*flags, *ONE_SIZE])
    assert torch.get_num_threads() == threads
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()[5:]]
    assert [row[:3] for row in rows] == [
        ["24", steps, name]
        for steps in ("6", "9")
        for name in ("plain", "torch", "fused", "fused,")
    ]
    assert "medians of 1 rounds" in out


@pytest.mark.parametrize(
    ("flags", "flag"),
    [
        (["--rounds", "0"], "--rounds 0"),
        (["--replicas", "0"], "--replicas 0"),
        (["--cores", "0"], "--cores 0"),
        (["--hidden-sizes"], "--hidden-sizes"),
        (["--replicas", "x"], "--replicas"),
        (["--episode-lengths"], "--episode-lengths"),
        (["--episode-lengths", "2"], "--episode-length 2"),
    ],
)
def test_bad_flags_are_one_line(
    flags: list[str], flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(bench.main, flags, capsys, flag)
