"""The task as a vector environment of Stable-Baselines3."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from pwm.envs import PWMVectorEnv


class VecPWM(VecEnv):
    """`PWMVectorEnv` for Stable-Baselines3: the next episodes begin as soon as all have ended.

    With seed s, environment i has seed s + i. The arguments are those of `PWMVectorEnv`.
    """

    def __init__(self, num_envs: int, **fields: Any) -> None:
        self._envs = PWMVectorEnv(num_envs, **fields)
        spaces = self._envs.single_observation_space, self._envs.single_action_space
        super().__init__(num_envs, *spaces)  # calls `get_attr`, which needs `_envs`
        self.rewarded: list[float] = []
        """Fraction of trials rewarded in each finished episode; wrong with a `hold_reward`."""
        self._rewards = np.zeros(num_envs)  # sum over each unfinished episode so far
        self._actions = np.zeros(num_envs, np.int64)

    def reset(self) -> NDArray[np.float32]:
        """Starts new episodes; returns the observations. A seed given to `seed` is used once."""
        seed = self._seeds[0]
        self._reset_seeds()
        self._rewards[:] = 0
        return self._envs.reset(seed=seed)[0]

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Stores the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Takes a step in each environment and, after the last step, begins the next episodes.

        It then returns their first observations, and `infos` has the last one of each that ended.
        """
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
        """Does nothing: there is nothing to release."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of `PWMVectorEnv`, once per selected environment; None if it has none."""
        return [getattr(self._envs, attr_name, None) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Not supported; raises `NotImplementedError`."""
        raise NotImplementedError

    def env_method(
        self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Not supported; raises `NotImplementedError`."""
        raise NotImplementedError

    def env_is_wrapped(
        self,
        wrapper_class: Any,  # noqa: ARG002, as Stable-Baselines3 calls it
        indices: VecEnvIndices = None,
    ) -> list[bool]:
        """Returns False for each environment, as none has a wrapper of its own."""
        return [False for _ in self._get_indices(indices)]


class VecCentre(VecEnvWrapper):
    """Subtracts a running mean from the rewards, so that returns are about zero on average.

    The mean is over steps and environments. It is 0 during the first batch of episodes; after the
    n-th, it moves max(1/n, 0.1) of the way to that batch's mean (see `LossConfig.tracking_rate`).
    """

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self._mean = 0.0  # reward per step
        self._updates = 0  # of the mean
        self._episode: list[float] = []  # each step's mean reward over environments

    def reset(self) -> Any:
        """Starts new episodes; keeps the mean, which unfinished ones do not enter."""
        self._episode.clear()
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        """Takes a step and centres its rewards; after the last step, updates the running mean."""
        observations, rewards, dones, infos = self.venv.step_wait()
        centred = rewards - np.float32(self._mean)
        self._episode.append(float(rewards.mean()))
        if dones.all():  # all episodes have the same length
            self._updates += 1
            rate = max(1 / self._updates, 0.1)
            self._mean += rate * (float(np.mean(self._episode)) - self._mean)
            self._episode.clear()
        return observations, centred, dones, infos
