"""`python -m pwm.external`: other people's agents, unmodified, over their weight of the critic.

Stable-Baselines3's A2C and sb3-contrib's RecurrentPPO train on `pwm.envs`, on whole undiscounted
episodes. Every finished run is a row of the file; a run that has one is not repeated. All that is
chosen here is data: `GRID` and `SETTINGS`.

A2C remembers by a window of three observations. Its default network is separate for policy and
critic; the shared one is a trunk of the same size under both heads. RecurrentPPO has an LSTM for
each: where it shares one, it detaches the critic.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import product
from math import inf
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Space
from numpy.typing import NDArray
from sb3_contrib import RecurrentPPO
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecFrameStack, VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn
from torch import Tensor, nn
from tqdm import tqdm

from pwm.analysis.external import (
    Agent,
    ExternalOutcome,
    ExternalRun,
    Network,
    Returns,
    as_text,
    read_outcomes,
)
from pwm.analysis.learning import FINAL_EPISODES, reward_to_learn
from pwm.core.errors import require_integer
from pwm.core.task import TaskConfig
from pwm.core.update import one_thread
from pwm.envs import PWMEnv
from pwm.io.cli import errors_in_one_line, parse
from pwm.io.files import write_atomically
from pwm.io.repository import published

LIBRARIES = ("stable_baselines3", "sb3_contrib", "gymnasium", "torch")
UNITS = 64  # of each of the two layers of A2C's default network
LEAST_RATE = 0.1  # of the running mean, per update
VF_COEFS = (0.005, 0.05, 0.5, 5.0, 50.0)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Training of an agent on episodes of some length."""

    environments: int
    """Episodes per update."""
    num_episodes: int
    fields: dict[str, Any]
    """Arguments of the agent, except those that the grid varies."""


SETTINGS: dict[tuple[Agent, int], Setting] = {
    ("A2C", 15): Setting(environments=8, num_episodes=8_000, fields={}),
    ("A2C", 60): Setting(environments=8, num_episodes=8_000, fields={}),
    ("RecurrentPPO", 15): Setting(
        environments=16,
        num_episodes=6_400,
        fields={"learning_rate": 0.003, "n_epochs": 4, "batch_size": 240, "gae_lambda": 1.0},
    ),
}


def runs_of(
    agent: Agent,
    network: Network,
    episode_length: int,
    returns: Sequence[Returns],
    max_grad_norm: float = 0.5,
    seeds: int = 24,
) -> list[ExternalRun]:
    """A run for each kind of returns, coefficient and seed."""
    return [
        ExternalRun(
            agent=agent,
            network=network,
            max_grad_norm=max_grad_norm,
            episode_length=episode_length,
            returns=kind,
            vf_coef=vf_coef,
            seed=seed,
        )
        for kind, vf_coef, seed in product(returns, VF_COEFS, range(seeds))
    ]


ALL: tuple[Returns, ...] = ("raw", "normalised", "centred")
GRID = (
    *runs_of("A2C", "separate", 60, ALL),
    *runs_of("A2C", "separate", 60, ("raw",), max_grad_norm=inf),
    *runs_of("A2C", "shared", 60, ALL),
    *runs_of("RecurrentPPO", "separate", 15, ALL),
    *runs_of("RecurrentPPO", "separate", 15, ("raw",), max_grad_norm=inf),
)


class SharedTrunk(BaseFeaturesExtractor):
    """A2C's default layers, under both heads at once."""

    def __init__(self, observation_space: Space[Any]) -> None:
        super().__init__(observation_space, UNITS)
        assert observation_space.shape is not None
        layers = (nn.Linear(observation_space.shape[0], UNITS), nn.Linear(UNITS, UNITS))
        self._layers = nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh())

    def forward(self, observations: Tensor) -> Tensor:
        """The features of observations."""
        features: Tensor = self._layers(observations)
        return features


class VecCentre(VecEnvWrapper):
    """Subtracts a fast running mean of the rewards, so that returns are about zero on average."""

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self._mean = 0.0  # reward per step
        self._updates = 0
        self._episode: list[float] = []  # mean rewards of the steps so far

    def reset(self) -> Any:
        """Starts new episodes."""
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """The venv's step with centred rewards; the mean moves at the end of an episode."""
        observations, rewards, dones, infos = self.venv.step_wait()
        centred = rewards - np.float32(self._mean)
        self._episode.append(float(rewards.mean()))
        if dones.all():  # all episodes have the same length
            self._updates += 1
            rate = max(1 / self._updates, LEAST_RATE)
            self._mean += rate * (float(np.mean(self._episode)) - self._mean)
            self._episode.clear()
        return observations, centred, dones, infos


