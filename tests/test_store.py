"""Files are whole or not there, and what is damaged is never taken for data."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pwm.agent import AgentConfig
from pwm.errors import InputError
from pwm.files import read_history, write_atomically, write_history, write_json
from pwm.losses import LossConfig
from pwm.store import Shard, Store
from pwm.task import TaskConfig
from pwm.train import METRICS, History, TrainConfig, Trainer, train
from tests.histories import made_up, same

# Writing


@pytest.mark.parametrize("failing", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(
    failing: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*_arguments: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os if failing == "fsync" else Path, failing, fail)
        with pytest.raises(type(error)):
            write_atomically(path, b"new" * 1000)
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_the_content_is_on_disk_before_it_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine that loses power between the two must not be left with an empty file.
    path, steps = tmp_path / "file", []
    fsync, rename = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        steps.append(("flushed", os.fstat(descriptor).st_size))
        fsync(descriptor)

    def watched_rename(source: Path, target: Path) -> Path:
        steps.append(("named", source.stat().st_size))
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_rename)
    write_atomically(path, b"1234567")
    assert steps == [("flushed", 7), ("named", 7)]


def test_a_written_file_replaces_makes_folders_and_can_be_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "some" / "where" / "file"
    write_atomically(path, b"one")
    write_atomically(path, b"other")
    assert path.read_bytes() == b"other"
    assert path.stat().st_mode & 0o777 == 0o644


def test_json_is_read_back(tmp_path: Path) -> None:
    content = {"weight": 0.05, "seeds": [0, 1], "commit": None}
    write_json(tmp_path / "file.json", content)
    text = (tmp_path / "file.json").read_text()
    assert json.loads(text) == content
    assert text.endswith("}\n")


# Histories

CURVES = arrays(
    np.float32,
    (len(METRICS), 2, 3),
    elements=st.floats(width=32, allow_nan=True, allow_infinity=True),
)


@given(CURVES, arrays(np.int64, 3))
def test_a_history_comes_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory,
    curves: NDArray[np.float32],
    episode: NDArray[np.int64],
) -> None:
    path = tmp_path_factory.mktemp("store") / "history.npz"
    history = History(episode, *curves)
    write_history(path, history)
    assert same(read_history(path), history)


@pytest.mark.parametrize(("replicas", "windows"), [(0, 0), (1, 0), (1, 1), (48, 100)])
def test_a_history_of_any_size_comes_back(replicas: int, windows: int, tmp_path: Path) -> None:
    history = made_up(replicas, windows)
    write_history(tmp_path / "history.npz", history)
    assert same(read_history(tmp_path / "history.npz"), history)


def test_equal_histories_make_equal_files_at_any_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_history(tmp_path / "now", made_up(2, 3))
    later = time.time() + 1e7
    monkeypatch.setattr(time, "time", lambda: later)
    write_history(tmp_path / "later", made_up(2, 3))
    write_history(tmp_path / "other", made_up(2, 3, seed=1))
    assert (tmp_path / "now").read_bytes() == (tmp_path / "later").read_bytes()
    assert (tmp_path / "now").read_bytes() != (tmp_path / "other").read_bytes()


# Damage


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a small history."""
    path = tmp_path_factory.mktemp("whole") / "history.npz"
    write_history(path, made_up(2, 4))
    return path.read_bytes()


