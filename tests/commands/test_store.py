"""`python -m pwm.store`: lists and verifies the store, and explains why a shard is missing."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from pwm import store as command
from pwm.core.task import TaskConfig
from pwm.experiments import EXPERIMENTS
from pwm.runs.engines import make_trainer
from pwm.runs.experiment import Experiment
from pwm.runs.inventory import HEADER
from pwm.runs.shards import Shard, plan, planned
from pwm.runs.storage import Store
from pwm.training.config import TrainConfig
from tests.support import sweeps
from tests.support.folders import contents
from tests.support.histories import made_up, session, shard_of
from tests.support.refusals import assert_refused

TINY = replace(sweeps.TINY, axes={"episode_length": (6, 9), **sweeps.TINY.axes})
ONE, TWO = plan(TINY)
FOREIGN = shard_of([TrainConfig(task=TaskConfig(episode_length=6), num_episodes=60)])


@pytest.fixture(autouse=True)
def experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "EXPERIMENTS", {"tiny": TINY})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store that holds the first shard."""
    store = Store(tmp_path / "results")
    put(store, ONE)
    return store


def put(store: Store, shard: Shard) -> None:
    store.put(shard, made_up(len(shard.members), 3), [session(1, 20), session(20, 60)])


def checkpoint(store: Store, shard: Shard) -> None:
    store.checkpoint(shard, make_trainer(shard.runs, "torch").state(), [session(1, 0)])


def said(store: Store, capsys: pytest.CaptureFixture[str], *argv: str, status: int = 0) -> str:
    """Runs the command, checks its status and that the store is unchanged; returns its output."""
    before = contents(store.folder)
    ends = pytest.raises(SystemExit) if argv[0] == "verify" else nullcontext()
    with ends as stop:
        command.main([*argv, "--results", str(store.folder)])
    assert stop is None or stop.value.code == status
    captured = capsys.readouterr()
    assert captured.err == ""
    assert contents(store.folder) == before
    return captured.out


# ls