def build(run: ExternalRun) -> OnPolicyAlgorithm:
    """The agent of a run, with its environments."""
    setting = SETTINGS[run.agent, run.episode_length]
    envs: VecEnv = make_vec_env(
        PWMEnv,
        n_envs=setting.environments,
        env_kwargs={"stimulus_set": "pwm5", "episode_length": run.episode_length},
    )
    if run.returns == "normalised":
        envs = VecNormalize(envs, norm_obs=False, gamma=1.0)
    elif run.returns == "centred":
        envs = VecCentre(envs)
    fields: dict[str, Any] = {
        "n_steps": run.episode_length,
        "gamma": 1.0,
        "vf_coef": run.vf_coef,
        "max_grad_norm": run.max_grad_norm,
        # Environment i has the seed plus i: no two runs of the grid share one.
        "seed": run.seed * setting.environments,
        "device": "cpu",
        **setting.fields,
    }
    if run.agent == "RecurrentPPO":
        return RecurrentPPO("MlpLstmPolicy", envs, **fields)
    if run.network == "shared":
        fields["policy_kwargs"] = {"features_extractor_class": SharedTrunk, "net_arch": []}
    return A2C("MlpPolicy", VecFrameStack(envs, n_stack=3), **fields)


def train(run: ExternalRun, num_episodes: int) -> ExternalOutcome:
    """Trains a run for that many episodes, rounded up to whole updates, on one thread."""
    with one_thread():
        model = build(run)
        model.learn(num_episodes * run.episode_length)
    envs = model.get_env()
    assert envs is not None
    task = TaskConfig(episode_length=run.episode_length)
    rewards = np.array(envs.env_method("get_episode_rewards")).T.flatten()  # in order of time
    rewarded = rewards / (task.reward * task.num_trials)
    return ExternalOutcome(
        run=run,
        num_episodes=len(rewarded),
        reward=round(float(rewarded[-FINAL_EPISODES:].mean()), 4),
        time=time_to_learn(rewarded, task),
    )


def time_to_learn(rewarded: NDArray[np.float64], task: TaskConfig) -> float:
    """Episodes until 500 in a row met the criterion, of fractions rewarded; inf if never."""
    sums = np.concatenate([[0.0], rewarded.cumsum()])
    means = (sums[FINAL_EPISODES:] - sums[:-FINAL_EPISODES]) / FINAL_EPISODES
    above = means > reward_to_learn(task, FINAL_EPISODES)
    return float(above.argmax() + FINAL_EPISODES) if above.any() else inf


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Flags of the command."""

    size: Literal["paper", "smoke"] = "paper"
    """The whole grid, or one short run of each part of it."""
    workers: int = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    """Processes."""
    out: Path | None = None
    """File of the outcomes; paper/external.csv if none is given."""

    def __post_init__(self) -> None:
        require_integer("workers", self.workers, 1)

    def runs(self) -> dict[ExternalRun, int]:
        """The runs, and the episodes that each trains for."""
        if self.size == "paper":
            return {run: SETTINGS[run.agent, run.episode_length].num_episodes for run in GRID}
        return {replace(run, vf_coef=0.5, seed=0): 16 for run in GRID}


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command."""
    about = "Trains A2C and RecurrentPPO of Stable-Baselines3 over vf_coef; goes on where it was."
    arguments = parse(Arguments, "python -m pwm.external", about, argv)
    with errors_in_one_line():
        path = arguments.out or published("external.csv")
        versions = "# " + ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
        outcomes = read_outcomes(path, versions)
        known = {outcome.run for outcome in outcomes}
        missing = {run: count for run, count in arguments.runs().items() if run not in known}
        pool = ProcessPoolExecutor(arguments.workers, multiprocessing.get_context("spawn"))
        bar = tqdm(total=len(known) + len(missing), initial=len(known), unit=" runs")
        try:
            for future in as_completed([pool.submit(train, *each) for each in missing.items()]):
                outcomes.append(future.result())
                write_atomically(path, as_text(outcomes, versions).encode())
                bar.update()
        finally:
            bar.close()
            pool.shutdown(cancel_futures=True)


if __name__ == "__main__":
    main()
