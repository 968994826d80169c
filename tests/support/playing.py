"""Episodes played by either engine, in the same form."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pwm.core.agent import VALUE, AgentConfig
from pwm.core.rollout import Draws, Episode, Rollout
from pwm.core.task import TaskConfig, observation_table
from pwm.fused.engine import FusedEngine
from pwm.runs.engines import EngineName
from pwm.training.config import TrainConfig
from pwm.training.parameters import Layout


def play_by(
    engine: EngineName, task: TaskConfig, agent: AgentConfig, parameters: Tensor, draws: Draws
) -> Episode:
    """Plays an episode of R replicas with parameters [R, P]; returns it as `Rollout.play` does.

    The fused engine's episode is read from its working memory.
    """
    if engine == "torch":
        return Rollout(task, agent).play(Layout(agent, task.num_stimuli).weights(parameters), draws)
    played = []
    for of_replica, trials, noise in zip(parameters, draws.trials, draws.noise, strict=True):
        played.append(_play_fused(task, agent, of_replica, Draws(trials, noise)))
    return Episode(*(torch.stack(values) for values in zip(*played, strict=True)))


def _play_fused(task: TaskConfig, agent: AgentConfig, parameters: Tensor, draws: Draws) -> Episode:
    """Plays an episode of one replica, parameters [P], with the fused engine."""
    fused = FusedEngine((TrainConfig(task=task, agent=agent, num_episodes=1),))
    with torch.no_grad():
        fused.parameters.copy_(parameters.unsqueeze(0))
    fused.train(Draws(draws.trials[None, None], draws.noise[None, None].float()))
    work = fused.work
    shape = (task.num_trials, task.trial_length)
    # One-hot stimuli; the index after the last stimulus stands for none.
    one_hot = np.eye(task.num_stimuli + 1, task.num_stimuli, dtype=np.float32)
    observations = one_hot[work.shown[work.row]].reshape(*shape, -1)  # [N, L, stimuli]
    # Identifies each trial by its observations: [N, pairs + 1].
    alike = (observations[:, None] == observation_table(task)).all(axis=(2, 3))
    assert (alike.sum(axis=1) == 1).all()

    def by_step(values: NDArray[Any]) -> Tensor:
        """Reshapes the values of all steps from [N L, ...] to [N, L, ...]."""
        return torch.from_numpy(values.reshape(*shape, *values.shape[1:]).copy())

    return Episode(
        trials=torch.from_numpy(alike.argmax(axis=1)),
        observations=torch.from_numpy(observations),
        actions=by_step(work.action.astype(np.int64)),
        rewards=by_step(work.reward),
        logits=by_step(work.heads[0, work.row, :VALUE]),
        log_probs=by_step(work.log_policy[work.action, work.row]),
        entropies=by_step(work.entropy[work.row]),
        values=by_step(work.heads[-1, work.row, VALUE]),
        hidden=by_step(work.hidden[0, work.row, : agent.hidden_size]),
    )
