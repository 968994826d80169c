"""Training of other people's agents: each run as in the grid, once, and none lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from errno import ENOSPC
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecNormalize

from pwm.analysis.external import (
    AGENT_FILE,
    LOOP_FILE,
    ExternalOutcome,
    ExternalRun,
    LoopOutcome,
    LoopRun,
    Loops,
    as_text,
    read_outcomes,
    times_by_setting,
)
from pwm.analysis.external_predictions import agent_statements, loop_statements
from pwm.core.task import TaskConfig
from pwm.envs import PWMEnv
from pwm.external import __main__ as command
from pwm.external.__main__ import main
from pwm.external.agents import GRID, NUM_EPISODES, SharedTrunk, UntilLearned, build, train
from pwm.external.loops import LOOPS, runs_of
from pwm.external.vector import VecCentre, VecPWM
from pwm.io.errors import FileError
from pwm.io.files import write_atomically
from pwm.io.repository import REPOSITORY, published
from tests.support.refusals import assert_refused
from tests.tools.external_page import page_tables

KINDS = list({replace(run, vf_coef=0.5, seed=0): None for run in GRID})
RUN = KINDS[0]
OUTCOME = ExternalOutcome(run=RUN, num_episodes=8000, reward=0.98, time=inf, torch="2.0")
LOOP = LoopOutcome(
    run=runs_of("tutorial", [0])[0],
    num_updates=600,
    num_episodes=600,
    length=20.0,
    time=inf,
    error=0.5,
    entropy=0.6,
    bias=1.5,
    bootstrap=0.0,
    torch="2.0",
)
FIRST_LINE = "# some_library 1.0"


def test_no_two_runs_of_the_grid_are_one_and_a_seed_is_complete_before_the_next() -> None:
    assert len(set(GRID)) == len(GRID)
    seeds = [run.seed for run in GRID]
    assert seeds == sorted(seeds)
    assert len({seeds.count(seed) for seed in seeds}) == 1


@pytest.mark.parametrize("run", KINDS, ids=lambda run: "-".join(map(str, asdict(run).values())))
def test_an_agent_is_built_as_the_grid_says(run: ExternalRun) -> None:
    model: Any
    model, envs = build(run)
    assert type(model).__name__ == run.agent
    assert (model.vf_coef, model.max_grad_norm) == (run.vf_coef, run.max_grad_norm)
    assert (model.gamma, model.gae_lambda, model.n_steps) == (1.0, 1.0, run.episode_length)
    wrapped, kinds = model.get_env(), set()
    while hasattr(wrapped, "venv"):
        kinds.add(type(wrapped))
        wrapped = wrapped.venv
    assert wrapped is envs
    assert (VecNormalize in kinds) == (run.returns == "normalised")
    assert (VecCentre in kinds) == (run.returns == "centred")
    assert isinstance(model.policy.features_extractor, SharedTrunk) == (run.network == "shared")
    # Gradients of values reach the shared trunk, if there is one, but not the policy's own layers.
    policy = model.policy
    observations, _ = policy.obs_to_tensor(model.get_env().reset())
    if run.agent == "A2C":
        policy.predict_values(observations).sum().backward()
        reached = {name for name, each in policy.named_parameters() if each.grad is not None}
        assert any("features_extractor" in name for name in reached) == (run.network == "shared")
        assert not any("policy" in name or "action" in name for name in reached)


def test_runs_have_environments_of_their_own() -> None:
    """They match separate `PWMEnv`s step for step, with seeds that no other run has."""
    for seed in (0, 1):
        model, _ = build(replace(RUN, seed=seed))
        envs = model.get_env()
        assert envs is not None
        single = [PWMEnv(stimulus_set="pwm5", episode_length=RUN.episode_length) for _ in range(32)]
        seen: Any = envs.reset()
        expected = [env.reset(seed=32 * seed + i)[0] for i, env in enumerate(single)]
        random = np.random.default_rng(0)
        for _ in range(RUN.episode_length + 4):
            assert np.array_equal(seen[:, -5:], expected)  # the latest of three
            actions = random.integers(3, size=32)
            steps = [env.step(action) for env, action in zip(single, actions, strict=True)]
            seen, rewards, dones, infos = envs.step(actions)
            assert [float(each) for each in rewards] == [step[1] for step in steps]
            assert dones.tolist() == [step[2] for step in steps]
            if dones.all():
                lasts = [info["terminal_observation"][-5:] for info in infos]
                assert np.array_equal(lasts, [step[0] for step in steps])
                expected = [env.reset()[0] for env in single]
            else:
                expected = [step[0] for step in steps]


def test_a_run_is_trained_and_repeats_itself() -> None:
    outcome = train(RUN, 64)
    assert outcome == train(RUN, 64)
    assert (outcome.run, outcome.num_episodes, outcome.time) == (RUN, 64, inf)
    assert 0 < outcome.reward < 0.625


def test_a_run_ends_when_500_episodes_in_a_row_met_the_criterion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rewarded: list[float] = []
    watch = UntilLearned(TaskConfig(episode_length=60), rewarded)
    while watch._on_step():
        rewarded.extend([0.4 if len(rewarded) < 256 else 0.9] * 32)
        watch._on_rollout_end()
    # With n of the last 500 episodes at 0.9, the mean exceeds 0.6444 from n = 245 on.
    assert watch.time == len(rewarded) == 256 + 256
    monkeypatch.setattr("pwm.external.agents.reward_to_learn", lambda *_: 0.0)
    outcome = train(RUN, 640)
    assert (outcome.num_episodes, outcome.time) == (512, 512)


def test_centring_subtracts_the_mean_of_the_episodes_before() -> None:
    model, base = build(replace(RUN, agent="A2C", returns="centred"))
    envs = model.get_env()
    assert envs is not None
    envs.reset()
    centred = [envs.step(np.full(32, 2))[1] for _ in range(2 * RUN.episode_length)]
    first, second = np.split(np.array(centred), 2)
    num_trials = RUN.episode_length // 3
    returns = np.array(base.rewarded).reshape(2, 32) * num_trials
    assert np.allclose(first.sum(axis=0), returns[0])
    assert np.allclose(returns[1] - second.sum(axis=0), returns[0].mean(), atol=1e-4)


def test_a_reset_drops_the_rewards_of_unfinished_episodes() -> None:
    def play(envs: VecCentre, num_steps: int) -> list[Any]:
        envs.seed(0)
        envs.reset()
        return [envs.step(np.full(32, 2))[1] for _ in range(num_steps)]

    bases = [VecPWM(32, episode_length=15) for _ in range(2)]
    one, other = (VecCentre(base) for base in bases)
    play(one, 7)
    assert np.array_equal(play(one, 20), play(other, 20))
    assert bases[0].rewarded == bases[1].rewarded


def test_outcomes_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "external.csv"
    with pytest.raises(FileError, match="expected a file with a line of versions"):
        read_outcomes(path, ExternalOutcome)
    others = [replace(OUTCOME, run=run, time=700.0) for run in KINDS[1:]]
    path.write_text(as_text([*others, OUTCOME], FIRST_LINE))
    assert set(read_outcomes(path, ExternalOutcome, FIRST_LINE)) == {OUTCOME, *others}
    with pytest.raises(FileError, match=r"with the first line: # some_library 1\.1"):
        read_outcomes(path, ExternalOutcome, "# some_library 1.1")
    with pytest.raises(FileError, match="expected columns loop, baseline"):
        read_outcomes(path, LoopOutcome)
    path.write_text(f"{FIRST_LINE}\nagent,seed\nA2C,0\n")
    with pytest.raises(FileError, match="expected columns agent, network"):
        read_outcomes(path, ExternalOutcome)
    whole = as_text([OUTCOME], FIRST_LINE).rstrip()
    for cut in (FIRST_LINE, whole.rpartition(",")[0]):  # without rows, and within the last row
        path.write_text(cut)
        with pytest.raises(FileError, match="expected columns agent, network"):
            read_outcomes(path, ExternalOutcome)
    for damaged in (b"", b"\xff\n"):
        path.write_bytes(damaged)
        with pytest.raises(FileError, match="expected a file with a line of versions"):
            read_outcomes(path, ExternalOutcome)
    path.write_text(as_text([LOOP], FIRST_LINE))
    assert read_outcomes(path, LoopOutcome) == [LOOP]


def test_the_command_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train_one(run: ExternalRun, num_episodes: int) -> ExternalOutcome:
        trained.append(run)
        return replace(OUTCOME, run=run, num_episodes=num_episodes)

    def train_all(runs: list[LoopRun], num_updates: int) -> list[LoopOutcome]:
        trained.extend(runs)
        return [replace(LOOP, run=run, num_updates=num_updates) for run in runs]

    def write(path: Path, content: bytes) -> None:
        if len(written) == 6:
            raise KeyboardInterrupt
        written.append(content)
        write_atomically(path, content)

    def kept() -> set[ExternalRun | LoopRun]:
        found = read_outcomes(tmp_path / AGENT_FILE, ExternalOutcome)
        of_loops = read_outcomes(tmp_path / LOOP_FILE, LoopOutcome)
        return {*(each.run for each in found), *(each.run for each in of_loops)}

    trained: list[ExternalRun | LoopRun] = []
    written: list[bytes] = []
    monkeypatch.setattr(command, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    monkeypatch.setattr(command, "train", train_one)
    monkeypatch.setattr(command, "train_loop", train_all)
    flags = ["--size", "smoke", "--out", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(command, "write_atomically", write)
        with pytest.raises(SystemExit, match="130"):
            main(flags)
    everything = {*KINDS, *(run for loop in LOOPS for run in runs_of(loop, [0]))}
    before = kept()
    assert KINDS[0] in before < everything
    trained.clear()
    main(flags)
    assert set(trained) == everything - before
    assert len(trained) == len(set(trained))
    assert kept() == everything
    for name, head in ((AGENT_FILE, command.AGENT_VERSIONS), (LOOP_FILE, command.LOOP_VERSIONS)):
        assert (tmp_path / name).read_text("utf-8").startswith(head + command.SMOKE + "\n")
    trained.clear()
    main(flags)
    assert trained == []


def test_a_folder_that_cannot_be_written_is_refused_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(command, "ProcessPoolExecutor")
    place = tmp_path / "a file"
    place.write_bytes(b"a file")
    flags = ["--size", "smoke", "--out", str(place)]
    assert_refused(main, flags, capsys, f"--out {place}: expected")


def test_a_disk_that_fills_while_training_ends_it_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _content: bytes) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(command, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    monkeypatch.setattr(command, "train", lambda run, _: replace(OUTCOME, run=run))
    monkeypatch.setattr(
        command, "train_loop", lambda runs, _: [replace(LOOP, run=run) for run in runs]
    )
    monkeypatch.setattr(command, "write_atomically", full)
    with pytest.raises(SystemExit, match="2"):
        main(["--size", "smoke", "--out", str(tmp_path)])
    *_, last = capsys.readouterr().err.splitlines()  # below the progress bar
    assert last.startswith(f"error: --out {tmp_path}: expected")
    assert "No space left on device" in last


def test_smoke_runs_are_never_put_among_the_published_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = command.AGENT_VERSIONS + command.SMOKE
    (tmp_path / AGENT_FILE).write_text(as_text([OUTCOME], head), "utf-8")
    accepted = f"expected a file with the first line: {command.AGENT_VERSIONS}"
    assert_refused(main, ["--out", str(tmp_path)], capsys, str(tmp_path / AGENT_FILE), accepted)
    folder = command.Arguments(size="smoke").folder
    assert published(AGENT_FILE).parent not in (folder, *folder.resolve().parents)
    assert command.Arguments().folder == published(AGENT_FILE).parent


def test_the_published_outcomes_are_those_of_the_grids() -> None:
    published_agents = read_outcomes(published(AGENT_FILE), ExternalOutcome)
    assert sorted(each.run for each in published_agents) == sorted(GRID)
    published_loops = read_outcomes(published(LOOP_FILE), LoopOutcome)
    expected = sorted(run for loop in LOOPS for run in runs_of(loop))
    assert sorted(each.run for each in published_loops) == expected


def test_the_page_has_the_tables_of_the_outcomes() -> None:
    page = (REPOSITORY / "docs" / "external.md").read_text().splitlines()
    assert [row for row in page_tables() if row not in page] == []


def test_verdicts_on_agents_follow_the_outcomes() -> None:
    found = read_outcomes(published(AGENT_FILE), ExternalOutcome)
    faster = [replace(each, time=100.0) if each.run.vf_coef == 50 else each for each in found]
    judged = {each.name: each.right for each in agent_statements(times_by_setting(faster))}
    wrong = {name for name, right in judged.items() if not right}
    assert wrong == {"without-clipping", "clipping"}
    lighter = [replace(each, time=inf) if each.run.vf_coef == 0.05 else each for each in found]
    judged = {each.name: each.right for each in agent_statements(times_by_setting(lighter))}
    assert {name for name, right in judged.items() if not right} == {"upper-edge"}


def loop_outcome(run: LoopRun) -> LoopOutcome:
    """Outcome of a run, made up as predicted."""
    attached, light = run.baseline == "attached", run.weight < 0.5
    slow = {"tutorial": inf if light else 1.5 if run.weight == 1 else 1, "a3c": 1.5}
    slow["a3c-textbook"] = 3.0 if light else 1.0
    climb = 2.0 if run.loop == "a3c-textbook" and run.weight == 10 else 1.0
    bias = 0.6 / run.weight
    errors = {"tutorial": min(bias, 0.99), "a3c": 0.2, "a3c-textbook": bias}
    return replace(
        LOOP,
        run=run,
        time=100.0 * climb * (slow.get(run.loop, 1.0) if attached else 1.0),
        error=errors.get(run.loop, 0.0) if attached else 0.0,
        bias=bias / 0.05 if attached else 0.0,
        bootstrap=0.95,
    )


def test_verdicts_on_loops_follow_the_outcomes() -> None:
    runs = [run for loop in LOOPS for run in runs_of(loop, range(3))]
    predicted = [loop_outcome(run) for run in runs]
    assert all(each.right for each in loop_statements(Loops(predicted)))
    nothing_changes = [
        replace(loop_outcome(replace(run, baseline="detached")), run=run) for run in runs
    ]
    judged = {each.name: each.right for each in loop_statements(Loops(nothing_changes))}
    assert {name for name, right in judged.items() if right} == {
        *("tutorial-heavy", "tutorial-no-upper-edge", "reinforce-bias", "reinforce-slowdown"),
        *("textbook-heavy", "textbook-upper-edge"),
    }


def test_every_agent_of_the_grid_has_a_number_of_episodes() -> None:
    assert {run.agent for run in GRID} == set(NUM_EPISODES)