def test_ls_prints_size_time_and_commit_of_each_shard(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    dirty = {**session(1, 60), "clean": False, "commit": None}
    store.put(FOREIGN, made_up(1, 3), [dirty])
    checkpoint(store, TWO)
    header, *stored, unfinished = said(store, capsys, "ls").splitlines()
    assert header.split() == ["key", "state", "MB", "seconds", "commit", "runs"]
    by_key = {line.split()[0]: line for line in stored}
    assert list(by_key) == sorted([ONE.key[:12], FOREIGN.key[:12]])
    megabytes = f" {store.path(ONE).stat().st_size / 1e6:.2f} "
    for part in ("stored", megabytes, " 3.0 ", " 0123456  ", "tiny (paper), 6 runs"):
        assert part in by_key[ONE.key[:12]]
    for part in ("stored", " 1.5 ", "  unknown  ", "unknown experiment, 1 run"):
        assert part in by_key[FOREIGN.key[:12]]
    assert unfinished.split("  ")[:2] == [TWO.key[:12], "unfinished"]
    starts = [line.index(part) for line, part in ((header, "runs"), (unfinished, "tiny"))]
    assert {*starts, by_key[ONE.key[:12]].index("tiny")} == {starts[0]}


def test_ls_tells_the_sizes_of_an_experiment_apart(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = replace(TINY, base=replace(TINY.base, num_episodes=400))  # a smoke run is shorter
    monkeypatch.setattr(command, "EXPERIMENTS", {"tiny": long})
    for experiment in (long, long.sized("smoke")):
        put(store, next(plan(experiment)))
    lines = said(store, capsys, "ls").splitlines()
    assert sum("tiny (smoke), 6 runs" in line for line in lines) == 1
    assert sum("tiny (paper), 6 runs" in line for line in lines) == 1


def test_ls_names_experiments_that_only_the_provenance_knows(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {**session(1, 60), "experiment": "mine"}
    store.put(FOREIGN, made_up(1, 3), [session(1, 20), own])
    begun = shard_of([replace(FOREIGN.runs[0], seed=9)])
    store.checkpoint(begun, make_trainer(begun.runs, "torch").state(), [own])
    store.put(ONE, made_up(6, 3), [own])  # the same shard as in an experiment of the paper
    out = said(store, capsys, "ls")
    named = {line.split()[0]: line.split("  ")[-1] for line in out.splitlines()[1:]}
    assert named == {
        FOREIGN.key[:12]: "mine, 1 run",
        begun.key[:12]: "mine, 1 run",
        ONE.key[:12]: "tiny (paper), 6 runs",
    }


def test_ls_reports_damage(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.path(ONE).write_bytes(store.path(ONE).read_bytes()[:-1])
    _, line = said(store, capsys, "ls").splitlines()
    assert re.fullmatch(rf"{ONE.key[:12]}  damaged +tiny \(paper\), 6 runs", line)


def test_ls_of_an_empty_folder_prints_the_header_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(Store(tmp_path), capsys, "ls").splitlines() == [HEADER]


# verify


def test_verify_counts_the_shards(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    put(store, FOREIGN)
    checkpoint(store, TWO)
    (store.folder / f".{TWO.key}.npz.abc").write_bytes(b"half")
    (store.folder / f"{TWO.key}.lock").write_text("20\n")
    (store.folder / "slurm").touch()
    assert said(store, capsys, "verify") == "2 stored, 1 unfinished, 0 damaged.\n"


@pytest.mark.parametrize("ending", [".npz", ".json", ".unfinished.npz"])
@pytest.mark.parametrize("damage", ["flipped", "short", "empty", "another's"])
def test_verify_names_every_damaged_file(
    damage: str, ending: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    put(store, TWO)
    for shard in (ONE, TWO):
        checkpoint(store, shard)
    path = store.folder / (ONE.key + ending)
    whole = path.read_bytes()
    path.write_bytes(
        {
            "flipped": whole[:90] + bytes([whole[90] ^ 1]) + whole[91:],
            "short": whole[:-1],
            "empty": b"",
            "another's": (store.folder / (TWO.key + ending)).read_bytes(),
        }[damage]
    )
    out = said(store, capsys, "verify", status=1)
    assert out == f"damaged: {path}\n2 stored, 2 unfinished, 1 damaged.\n"


def test_verify_names_both_damaged_files_of_a_shard(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [store.folder / (ONE.key + ending) for ending in (".npz", ".json")]
    for path in paths:
        path.write_bytes(b"")
    out = said(store, capsys, "verify", status=1)
    assert out == f"damaged: {paths[0]}\ndamaged: {paths[1]}\n1 stored, 0 unfinished, 2 damaged.\n"


@pytest.mark.parametrize("ending", [".npz", ".json"])
def test_verify_names_missing_files(
    ending: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    path = store.folder / (ONE.key + ending)
    path.unlink()
    stored = 1 if ending == ".json" else 0
    out = said(store, capsys, "verify", status=1)
    assert out == f"damaged: {path}\n{stored} stored, 0 unfinished, 1 damaged.\n"


# why


def test_why_says_that_a_shard_is_stored(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    put(store, FOREIGN)
    for shard in (ONE, FOREIGN):
        for key in (shard.key, shard.key[:12], shard.key[:6]):
            out = said(store, capsys, "why", key)
            assert out == f"{shard.key} is stored in {store.folder}, undamaged.\n"


def test_why_names_the_fields_that_differ_from_the_most_similar_shard(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    far = replace(FOREIGN.runs[0], num_episodes=61, log_every=7)
    put(store, shard_of([far]))
    assert said(store, capsys, "why", TWO.key[:8]) == (
        f"{TWO.key} is not stored in {store.folder}: tiny (paper), 6 runs.\n"
        f"The most similar stored shard is {ONE.key[:12]}, which differs in\n"
        "  setting.task.episode_length: 9 here, 6 stored\n"
    )


def test_why_names_members_and_semantics_that_differ(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.path(ONE).unlink()
    fewer = replace(ONE, members=ONE.members[:2])
    monkeypatch.setattr("pwm.runs.shards.SEMANTICS", 0)
    put(store, fewer)
    monkeypatch.undo()
    monkeypatch.setattr(command, "EXPERIMENTS", {"tiny": TINY})
    assert said(store, capsys, "why", ONE.key) == (
        f"{ONE.key} is not stored in {store.folder}: tiny (paper), 6 runs.\n"
        f"The most similar stored shard is {fewer.key[:12]}, which differs in\n"
        "  members.critic_weight: 6 values (2.0, 3.0) here, [2.0, 2.0] stored\n"
        "  members.learning_rate: 6 values (0.005) here, [0.005, 0.005] stored\n"
        "  members.seed: 6 values (0, 1, 2) here, [0, 1] stored\n"
        "  semantics: 1 here, 0 stored\n"
    )


def test_why_says_that_a_shard_is_unfinished_or_in_training(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint(store, TWO)
    out = said(store, capsys, "why", TWO.key)
    assert "It is unfinished; `python -m pwm.sweep` continues it.\n" in out
    with FileLock(store.folder / f"{TWO.key}.lock"):
        out = said(store, capsys, "why", TWO.key)
    assert "It is being trained now.\n" in out
    assert "unfinished" not in out


def test_why_ignores_damaged_shards(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.path(ONE).write_bytes(b"")
    out = said(store, capsys, "why", TWO.key)
    assert out.endswith("Nothing undamaged is stored there.\n")


def test_why_asks_for_a_longer_key_if_several_shards_begin_with_it(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    many = replace(TINY, axes={"log_every": range(1, 60)})
    monkeypatch.setattr(command, "EXPERIMENTS", {"many": many})
    key = next(plan(many)).key
    assert_refused(
        command.main,
        ["why", key[:1], "--results", str(store.folder)],
        capsys,
        f"KEY {key[:1]}: ",
        "several begin",
    )
    assert key in said(store, capsys, "why", key)


def test_why_explains_shards_of_a_grid_of_ones_own(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = tmp_path / "mine.py"
    grid.write_text(
        "from pwm.runs.experiment import Experiment\n"
        "mine = Experiment(name='mine', axes={'seed': (77,)})\n"
    )
    (shard,) = plan(Experiment(name="mine", axes={"seed": (77,)}))
    out = said(store, capsys, "why", shard.key[:8], "--grid", str(grid))
    assert out.startswith(f"{shard.key} is not stored in {store.folder}: mine (paper), 1 run.\n")


def test_every_key_of_the_paper_is_told_apart_by_8_characters() -> None:
    keys = {shard.key for shard in planned(EXPERIMENTS.values())}
    assert len({key[:8] for key in keys}) == len(keys)


# Bad input


@pytest.mark.parametrize(
    ("argv", "mentioned"),
    [
        (["why"], ["KEY (none): expected the key of a shard"]),
        (["why", "0123"], ["KEY 0123: expected the key of a shard", "--dry-run --keys"]),
        (["ls", "abc"], ["KEY abc: expected no key with ls"]),
        (["verify", "abc"], ["KEY abc: expected no key with verify"]),
        (["why", "0123", "--grid", "none.py"], ["--grid none.py: expected a Python file"]),
        (["list"], ["list"]),
        ([], ["ls"]),
    ],
)
def test_bad_arguments_are_one_line(
    argv: list[str], mentioned: list[str], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(command.main, [*argv, "--results", str(store.folder)], capsys, *mentioned)


def test_why_of_a_damaged_shard_is_one_line(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store.path(ONE).write_bytes(b"")
    assert_refused(
        command.main,
        ["why", ONE.key, "--results", str(store.folder)],
        capsys,
        f"error: {store.path(ONE)}: expected an undamaged file",
    )


@pytest.mark.parametrize("place", ["none", "file", "file/below", "a" * 300])
@pytest.mark.parametrize("action", ["ls", "verify", "why"])
def test_a_bad_folder_is_one_line(
    action: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    key = [ONE.key] if action == "why" else []
    mentioned = f"--results {tmp_path / place}: expected a folder"
    assert_refused(
        command.main, [action, *key, "--results", str(tmp_path / place)], capsys, mentioned
    )
    assert contents(tmp_path) == {"file": b""}


@pytest.mark.parametrize("files", [[], ["notes"], ["slurm"]])
def test_there_must_be_something_to_verify(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in files:
        (tmp_path / name).touch()
    mentioned = f"error: --results {tmp_path}: expected ", "nothing to verify"
    assert_refused(command.main, ["verify", "--results", str(tmp_path)], capsys, *mentioned)


@pytest.mark.parametrize(
    ("commit", "clean", "shown"),
    [(None, None, "unknown"), (None, False, "unknown"), ("a" * 40, None, "a" * 7),
     ("a" * 40, False, "a" * 7 + "+changes")],
)  # fmt: skip
def test_ls_tells_unknown_from_changed(
    commit: str | None,
    clean: bool | None,
    shown: str,
    store: Store,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store.put(FOREIGN, made_up(1, 3), [{**session(1, 60), "clean": clean, "commit": commit}])
    assert f" {shown:15}  unknown experiment" in said(store, capsys, "ls")
