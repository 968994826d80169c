"""The paper's experiments: the notes' grids, sizes and plans."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pwm.core.agent import AgentConfig
from pwm.core.errors import InputError
from pwm.core.task import TaskConfig
from pwm.experiments import EXPERIMENTS, NOTES, chosen
from pwm.runs.experiment import Size
from pwm.runs.shards import plan
from pwm.training.loss_config import LossConfig

# Stimulus set, episode length, learning rate, episodes, weights, seeds averaged in the notes
AUXILIARY = (0.05, 3, 10, 20)
GRIDS = {
    "eplen60": ("pwm5", 60, 0.005, 30_000, (2, 3, 4, 5), 1),
    "eplen15": ("pwm5", 15, 0.005, 10_000, (2, 3, 4, 5), 3),
    "eplen15-edge": ("pwm5", 15, 0.005, 10_000, (0.25, 0.5, 1, 1.5), 3),
    "lrate0.001": ("pwm5", 60, 0.001, 10_000, AUXILIARY, 1),
    "lrate0.005": ("pwm5", 60, 0.005, 10_000, AUXILIARY, 1),
    "lrate0.01": ("pwm5", 60, 0.01, 10_000, AUXILIARY, 1),
    "pwm0": ("pwm0", 60, 0.005, 10_000, (0.05, 3, 10, 15, 20), 1),
}


def test_the_notes_experiments_have_the_grids_of_the_notes() -> None:
    grids = {
        name: (
            experiment.base.task.stimulus_set,
            experiment.base.task.episode_length,
            experiment.base.learning_rate,
            experiment.base.num_episodes,
            experiment.axes["critic_weight"],
            experiment.notes_seeds,
        )
        for name, experiment in EXPERIMENTS.items()
        if experiment.notes_seeds
    }
    assert grids == GRIDS
    assert tuple(GRIDS) == NOTES


@pytest.mark.parametrize("name", NOTES)
def test_the_notes_experiments_share_all_other_settings(name: str) -> None:
    runs = EXPERIMENTS[name].runs()
    for run in runs:
        task = replace(run.task, stimulus_set="pwm5", episode_length=60)
        assert task == TaskConfig(
            stimulus_set="pwm5", trial_length=3, episode_length=60, timeout=False, hold_reward=0.0
        )
        assert run.agent == AgentConfig(hidden_size=24, carry_state=False, separate_trunks=False)
        assert run.loss == LossConfig(
            baseline="attached", policy_reduction="sum", discount=1.0, entropy_weight=0.0
        )
        assert run.log_every == 10
    drawn = [(run.critic_weight, run.seed) for run in runs]
    weights = GRIDS[name][4]
    assert drawn == [(weight, seed) for weight in weights for seed in range(96)]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_has_its_own_name_and_a_question(name: str) -> None:
    assert EXPERIMENTS[name].name == name
    assert 10 < len(EXPERIMENTS[name].about) <= 80


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_smoke_size_differs_in_budget_alone(name: str) -> None:
    paper, smoke = EXPERIMENTS[name].sized("paper"), EXPERIMENTS[name].sized("smoke")
    assert paper == EXPERIMENTS[name]
    budget = {name: getattr(paper.base, name) for name in ("num_episodes", "log_every")}
    same_budget = replace(smoke.base, **budget)
    assert replace(smoke, base=same_budget, axes=paper.axes) == paper
    axes = {**paper.axes, "seed": (0, 1, 2)}
    if "probe_at" in axes:  # only probes within the budget
        (early,) = axes["probe_at"]
        axes["probe_at"] = (tuple(at for at in early if at <= smoke.base.num_episodes),)
    assert smoke.axes == axes
    assert len(smoke.axes["seed"]) >= smoke.notes_seeds
    # A few seconds on one core.
    assert sum(run.num_episodes for run in smoke.runs()) <= (5000 if name in NOTES else 80_000)


@pytest.mark.parametrize("size", ["paper", "smoke"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_plan_has_every_run_once_and_in_order(name: str, size: Size) -> None:
    experiment = EXPERIMENTS[name].sized(size)
    shards = list(plan(experiment))
    runs = [run for shard in shards for run in shard.runs]
    assert runs == list(experiment.runs())
    assert len(set(runs)) == len(runs) == experiment.num_runs
    assert len({shard.key for shard in shards}) == len(shards)
    assert {shard.experiment for shard in shards} == {name}


def test_experiments_are_chosen_by_name_in_a_size() -> None:
    assert chosen(()) == tuple(EXPERIMENTS.values())
    two = chosen(("pwm0", "eplen15"), "smoke", "torch")
    smoke = (EXPERIMENTS[name].sized("smoke") for name in ("pwm0", "eplen15"))
    assert two == tuple(replace(experiment, engine="torch") for experiment in smoke)
    with pytest.raises(InputError, match=r"^EXPERIMENT success: expected some of eplen60, "):
        chosen(("pwm0", "success"), "paper")


def test_experiments_of_ones_own_are_chosen_with_their_own_engines() -> None:
    mine = replace(EXPERIMENTS["pwm0"], name="mine", engine="torch")
    known = {"mine": mine, "pwm0": EXPERIMENTS["pwm0"]}
    assert chosen((), known=known) == tuple(known.values())
    assert chosen(("mine",), engine="fused", known=known)[0].engine == "fused"
    with pytest.raises(InputError, match=r"^EXPERIMENT eplen15: expected some of mine, pwm0$"):
        chosen(("eplen15",), known=known)
