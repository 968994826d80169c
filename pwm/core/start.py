"""The parameters that a run starts from."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor

from pwm.core.agent import Agent
from pwm.core.config import TrainConfig
from pwm.core.errors import require
from pwm.core.returns import discounted_returns
from pwm.core.task import Action, TaskConfig


def initial_parameters(runs: Sequence[TrainConfig]) -> Tensor:
    """Initial parameters of runs that share a task and an agent, on the CPU: [R, P]."""
    config = runs[0]
    agent = Agent(config.agent, config.task.num_stimuli)
    parameters = agent.initial_parameters([run.seed for run in runs])
    starts = torch.tensor([critic_start(run) for run in runs])
    agent.value_head(parameters)[1].add_(starts)  # a view of the parameters
    return parameters


def critic_start(config: TrainConfig) -> float:
    """Offset added to the random initial bias of the value head, in the units that it learns in.

    A number is used as it is. `mean` is the mean return over steps of a policy that holds, then
    guesses left or right; rewards for holding are not counted. `fixed-point` adds to it, unless the
    baseline is detached, the leak's bias c T H / 2w (`pwm.analysis.theory.critic_bias`) for that
    policy with random actions before the last step; this is exact for an attached baseline and a
    fixed weight. With centred or standardised returns the mean is 0.

    Raises:
        InputError: a critic weight of 0 has no fixed point with an attached baseline.
    """
    start = config.critic_start
    if not isinstance(start, str):
        return float(start)
    task, loss = config.task, config.loss
    mean = 0.0
    if loss.returns == "raw":
        mean = mean_return(task, loss.discount)
    if start == "mean" or loss.baseline == "detached":
        return mean
    weight = config.critic_weight
    require(weight > 0, "critic_weight", weight, "a number above 0 with critic_start fixed-point")
    length = task.trial_length
    entropy = ((length - 1) * log(len(Action)) + log(2)) / length
    c_times_steps = task.num_trials * length if loss.policy_reduction == "sum" else 1
    return mean + c_times_steps * entropy / (2 * weight)


def mean_return(task: TaskConfig, discount: float) -> float:
    """Mean over steps of the expected return if half of all trials are rewarded."""
    rewards = torch.zeros(1, task.num_trials, task.trial_length)
    rewards[..., -1] = task.reward / 2
    return float(discounted_returns(rewards.flatten(1), discount).mean())
