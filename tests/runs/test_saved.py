"""Saved runs: loaded, played, probed and extended; and folders that hold none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pwm.core.agent import AgentConfig
from pwm.core.errors import InputError
from pwm.core.task import TaskConfig
from pwm.io.errors import FileError
from pwm.runs.engines import EngineName, make_trainer
from pwm.runs.folders import (
    CONFIG,
    CURVES,
    FILES,
    HISTORY,
    PROVENANCE,
    STATE_FILE,
    save,
    save_configs,
)
from pwm.runs.saved import SavedRun, load_run, unfinished_run
from pwm.training.config import OptimizerName, TrainConfig
from pwm.training.draws import DrawSource
from pwm.training.history import AGENT_DIAGNOSTICS, DIAGNOSTICS
from pwm.training.loss_config import LossConfig
from pwm.training.parameters import Layout
from tests.support.histories import same
from tests.support.training import trained

RUN = TrainConfig(
    task=TaskConfig(episode_length=12), agent=AgentConfig(hidden_size=5), num_episodes=7,
    log_every=3,
)  # fmt: skip
RUNS = (RUN, replace(RUN, seed=4), replace(RUN, critic_weight=1.0))


def saved(folder: Path, runs: tuple[TrainConfig, ...] = RUNS, engine: EngineName = "fused") -> Path:
    """Trains runs to the end and saves them in a folder, which it returns."""
    save_configs(folder, runs)
    save(folder, trained(runs, engine), {"engine": engine})
    return folder


def test_a_run_is_loaded_as_it_was_trained(tmp_path: Path, engine: EngineName) -> None:
    run = load_run(saved(tmp_path, engine=engine))
    trainer = trained(RUNS, engine)
    assert (run.configs, run.engine, run.episodes_done) == (RUNS, engine, 7)
    assert run.history.episode.tolist() == [3, 6, 7]
    assert same(run.history, trainer.history())
    layout = Layout(RUN.agent, RUN.task.num_stimuli)
    named = layout.named(trainer.parameters.detach())
    assert run.parameters.keys() == named.keys()
    assert all(torch.equal(run.parameters[name], named[name]) for name in named)


@pytest.mark.parametrize(
    "probes", [{}, {"probe_episodes": 2}, {"probe_episodes": 2, "probe_at": (0, 2, 7)}]
)
@pytest.mark.parametrize("log_every", [3, 20])
def test_a_run_is_continued_bit_for_bit(
    log_every: int, probes: dict[str, Any], tmp_path: Path, engine: EngineName
) -> None:
    runs = tuple(replace(run, log_every=log_every, **probes) for run in RUNS)
    trainer = load_run(saved(tmp_path, runs, engine)).trainer(16)
    trainer.advance(16)
    undisturbed = trained([replace(run, num_episodes=16) for run in runs], engine)
    assert same(trainer.history(), undisturbed.history())
    ours, theirs = trainer.state(), undisturbed.state()
    assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_another_optimisers_run_is_continued_bit_for_bit(
    optimizer: OptimizerName, tmp_path: Path, engine: EngineName
) -> None:
    run = replace(RUN, optimizer=optimizer, episodes_per_update=4, num_episodes=8)
    continued = load_run(saved(tmp_path, (run,), engine))
    trainer = continued.trainer(16)
    trainer.advance(16)
    undisturbed = trained([replace(run, num_episodes=16)], engine)
    assert same(trainer.history(), undisturbed.history())
    ours, theirs = trainer.state(), undisturbed.state()
    assert ours.keys() == theirs.keys()
    assert all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)
    with pytest.raises(InputError, match="--num-episodes 15: expected a multiple of the 4"):
        continued.trainer(15)


@pytest.mark.parametrize("num_episodes", [0, 6, 7])
def test_a_run_is_not_continued_to_where_it_is(num_episodes: int, tmp_path: Path) -> None:
    run = load_run(saved(tmp_path))
    with pytest.raises(InputError, match=f"--num-episodes {num_episodes}: expected more than"):
        run.trainer(num_episodes)


def test_playing_uses_fresh_trials_and_the_trained_parameters(tmp_path: Path) -> None:
    run = load_run(saved(tmp_path))
    episode = run.play(seed=4)
    assert episode.actions.shape == episode.rewards.shape == episode.values.shape == (3, 4, 3)
    assert not episode.log_probs.requires_grad
    assert torch.equal(episode.trials[0], episode.trials[2])  # the same for every replica
    trials, _ = DrawSource(RUN.task, (4,)).next(1)
    assert not torch.equal(episode.trials[1], trials[0, 0])  # not those of training
    assert torch.equal(episode.values, run.play(seed=4).values)
    assert not torch.equal(episode.trials, run.play(seed=5).trials)

    untrained = load_run(
        saved(tmp_path / "one", tuple(replace(run, num_episodes=1) for run in RUNS))
    )
    assert torch.equal(untrained.play(4).trials, episode.trials)
    assert not torch.equal(untrained.play(4).values, episode.values)


def test_probing_diagnoses_the_trained_parameters(tmp_path: Path, engine: EngineName) -> None:
    run = load_run(saved(tmp_path, engine=engine))
    found = run.probe(3, seed=9)
    assert tuple(found) == DIAGNOSTICS + AGENT_DIAGNOSTICS
    trainer = trained(RUNS, engine)
    draws = DrawSource(RUN.task, (9, 9, 9), of_probes=True).next(3)
    assert np.array_equal(np.stack([*found.values()]), trainer.probe(draws), equal_nan=True)
    other = run.probe(3, seed=8)
    assert not np.array_equal(found["policy_norm"], other["policy_norm"])


REFUSED: list[tuple[Callable[[SavedRun], object], str]] = [
    (lambda run: run.play(seed=-1), "--seed -1"),
    (lambda run: run.play(seed=1.5), "--seed 1.5"),  # type: ignore[arg-type]
    (lambda run: run.probe(1), "--num-episodes 1"),
    (lambda run: run.probe(8, seed=-2), "--seed -2"),
]


@pytest.mark.parametrize(("use", "named"), REFUSED, ids=[named for _, named in REFUSED])
def test_bad_arguments_are_named(
    use: Callable[[SavedRun], object], named: str, tmp_path: Path
) -> None:
    run = load_run(saved(tmp_path))
    with pytest.raises(InputError, match=named):
        use(run)


def test_a_run_that_loses_gradients_is_not_probed(tmp_path: Path) -> None:
    lossy = replace(RUN, loss=LossConfig(lost_gradients="values"))
    run = load_run(saved(tmp_path, (lossy,)))
    assert run.play().values.shape == (1, 4, 3)
    with pytest.raises(InputError, match=f"^{tmp_path}: expected a run that loses no gradients"):
        run.probe(4)


# The same command again


def test_a_stopped_run_of_the_same_configurations_and_engine_is_continued(tmp_path: Path) -> None:
    def found(runs: tuple[TrainConfig, ...], engine: EngineName = "fused") -> int | None:
        run = unfinished_run("out", tmp_path, runs, engine)
        return run.episodes_done if run else None

    longer = tuple(replace(run, num_episodes=9) for run in RUNS)
    assert found(longer) is None
    save_configs(tmp_path, longer)
    assert found(longer) is found(RUNS) is None  # killed before its first save
    saved(tmp_path)  # 7 episodes
    save_configs(tmp_path, longer)
    (tmp_path / CURVES).write_bytes(b"curves")
    assert found(longer) == 7
    for others in (RUNS, longer[:2], longer[::-1], tuple(replace(run, seed=9) for run in longer)):
        with pytest.raises(InputError, match=r"--out .*: expected a folder that holds no run yet"):
            found(others)
    with pytest.raises(InputError, match="holds no run yet"):
        found(longer, "torch")


def test_a_run_is_finished_when_its_curves_are_drawn(tmp_path: Path) -> None:
    run = load_run(saved(tmp_path))
    assert [run.continues_to(num_episodes) for num_episodes in (6, 7, 8)] == [False, True, True]
    assert unfinished_run("out", tmp_path, RUNS, "fused") is not None
    (tmp_path / CURVES).write_bytes(b"curves")
    assert [run.continues_to(num_episodes) for num_episodes in (6, 7, 8)] == [False, False, True]
    with pytest.raises(InputError, match="holds no run yet"):
        unfinished_run("out", tmp_path, RUNS, "fused")


@pytest.mark.parametrize("file", FILES)
def test_a_folder_with_any_file_of_a_run_holds_one(file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text("an earlier run")
    with pytest.raises(InputError, match=rf"holds no run yet \(there is {file}\)"):
        unfinished_run("out", tmp_path, RUNS, "fused")


def test_a_folder_with_configurations_alone_holds_no_run(tmp_path: Path) -> None:
    assert unfinished_run("out", tmp_path / "none", RUNS, "fused") is None
    save_configs(tmp_path, RUNS)
    assert unfinished_run("out", tmp_path, RUNS[:1], "fused") is None
    (tmp_path / PROVENANCE).write_text("{}")  # killed during its first save
    assert unfinished_run("out", tmp_path, RUNS[:1], "fused") is None
    (tmp_path / HISTORY).write_text("history")
    with pytest.raises(InputError, match="there is config"):
        unfinished_run("out", tmp_path, RUNS[:1], "fused")


def test_a_stopped_run_with_a_damaged_state_is_not_overwritten(tmp_path: Path) -> None:
    shortened(saved(tmp_path) / STATE_FILE)
    with pytest.raises(FileError, match=rf"{STATE_FILE}: expected an undamaged file"):
        unfinished_run("out", tmp_path, RUNS, "fused")


# Damage


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="none: expected a folder with a run"):
        load_run(tmp_path / "none")
    save_configs(tmp_path, RUNS)
    with pytest.raises(FileError, match=f"expected a folder with a run: {CONFIG} and {STATE_FILE}"):
        load_run(str(tmp_path))


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def of_fewer_runs(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text())[:2]))


def of_others(**values: object) -> Callable[[Path], None]:
    """Returns a function that changes some fields of all configurations in a file."""

    def damage(path: Path) -> None:
        entries = json.loads(path.read_text())
        path.write_text(json.dumps([entry | values for entry in entries]))

    return damage


DAMAGED: list[tuple[str, Callable[[Path], object], str]] = [
    (CONFIG, shortened, CONFIG),
    (CONFIG, lambda path: path.write_text("[]"), CONFIG),
    (CONFIG, lambda path: path.write_text("3"), CONFIG),
    (CONFIG, lambda path: path.write_text('[{"critic_weight": -1}]'), CONFIG),
    (CONFIG, lambda path: path.write_text('[{"weight": 1}]'), CONFIG),
    (CONFIG, of_fewer_runs, STATE_FILE),
    (CONFIG, of_others(agent={"hidden_size": 24}), STATE_FILE),
    (CONFIG, of_others(log_every=1), STATE_FILE),
    (CONFIG, of_others(optimizer="adam"), STATE_FILE),
    (CONFIG, of_others(num_episodes=8, episodes_per_update=2), STATE_FILE),  # 7 were trained
    (STATE_FILE, shortened, STATE_FILE),
    (PROVENANCE, shortened, PROVENANCE),
    (PROVENANCE, Path.unlink, PROVENANCE),
    (PROVENANCE, lambda path: path.write_text("{}"), PROVENANCE),
    (PROVENANCE, lambda path: path.write_text('{"engine": "jax"}'), PROVENANCE),
]


@pytest.mark.parametrize(("file", "damage", "named"), DAMAGED)
def test_damage_is_one_line_that_names_the_file(
    file: str, damage: Callable[[Path], object], named: str, tmp_path: Path
) -> None:
    damage(saved(tmp_path) / file)
    with pytest.raises(FileError) as refusal:
        load_run(tmp_path)
    assert str(refusal.value).startswith(f"{tmp_path / named}: expected ")
    assert "\n" not in str(refusal.value)


def test_a_run_killed_before_its_history_was_written_is_whole(tmp_path: Path) -> None:
    (saved(tmp_path) / HISTORY).unlink()
    assert same(load_run(tmp_path).history, trained(RUNS).history())


@pytest.mark.parametrize("killed", [PROVENANCE, STATE_FILE, HISTORY])
def test_whichever_file_a_kill_falls_on_the_state_is_as_far_as_the_history(
    killed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path)
    longer = load_run(tmp_path).trainer(12)
    longer.advance(5)
    replace_file = Path.replace

    def dying(aside: Path, target: Path) -> Path:
        if target.name == killed:
            raise KeyboardInterrupt
        return replace_file(aside, target)

    save_configs(tmp_path, longer.runs)
    monkeypatch.setattr(Path, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, longer, {"engine": "fused"})
    monkeypatch.undo()
    run = load_run(tmp_path)
    assert run.episodes_done == (12 if killed == HISTORY else 7)
    if killed != HISTORY:
        longer = run.trainer(12)
        longer.advance(5)
    whole = trained([replace(run, num_episodes=12) for run in RUNS])
    assert same(longer.history(), whole.history())


def test_a_trainer_of_another_engine_is_not_mixed_in(tmp_path: Path) -> None:
    run = load_run(saved(tmp_path, engine="torch"))
    assert type(run.trainer(9).engine) is type(make_trainer(RUNS, "torch").engine)
