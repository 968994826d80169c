"""The task as vector environments of Stable-Baselines3."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from pwm.envs import PWMVectorEnv

LEAST_RATE = 0.1  # of the running mean, per update


class VecPWM(VecEnv):
    """`PWMVectorEnv` as Stable-Baselines3 wants it: the next episodes begin at once.

    Environment i has the seed plus i. `rewarded` collects the fraction of trials rewarded in each
    episode that has ended, in order of time.

    Args:
        num_envs: environments.
        fields: fields of `TaskConfig`.
    """

    def __init__(self, num_envs: int, **fields: Any) -> None:
        self._envs = PWMVectorEnv(num_envs, **fields)
        spaces = self._envs.single_observation_space, self._envs.single_action_space
        super().__init__(num_envs, *spaces)
        self.rewarded: list[float] = []
        self._rewards = np.zeros(num_envs)  # of the episodes so far
        self._actions = np.zeros(num_envs, np.int64)

    def reset(self) -> NDArray[np.float32]:
        """Starts the first episodes of the seeds given by `seed`, or else the next ones."""
        seed = self._seeds[0]
        self._reset_seeds()
        return self._envs.reset(seed=seed)[0]

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Keeps the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Takes a step; observations after an episode's last are the next episode's first."""
        observations, rewards, over, _, _ = self._envs.step(self._actions)
        self._rewards += rewards
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if over.all():  # all episodes have the same length
            task = self._envs.task
            self.rewarded.extend(self._rewards / (task.reward * task.num_trials))
            self._rewards[:] = 0
            infos = [{"terminal_observation": each} for each in observations]
            observations = self._envs.reset()[0]
        return observations, rewards.astype(np.float32), over, infos

    def close(self) -> None:
        """Nothing to release."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute, once per environment."""
        return [getattr(self._envs, attr_name, None)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """No attribute can be set."""
        raise NotImplementedError

    def env_method(
        self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """No environment has methods of its own."""
        raise NotImplementedError

    def env_is_wrapped(
        self,
        wrapper_class: Any,  # noqa: ARG002, as Stable-Baselines3 calls it
        indices: VecEnvIndices = None,
    ) -> list[bool]:
        """No environment is."""
        return [False for _ in self._get_indices(indices)]


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