def assert_damaged(path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_history(path)
    assert str(path) in str(caught.value)


def test_a_truncated_history_is_never_read(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "history.npz"
    for length in [*range(0, len(whole), 29), len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert_damaged(path)


def test_a_flipped_bit_is_found_or_changes_nothing(whole: bytes, tmp_path: Path) -> None:
    # Some bits say when and on which system the archive was made, and decide nothing. Every bit
    # of the archive's last entry and of its end, and one of every seventh byte before them.
    last_entry = whole.rindex(b"PK\x01\x02")
    bits = [8 * place + place % 8 for place in range(0, last_entry, 7)]
    bits += range(8 * last_entry, 8 * len(whole))
    path, damaged = tmp_path / "history.npz", 0
    for bit in bits:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            history = read_history(path)
        except InputError:
            damaged += 1
        else:
            assert same(history, made_up(2, 4)), f"bit {bit}"
    assert damaged > len(bits) / 3


def test_what_is_not_a_history_is_never_read(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "history.npz"
    assert_damaged(path)  # not there
    for content in (b"", b"PK", b"not a history", b"\0" * 1000, whole[::-1]):
        path.write_bytes(content)
        assert_damaged(path)
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    assert_damaged(folder)


def test_arrays_of_something_else_are_never_read(tmp_path: Path) -> None:
    path = tmp_path / "history.npz"
    history = made_up(2, 4).arrays()
    np.savez(path, allow_pickle=False, weights=np.ones(3))
    assert_damaged(path)
    np.savez(path, allow_pickle=False, **{name: history[name] for name in METRICS})
    assert_damaged(path)
    np.savez(path, allow_pickle=True, **(history | {"reward": np.array([{}, {}], dtype=object)}))
    assert_damaged(path)
    with path.open("wb") as file:
        np.save(file, history["reward"])
    assert_damaged(path)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("reward", np.zeros((2, 3), np.float32)),  # a window short
        ("reward", np.zeros((1, 4), np.float32)),  # a replica short
        ("reward", np.zeros(4, np.float32)),
        ("reward", np.array([["a"] * 4] * 2)),
        ("episode", np.zeros((2, 4), np.int64)),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_never_read(
    name: str, array: NDArray[np.generic], tmp_path: Path
) -> None:
    path = tmp_path / "history.npz"
    np.savez(path, allow_pickle=False, **(made_up(2, 4).arrays() | {name: array}))
    assert_damaged(path)


# Shards

RUN = TrainConfig(TaskConfig(episode_length=6), AgentConfig(3), num_episodes=4, log_every=2)
TWO = Shard((RUN, replace(RUN, seed=1)))


def test_a_shards_key_is_the_same_everywhere() -> None:
    # Everything stored would be trained again if it changed.
    assert TWO.key == Shard((replace(RUN), replace(RUN, seed=1))).key
    assert len(TWO.key) == 32
    assert set(TWO.key) <= set("0123456789abcdef")


OTHERS = {
    "critic_weight": replace(RUN, critic_weight=4.0),
    "learning_rate": replace(RUN, learning_rate=0.006),
    "num_episodes": replace(RUN, num_episodes=5),
    "log_every": replace(RUN, log_every=3),
    "seed": replace(RUN, seed=2),
    "task.stimulus_set": replace(RUN, task=replace(RUN.task, stimulus_set="pwm0")),
    "task.trial_length": replace(RUN, task=replace(RUN.task, trial_length=2)),
    "task.episode_length": replace(RUN, task=replace(RUN.task, episode_length=7)),
    "task.timeout": replace(RUN, task=replace(RUN.task, timeout=True)),
    "task.hold_reward": replace(RUN, task=replace(RUN.task, hold_reward=0.1)),
    "agent.hidden_size": replace(RUN, agent=AgentConfig(4)),
    "agent.carry_state": replace(RUN, agent=AgentConfig(3, carry_state=True)),
    "agent.separate_trunks": replace(RUN, agent=AgentConfig(3, separate_trunks=True)),
    "loss.baseline": replace(RUN, loss=LossConfig("detached")),
    "loss.policy_reduction": replace(RUN, loss=LossConfig(policy_reduction="mean")),
    "loss.discount": replace(RUN, loss=LossConfig(discount=0.9)),
    "loss.entropy_weight": replace(RUN, loss=LossConfig(entropy_weight=0.1)),
}


def test_a_shards_key_depends_on_every_field_of_every_run_and_on_the_order() -> None:
    assert {name.split(".")[-1] for name in OTHERS} | {"task", "agent", "loss"} == {
        name
        for config in (RUN, RUN.task, RUN.agent, RUN.loss)
        for name in config.__dataclass_fields__
    }
    shards = [Shard((RUN, other)) for other in OTHERS.values()]
    shards += [Shard((other, RUN)) for other in OTHERS.values()]
    shards += [Shard((RUN,)), Shard((RUN, RUN)), Shard(())]
    assert len({shard.key for shard in shards}) == len(shards)


def test_a_change_of_what_runs_mean_changes_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = TWO.key
    monkeypatch.setattr("pwm.store.SEMANTICS", -1)
    assert TWO.key != before


def test_a_shards_work_is_counted_in_replica_episodes() -> None:
    assert TWO.num_episodes == 8


# The store


def test_what_is_put_is_got_and_the_rest_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "results")
    assert store.get(TWO) is None
    history = train(TWO.runs)
    store.put(TWO, history)
    got = store.get(TWO)
    assert got is not None
    assert same(got, history)
    assert store.get(Shard(TWO.runs[::-1])) is None
    assert capsys.readouterr().err == ""
    assert list((tmp_path / "results").iterdir()) == [store.path(TWO)]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "short": lambda whole: whole[: len(whole) // 2],
    "a bit of data": lambda whole: whole[:70] + bytes([whole[70] ^ 4]) + whole[71:],
    "overwritten data": lambda whole: whole[:60] + bytes(20) + whole[80:],
    "overwritten directory": lambda whole: whole[:-100] + bytes(40) + whole[-60:],
    "something else": lambda _: b"something else",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_shard_is_as_good_as_none_and_said_in_one_line(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    store.put(TWO, made_up(2, 2, log_every=2))
    store.path(TWO).write_bytes(DAMAGE[damage](store.path(TWO).read_bytes()))
    assert store.get(TWO) is None
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert str(store.path(TWO)) in captured.err


def test_a_shard_of_other_runs_is_never_read(tmp_path: Path) -> None:
    # As when a file was renamed: its replicas are not as many as the shard's runs.
    store = Store(tmp_path)
    write_history(store.path(TWO), made_up(3, 2, log_every=2))
    assert store.get(TWO) is None


def test_a_state_is_kept_until_its_shard_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    assert store.resume(TWO) is None
    trainer = Trainer(TWO.runs)
    for episodes in (1, 2):  # the second takes the place of the first
        trainer.advance(episodes)
        store.checkpoint(TWO, trainer.state())
    assert store.get(TWO) is None  # what is unfinished is not a result
    assert store.resume(Shard(TWO.runs[::-1])) is None
    state = store.resume(TWO)
    assert state is not None
    resumed = Trainer(TWO.runs)
    resumed.restore(state)
    resumed.advance(10)
    assert same(resumed.history(), train(TWO.runs))
    assert resumed.episodes_done == 4
    store.put(TWO, resumed.history())
    assert list(tmp_path.iterdir()) == [store.path(TWO)]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_state_is_as_good_as_none_and_said_in_one_line(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    store.checkpoint(TWO, Trainer(TWO.runs).state())
    (file,) = tmp_path.iterdir()
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    assert store.resume(TWO) is None
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert str(file) in captured.err


def test_shards_are_gathered_in_order(tmp_path: Path) -> None:
    store = Store(tmp_path)
    shards = [Shard((replace(RUN, seed=seed), replace(RUN, seed=seed + 1))) for seed in (0, 2, 4)]
    for number, shard in enumerate(shards):
        store.put(shard, made_up(2, 2, log_every=2, seed=number))
    history = store.gather([shards[2], shards[0], shards[1]])
    for place, number in enumerate((2, 0, 1)):
        part = history.select([2 * place, 2 * place + 1])
        assert same(part, made_up(2, 2, log_every=2, seed=number))


def test_a_missing_or_damaged_shard_is_reported_and_not_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    store.put(TWO, made_up(2, 2, log_every=2))
    with pytest.raises(InputError) as caught:
        store.gather([TWO, Shard((RUN,))])
    assert str(caught.value).startswith(f"--results {tmp_path}: expected ")
    assert "pwm.sweep" in str(caught.value)
    assert capsys.readouterr().err == ""
    store.path(TWO).write_bytes(b"")
    with pytest.raises(InputError):
        store.gather([TWO])
