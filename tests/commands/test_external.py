"""Training of other people's agents: each run as the grid says, once, and none lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecNormalize

from pwm.analysis.external import ExternalOutcome, ExternalRun, as_text, read_outcomes
from pwm.core.errors import FileError
from pwm.core.task import TaskConfig
from pwm.envs import PWMEnv
from pwm.external import __main__ as command
from pwm.external.__main__ import main
from pwm.external.agents import GRID, SETTINGS, SharedTrunk, UntilLearned, build, train
from pwm.external.vector import VecCentre
from pwm.io.files import write_atomically

KINDS = list({replace(run, vf_coef=0.5, seed=0): None for run in GRID})
RUN = KINDS[0]
OUTCOME = ExternalOutcome(run=RUN, num_episodes=8000, reward=0.98, time=inf, torch="2.0")
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
    # The values have gradients to the policy's network if it is shared, and only then.
    policy = model.policy
    observations, _ = policy.obs_to_tensor(model.get_env().reset())
    if run.agent == "A2C":
        policy.predict_values(observations).sum().backward()
        reached = {name for name, each in policy.named_parameters() if each.grad is not None}
        assert any("features_extractor" in name for name in reached) == (run.network == "shared")
        assert not any("policy" in name or "action" in name for name in reached)


def test_runs_have_environments_of_their_own() -> None:
    """They play step for step as many `PWMEnv`, each with a seed that no other run has."""
    for seed in (0, 1):
        model, _ = build(replace(RUN, seed=seed))
        envs = model.get_env()
        assert envs is not None
        single = [PWMEnv(stimulus_set="pwm5", episode_length=RUN.episode_length) for _ in range(32)]
        seen: Any = envs.reset()
        expected = [env.reset(seed=32 * seed + i)[0] for i, env in enumerate(single)]
        random = np.random.default_rng(0)
        for _ in range(RUN.episode_length + 4):
            assert np.array_equal(seen[:, -5:], expected)  # the last of three
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


def test_outcomes_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "external.csv"
    assert read_outcomes(path) == []
    others = [replace(OUTCOME, run=run, time=700.0) for run in KINDS[1:]]
    path.write_text(as_text([*others, OUTCOME], FIRST_LINE))
    assert set(read_outcomes(path, FIRST_LINE)) == {OUTCOME, *others}
    with pytest.raises(FileError, match=r"expected a file that begins: # some_library 1\.1"):
        read_outcomes(path, "# some_library 1.1")
    path.write_text(f"{FIRST_LINE}\nagent,seed\nA2C,0\n")
    with pytest.raises(FileError, match="expected columns agent, network"):
        read_outcomes(path)


def test_the_command_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(run: ExternalRun, num_episodes: int) -> ExternalOutcome:
        trained.add(run)
        return replace(OUTCOME, run=run, num_episodes=num_episodes)

    def write(path: Path, content: bytes) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(content)
        write_atomically(path, content)

    trained: set[ExternalRun] = set()
    written: list[bytes] = []
    monkeypatch.setattr(command, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    monkeypatch.setattr(command, "train", pretend)
    path = tmp_path / "external.csv"
    flags = ["--size", "smoke", "--out", str(path)]
    with monkeypatch.context() as patch:
        patch.setattr(command, "write_atomically", write)
        with pytest.raises(SystemExit, match="130"):
            main(flags)
    kept = {outcome.run for outcome in read_outcomes(path)}
    assert len(kept) == 2
    trained.clear()
    main(flags)
    assert trained == set(KINDS) - kept
    assert {outcome.run for outcome in read_outcomes(path)} == set(KINDS)
    assert {outcome.num_episodes for outcome in read_outcomes(path)} == {32}
    trained.clear()
    main(flags)
    assert trained == set()


def test_every_part_of_the_grid_has_a_setting() -> None:
    assert {(run.agent, run.episode_length) for run in GRID} <= set(SETTINGS)
