"""The random draws for episodes, made before they are played.

Here and in the engines, `Draws` of E episodes have an axis of episodes in front: [E, R, ...].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pwm.core.rollout import Draws
from pwm.core.task import TaskConfig
from pwm.training.streams import Streams, to_index, to_uniform


class DrawSource:
    """Source of the random draws for successive episodes of R replicas, one per seed.

    Probes, episodes that are not trained on, have separate streams.
    """

    def __init__(self, task: TaskConfig, seeds: Sequence[int], *, of_probes: bool = False) -> None:
        self._task = task
        self._trials = Streams(seeds, "probe trials" if of_probes else "trials")
        self._actions = Streams(seeds, "probe actions" if of_probes else "actions")

    def next(self, num_episodes: int) -> Draws:
        """Draws for the next E episodes: trials [E, R, N] and noise [E, R, N, L], on the CPU."""
        task = self._task
        num_trials = num_episodes * task.num_trials
        trials = torch.from_numpy(to_index(self._trials.draw(num_trials), task.num_pairs))
        noise = torch.from_numpy(to_uniform(self._actions.draw(num_trials * task.trial_length)))
        trials = trials.view(len(trials), num_episodes, task.num_trials)  # (R, E, N)
        noise = noise.view(*trials.shape, task.trial_length)  # (R, E, N, L)
        return Draws(trials.transpose(0, 1).contiguous(), noise.transpose(0, 1).contiguous())

    def skip(self, num_episodes: int) -> None:
        """Skips the draws for the next episodes, as when a run is resumed."""
        num_trials = num_episodes * self._task.num_trials
        self._trials.skip(num_trials)
        self._actions.skip(num_trials * self._task.trial_length)
