"""The task of `pwm.core.task` as Gymnasium environments, with the same trials and rewards.

Importing this module registers `pwm/PWM0-v0`, `pwm/PWM5-v0` and `pwm/PWM7-v0`, each also with a
vector version for `gymnasium.make_vec`. `make` accepts every field of `TaskConfig` as a keyword. An
environment with the task and seed of a run shows the trials of the run's episodes, in order. An
episode terminates at its end and is never truncated. In blank trials, which a task with timeouts
has after a trial in which the agent acted too early, no stimulus is shown and nothing is rewarded.

The `info` that is returned with an observation describes it:

- `trial`: index of the trial in the episode, from 0;
- `pair`: index of the trial's pair in the stimulus set, or the number of pairs in a blank trial;
- `phase`: a `Phase`, as an integer;
- `correct_action`: the correct action at this step, or `NO_ACTION` in a blank trial.

After an episode's last step, the observation is the first of a blank trial. PyTorch is not needed.

Shapes: R replicas, N trials, L steps per trial, S stimuli.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from operator import index
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.spaces import Box, Discrete, Space
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from pwm.core.errors import require, require_integer
from pwm.core.task import (
    STIMULUS_SETS,
    Action,
    TaskConfig,
    correct_actions,
    observation_table,
    reward_table,
)
from pwm.training.streams import Streams, to_index

NO_ACTION = -1
ACTIONS = " or ".join(f"{action} ({action.name.lower()})" for action in Action)


class Phase(IntEnum):
    """Phases of a trial: the kinds of its steps."""

    FIRST_STIMULUS = 0
    DELAY = 1
    SECOND_STIMULUS = 2


class PWMEnv(gymnasium.Env[NDArray[np.float32], int]):
    """Gymnasium environment of the parametric working memory task.

    In each trial the agent sees two of S stimuli, with a delay between them. It should hold until
    the second stimulus (action 0), and then report which was larger, the first (1, left) or the
    second (2, right). A correct report is rewarded.

    Observations have shape [S]: one-hot while a stimulus is shown, zeros in delays and blank
    trials. `reset(seed=...)` starts the first episode of that seed; each later `reset()` starts the
    next episode, even if the current one is unfinished. If no seed was ever given, the first
    `reset()` draws one, which is then available as `np_random_seed`.

    Args:
        fields: fields of `TaskConfig`.
    Raises:
        InputError: a field has an invalid value.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012, as Gymnasium declares it

    def __init__(self, **fields: Any) -> None:
        self.task = TaskConfig(**fields)
        self.observation_space = Box(0, 1, (self.task.num_stimuli,), np.float32)
        self.action_space: Space[Any] = Discrete(len(Action))
        # List elements are read much faster than array elements.
        self._observations = [list(trial) for trial in observation_table(self.task)]
        self._rewards = reward_table(self.task).tolist()
        self._correct = _correct_table(self.task).tolist()
        self._phases = _phases(self.task)
        self._streams: Streams | None = None
        self._trial = self.task.num_trials  # no episode has begun

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Starts the first episode of `seed`, or the next episode if it is None.

        Options are ignored. Returns the first observation, [S], and its `info`.
        """
        super().reset(seed=seed, options=options)
        if seed is not None or self._streams is None:
            self._streams = Streams([self.np_random_seed], "trials")
        self._drawn = _draw_trials(self._streams, self.task)[0].tolist()
        self._trial, self._step, self._pair = 0, 0, self._drawn[0]
        self._violated = False  # whether the agent acted too early in this trial
        return self._observe()

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Takes an action; returns the next observation, reward, terminated, truncated and `info`.

        Raises:
            ResetNeeded: no episode has begun since the last one ended.
            InvalidAction: there is no such action.
            TypeError: the action is not an integer.
        """
        if self._trial == self.task.num_trials:
            raise ResetNeeded("the episode is over, or none has begun: expected a call of reset")
        if not 0 <= (chosen := index(action)) < len(Action):
            raise InvalidAction(f"action {action}: expected {ACTIONS}")
        reward = self._rewards[self._pair][self._step][chosen]
        self._step += 1
        if self._step < self.task.trial_length:
            self._violated |= chosen != Action.HOLD
        else:  # the next trial begins; with timeouts, it is blank after a violation
            blank = self.task.num_pairs  # a blank trial causes no timeout
            timeout = self.task.timeout and self._violated and self._pair != blank
            self._trial, self._step, self._violated = self._trial + 1, 0, False
            self._pair = blank if timeout else self._drawn[self._trial]
        observation, info = self._observe()
        return observation, reward, self._trial == self.task.num_trials, False, info

    def _observe(self) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """The observation of this step, and its `info`."""
        info = {
            "trial": self._trial,
            "pair": self._pair,
            "phase": self._phases[self._step],
            "correct_action": self._correct[self._pair][self._step],
        }
        return self._observations[self._pair][self._step].copy(), info


