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

from pwm import external
from pwm.analysis.external import ExternalOutcome, ExternalRun, as_text, read_outcomes
from pwm.core.errors import FileError
from pwm.core.task import TaskConfig
from pwm.external import GRID, SETTINGS, SharedTrunk, VecCentre, build, main, time_to_learn, train
from pwm.io.files import write_atomically

KINDS = list({replace(run, vf_coef=0.5, seed=0): None for run in GRID})
RUN = KINDS[0]
OUTCOME = ExternalOutcome(run=RUN, num_episodes=8000, reward=0.98, time=inf)
FIRST_LINE = "# some_library 1.0"


def test_no_two_runs_of_the_grid_are_one() -> None:
    assert len(set(GRID)) == len(GRID)


@pytest.mark.parametrize("run", KINDS, ids=lambda run: "-".join(map(str, asdict(run).values())))
def test_an_agent_is_built_as_the_grid_says(run: ExternalRun) -> None:
    model: Any = build(run)
    assert type(model).__name__ == run.agent
    assert (model.vf_coef, model.max_grad_norm) == (run.vf_coef, run.max_grad_norm)
    assert (model.gamma, model.gae_lambda, model.n_steps) == (1.0, 1.0, run.episode_length)
    wrapped, kinds = model.get_env(), set()
    while hasattr(wrapped, "venv"):
        kinds.add(type(wrapped))
        wrapped = wrapped.venv
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
    task = {"stimulus_set": "pwm5", "episode_length": RUN.episode_length}
    one: Any
    other: Any
    one, other = (build(replace(RUN, seed=seed)).get_env() for seed in (0, 1))
    first, second = one.reset(), other.reset()
    seeds = [[env.np_random_seed for env in each.get_attr("unwrapped")] for each in (one, other)]
    assert seeds == [[*range(8)], [*range(8, 16)]]
    assert one.get_attr("task") == [TaskConfig(**task)] * 8  # type: ignore[arg-type]
    assert not np.array_equal(first, second)


def test_a_run_is_trained_and_repeats_itself() -> None:
    outcome = train(RUN, 16)
    assert outcome == train(RUN, 16)
    assert (outcome.run, outcome.num_episodes, outcome.time) == (RUN, 16, inf)
    assert 0 < outcome.reward < 0.625


def test_centring_subtracts_the_mean_of_the_episodes_before() -> None:
    envs = build(replace(RUN, agent="A2C", returns="centred")).get_env()
    assert envs is not None
    envs.reset()
    raw, centred = [], []
    for _ in range(2 * RUN.episode_length):
        _, rewards, _, infos = envs.step(np.full(8, 2))
        centred.append(rewards)
        raw.append([info.get("episode", {}).get("r") for info in infos])
    first, second = np.split(np.array(centred), 2)
    returns = np.array(raw[RUN.episode_length - 1], float)  # of the first episodes
    assert np.allclose(first.sum(axis=0), returns)
    ends = np.array(raw[-1], float) - second.sum(axis=0)
    assert np.allclose(ends, returns.mean(), atol=1e-4)


def test_the_time_to_learn_is_the_end_of_the_first_500_episodes_above_the_criterion() -> None:
    task = TaskConfig(episode_length=60)
    rewarded = np.concatenate([np.full(1000, 0.4), np.full(2000, 0.9)])
    assert time_to_learn(np.full(3000, 0.63), task) == inf
    assert time_to_learn(np.full(3000, 0.9), task) == 500
    # With n of 500 episodes at 0.9, the mean exceeds 0.6444 from n = 245 on.
    assert time_to_learn(rewarded, task) == 1245


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
    monkeypatch.setattr(external, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    monkeypatch.setattr(external, "train", pretend)
    path = tmp_path / "external.csv"
    flags = ["--size", "smoke", "--out", str(path)]
    with monkeypatch.context() as patch:
        patch.setattr(external, "write_atomically", write)
        with pytest.raises(SystemExit, match="130"):
            main(flags)
    kept = {outcome.run for outcome in read_outcomes(path)}
    assert len(kept) == 2
    trained.clear()
    main(flags)
    assert trained == set(KINDS) - kept
    assert {outcome.run for outcome in read_outcomes(path)} == set(KINDS)
    assert {outcome.num_episodes for outcome in read_outcomes(path)} == {16}
    trained.clear()
    main(flags)
    assert trained == set()


def test_every_part_of_the_grid_has_a_setting() -> None:
    assert {(run.agent, run.episode_length) for run in GRID} <= set(SETTINGS)
