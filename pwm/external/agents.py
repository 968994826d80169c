"""Trains Stable-Baselines3's A2C and sb3-contrib's RecurrentPPO, unmodified, on the task.

`GRID` lists the runs; `build` sets the arguments that differ from the libraries' defaults.
Returns are undiscounted, over whole episodes.

A2C has no recurrent network, and sees the last three observations instead. By default, its policy
and its critic have separate networks; the shared network is a trunk of the same size.
RecurrentPPO has separate LSTMs: the library can share one, but then detaches the critic from it.
"""

from __future__ import annotations

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

UNITS = 64  # in each of the two layers of A2C's default network, and in RecurrentPPO's LSTMs here
ENVIRONMENTS = 32  # each of which plays one episode per update
VF_COEFS = (0.005, 0.05, 0.5, 5.0, 50.0)  # the agents' weights of the value loss
SEEDS = 27  # seeds per setting
NUM_EPISODES: dict[Agent, int] = {"A2C": 24_000, "RecurrentPPO": 9_600}
"""Episodes after which a run that has not learned ends."""
PARTS: tuple[tuple[Agent, Network, int, tuple[Returns, ...], float], ...] = (
    ("A2C", "shared", 60, ("raw", "normalised", "centred"), 0.5),
    ("A2C", "separate", 60, ("raw",), 0.5),
    ("A2C", "separate", 60, ("raw",), inf),
    ("RecurrentPPO", "separate", 15, ("raw", "centred"), 0.5),
    ("RecurrentPPO", "separate", 15, ("raw",), inf),
)
"""Parts of the grid: agent, network, episode length, kinds of returns, maximum gradient norm."""
# The seed varies slowest: if training is cut short, all settings have about as many seeds.
GRID = [
    ExternalRun(
        agent=agent,
        network=network,
        max_grad_norm=max_grad_norm,
        episode_length=episode_length,
        returns=kind,
        vf_coef=vf_coef,
        seed=seed,
    )
    for seed in range(SEEDS)
    for agent, network, episode_length, returns, max_grad_norm in PARTS
    for kind in returns
    for vf_coef in VF_COEFS
]


class SharedTrunk(BaseFeaturesExtractor):
    """The two layers of A2C's default network, shared by policy and critic."""

    def __init__(self, observation_space: Space[Any]) -> None:
        super().__init__(observation_space, UNITS)
        assert observation_space.shape is not None
        first, second = nn.Linear(observation_space.shape[0], UNITS), nn.Linear(UNITS, UNITS)
        self._layers = nn.Sequential(first, nn.Tanh(), second, nn.Tanh())

    def forward(self, observations: Tensor) -> Tensor:
        """Features, [B, UNITS], of observations, [B, inputs]."""
        features: Tensor = self._layers(observations)
        return features


class UntilLearned(BaseCallback):
    """Callback that ends training once the last `FINAL_EPISODES` meet the criterion for *learned*.

    Args:
        task: the task; `pwm.analysis.learning` defines its criterion.
        rewarded: fraction of trials rewarded in each episode; the environments append to it.
    """

    def __init__(self, task: TaskConfig, rewarded: list[float]) -> None:
        super().__init__()
        self._criterion = reward_to_learn(task, FINAL_EPISODES)
        self._rewarded = rewarded
        self.time = inf
        """Episodes until the criterion was met; inf before that."""

    def _on_step(self) -> bool:
        """Whether to continue training; Stable-Baselines3 asks after every step."""
        return self.time == inf

    def _on_rollout_end(self) -> None:
        """Tests the criterion, before each update; if it is met, this update is the last."""
        enough = len(self._rewarded) >= FINAL_EPISODES
        if enough and np.mean(self._rewarded[-FINAL_EPISODES:]) > self._criterion:
            self.time = float(len(self._rewarded))


def build(run: ExternalRun) -> tuple[OnPolicyAlgorithm, VecPWM]:
    """Builds a run's agent; returns it, and its environments without wrappers, for `rewarded`."""
    envs = VecPWM(ENVIRONMENTS, stimulus_set="pwm5", episode_length=run.episode_length)
    wrapped: VecEnv = envs
    if run.returns == "normalised":
        wrapped = VecNormalize(envs, norm_obs=False, gamma=1.0)
    elif run.returns == "centred":
        wrapped = VecCentre(envs)
    arguments: dict[str, Any] = {
        "n_steps": run.episode_length,
        "gamma": 1.0,
        "vf_coef": run.vf_coef,
        "max_grad_norm": run.max_grad_norm,
        # Environment i gets this seed plus i, so no two seeds of the grid share an environment.
        "seed": run.seed * ENVIRONMENTS,
        "device": "cpu",
    }
    if run.agent == "RecurrentPPO":
        arguments |= {
            "learning_rate": 0.003,
            "n_epochs": 4,
            "batch_size": 480,  # all steps of an update, 32 episodes of 15 steps
            "gae_lambda": 1.0,
            "policy_kwargs": {"lstm_hidden_size": UNITS},
        }
        return RecurrentPPO("MlpLstmPolicy", wrapped, **arguments), envs
    if run.network == "shared":
        arguments["policy_kwargs"] = {"features_extractor_class": SharedTrunk, "net_arch": []}
    return A2C("MlpPolicy", VecFrameStack(wrapped, n_stack=3), **arguments), envs


def train(run: ExternalRun, num_episodes: int) -> ExternalOutcome:
    """Trains a run's agent on one thread until it has learned, or for `num_episodes`.

    Updates are whole: the number is rounded up to a multiple of `ENVIRONMENTS`.
    """
    with one_thread():
        model, envs = build(run)
        stop = UntilLearned(TaskConfig(episode_length=run.episode_length), envs.rewarded)
        model.learn(num_episodes * run.episode_length, stop)
    return ExternalOutcome(
        run=run,
        num_episodes=len(envs.rewarded),
        reward=round(float(np.mean(envs.rewarded[-FINAL_EPISODES:])), 4),
        time=stop.time,
        torch=torch.__version__,
    )