class PWMVectorEnv(VectorEnv[NDArray[np.float32], NDArray[np.int64], NDArray[Any]]):
    """Vector environment of R replicas of the task, stepped together by array operations.

    Once seeded, it returns what Gymnasium's `SyncVectorEnv` of R environments would return.
    `reset(seed=s)` gives the replicas the seeds s to s + R - 1, `reset(seed=[...])` those listed; a
    first `reset()` draws s. Episodes end together; the next `step` then ignores its actions and
    begins the next episodes.

    Args:
        num_envs: R, the number of replicas.
        fields: fields of `TaskConfig`.
    Raises:
        InputError: `num_envs` or a field has an invalid value.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012, as Gymnasium declares it
        "render_modes": [],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(self, num_envs: int = 1, **fields: Any) -> None:
        require_integer("num_envs", num_envs, 1)
        self.num_envs = num_envs
        self.task = TaskConfig(**fields)
        self.single_observation_space = Box(0, 1, (self.task.num_stimuli,), np.float32)
        self.single_action_space = Discrete(len(Action))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._observations = observation_table(self.task)
        self._rewards = reward_table(self.task).astype(np.float64)  # as SyncVectorEnv returns them
        self._correct = _correct_table(self.task)
        self._phases = _phases(self.task)
        self._streams: Streams | None = None

    def reset(
        self,
        *,
        seed: int | Sequence[int] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Starts the first episodes of the seeds, or the next episodes if `seed` is None.

        Options are ignored. Returns the first observations, [R, S], and their `info`.

        Raises:
            InputError: a list does not have one seed per replica, or one of its seeds is not a
                non-negative Python integer. Gymnasium checks a single seed itself.
        """
        if isinstance(seed, Sequence):
            accepted = f"one seed, or {self.num_envs}, one for each replica"
            require(len(seed) == self.num_envs, "SEED", seed, accepted)
            for each in seed:
                require_integer("SEED", each, 0)
            self._streams = Streams(seed, "trials")
        else:
            super().reset(seed=seed, options=options)
            if seed is not None or self._streams is None:
                first_seed = self.np_random_seed
                assert first_seed is not None  # Gymnasium draws one if none was given
                self._streams = Streams(range(first_seed, first_seed + self.num_envs), "trials")
        self._drawn = _draw_trials(self._streams, self.task)
        self._trial, self._step, self._pairs = 0, 0, self._drawn[:, 0]
        self._violated = np.zeros(self.num_envs, bool)  # whether each acted too early in this trial
        return self._observe()

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[
        NDArray[np.float32], NDArray[np.float64], NDArray[np.bool], NDArray[np.bool], dict[str, Any]
    ]:
        """Takes an action in each replica, or begins the next episodes if the episodes are over.

        Args:
            actions: actions, [R].
        Returns:
            Observations [R, S]; rewards, terminated and truncated, [R] each; and `info`.
        Raises:
            ResetNeeded: no episode has begun.
            InvalidAction: an action does not exist, or there is not one per replica.
        """
        if self._streams is None:
            raise ResetNeeded("no episode has begun: expected a call of reset")
        rewards = np.zeros(self.num_envs)
        if self._trial == self.task.num_trials:
            observations, info = self.reset()
        else:
            if actions not in self.action_space:
                accepted = f"{ACTIONS} for each of {self.num_envs} replicas"
                raise InvalidAction(f"actions {actions}: expected {accepted}")
            actions = np.asarray(actions)  # a list, which the space accepts, would equal no action
            rewards = self._rewards[self._pairs, self._step, actions]
            self._step += 1
            if self._step < self.task.trial_length:
                self._violated |= actions != Action.HOLD
            else:  # the next trials begin; with timeouts, they are blank after violations
                blank = self.task.num_pairs  # a blank trial causes no timeout
                timeout = self._violated & (self._pairs != blank) & self.task.timeout
                self._trial, self._step = self._trial + 1, 0
                self._violated[:] = False
                self._pairs = np.where(timeout, blank, self._drawn[:, self._trial])
            observations, info = self._observe()
        over = np.full(self.num_envs, self._trial == self.task.num_trials)
        return observations, rewards, over, np.zeros_like(over), info

    def _observe(self) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """The observations of this step, [R, S], and their `info` with Gymnasium's masks."""
        info: dict[str, Any] = {
            "trial": np.full(self.num_envs, self._trial),
            "pair": self._pairs.copy(),
            "phase": np.full(self.num_envs, self._phases[self._step]),
            "correct_action": self._correct[self._pairs, self._step],
        }
        # The mask of NAME, called _NAME, says which replicas have it.
        info |= dict.fromkeys([f"_{name}" for name in info], np.ones(self.num_envs, bool))
        return self._observations[self._pairs, self._step], info


def _draw_trials(streams: Streams, task: TaskConfig) -> NDArray[np.int64]:
    """Draws the next episode's trials as indices of pairs, and appends a blank one: [R, N + 1]."""
    integers = streams.draw(task.num_trials)  # (R, N)
    trials = np.full((len(integers), task.num_trials + 1), task.num_pairs)
    trials[:, :-1] = to_index(integers, task.num_pairs)
    return trials


def _phases(task: TaskConfig) -> list[int]:
    """The phase of each step of a trial: [L]."""
    delay = [Phase.DELAY.value] * (task.trial_length - 2)
    return [Phase.FIRST_STIMULUS.value, *delay, Phase.SECOND_STIMULUS.value]


def _correct_table(task: TaskConfig) -> NDArray[np.int64]:
    """Correct action at each step of each pair's trial, then of the blank trial: [pairs + 1, L]."""
    table = np.full((task.num_pairs + 1, task.trial_length), Action.HOLD, np.int64)
    table[:-1, -1] = correct_actions(task)
    table[-1] = NO_ACTION
    return table


for _name in STIMULUS_SETS:
    gymnasium.register(
        f"pwm/{_name.upper()}-v0",
        entry_point="pwm.envs:PWMEnv",
        vector_entry_point="pwm.envs:PWMVectorEnv",
        kwargs={"stimulus_set": _name},
    )
