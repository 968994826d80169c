"""Training of A2C and RecurrentPPO, as Stable-Baselines3 and sb3-contrib have them, on the task.

Episodes are whole and undiscounted. All that is chosen here is data: `GRID` and `SETTINGS`.

A2C remembers by a window of three observations. Its default network is separate for policy and
critic; the shared one is a trunk of the same size under both heads. RecurrentPPO has an LSTM for
each: where it shares one, it detaches the critic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import inf
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Space
from sb3_contrib import RecurrentPPO
from stable_baselines3 import A2C
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack, VecNormalize
from torch import Tensor, nn

from pwm.analysis.external import Agent, ExternalOutcome, ExternalRun, Network, Returns
from pwm.analysis.learning import FINAL_EPISODES, reward_to_learn
from pwm.core.task import TaskConfig
from pwm.external.vector import VecCentre, VecPWM
from pwm.training.update import one_thread

UNITS = 64  # of each of the two layers of A2C's default network, and of RecurrentPPO's LSTMs here
VF_COEFS = (0.005, 0.05, 0.5, 5.0, 50.0)
SEEDS = 27


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Training of an agent on episodes of some length."""

    environments: int
    """Episodes per update."""
    num_episodes: int
    """Episodes after which a run that has not learned ends."""
    fields: dict[str, Any]
    """Arguments of the agent, except those that the grid varies."""


SETTINGS: dict[tuple[Agent, int], Setting] = {
    ("A2C", 60): Setting(environments=32, num_episodes=24_000, fields={}),
    ("RecurrentPPO", 15): Setting(
        environments=32,
        num_episodes=9_600,
        fields={
            "learning_rate": 0.003,
            "n_epochs": 4,
            "batch_size": 480,
            "gae_lambda": 1.0,
            "policy_kwargs": {"lstm_hidden_size": UNITS},
        },
    ),
}


def runs_of(
    agent: Agent,
    network: Network,
    episode_length: int,
    returns: Sequence[Returns],
    max_grad_norm: float = 0.5,
) -> list[ExternalRun]:
    """A run for each seed, kind of returns and coefficient."""
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
        for seed, kind, vf_coef in product(range(SEEDS), returns, VF_COEFS)
    ]


# Seed after seed, so that a grid cut short has as many runs of each cell.
GRID = sorted(
    (
        *runs_of("A2C", "shared", 60, ("raw", "normalised", "centred")),
        *runs_of("A2C", "separate", 60, ("raw",)),
        *runs_of("A2C", "separate", 60, ("raw",), max_grad_norm=inf),
        *runs_of("RecurrentPPO", "separate", 15, ("raw", "centred")),
        *runs_of("RecurrentPPO", "separate", 15, ("raw",), max_grad_norm=inf),
    ),
    key=lambda run: run.seed,
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


class UntilLearned(BaseCallback):
    """Ends training at the first update after 500 episodes in a row that meet the criterion."""

    def __init__(self, task: TaskConfig, rewarded: list[float]) -> None:
        super().__init__()
        self._criterion = reward_to_learn(task, FINAL_EPISODES)
        self._rewarded = rewarded
        self.time = inf
        """Episodes until then; inf if never."""

    def _on_step(self) -> bool:
        return self.time == inf

    def _on_rollout_end(self) -> None:
        enough = len(self._rewarded) >= FINAL_EPISODES
        if enough and np.mean(self._rewarded[-FINAL_EPISODES:]) > self._criterion:
            self.time = float(len(self._rewarded))


def build(run: ExternalRun) -> tuple[OnPolicyAlgorithm, VecPWM]:
    """The agent of a run, and its environments without their wrappers."""
    setting = SETTINGS[run.agent, run.episode_length]
    envs = VecPWM(setting.environments, stimulus_set="pwm5", episode_length=run.episode_length)
    wrapped: VecEnv = envs
    if run.returns == "normalised":
        wrapped = VecNormalize(envs, norm_obs=False, gamma=1.0)
    elif run.returns == "centred":
        wrapped = VecCentre(envs)
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
        return RecurrentPPO("MlpLstmPolicy", wrapped, **fields), envs
    if run.network == "shared":
        fields["policy_kwargs"] = {"features_extractor_class": SharedTrunk, "net_arch": []}
    return A2C("MlpPolicy", VecFrameStack(wrapped, n_stack=3), **fields), envs


def train(run: ExternalRun, num_episodes: int) -> ExternalOutcome:
    """Trains a run until it has learned, or for that many episodes, on one thread."""
    with one_thread():
        model, envs = build(run)
        watch = UntilLearned(TaskConfig(episode_length=run.episode_length), envs.rewarded)
        model.learn(num_episodes * run.episode_length, watch)
    return ExternalOutcome(
        run=run,
        num_episodes=len(envs.rewarded),
        reward=round(float(np.mean(envs.rewarded[-FINAL_EPISODES:])), 4),
        time=watch.time,
        torch=torch.__version__,
    )
