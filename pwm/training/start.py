"""Initial parameters of runs, and the critic's start (`TrainConfig.critic_start`)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pwm.core.errors import LARGEST, require
from pwm.core.leak import critic_bias, start_entropy
from pwm.core.returns import discounted_returns
from pwm.training.config import TrainConfig
from pwm.training.parameters import Layout


def initial_parameters(runs: Sequence[TrainConfig]) -> Tensor:
    """Initial parameters, [R, P] on the CPU, of runs of one task and agent; see `critic_start`."""
    config = runs[0]
    layout = Layout(config.agent, config.task.num_stimuli)
    parameters = layout.initial_parameters([run.seed for run in runs])
    _, bias = layout.value_head(parameters)
    bias += torch.tensor([critic_start(run) for run in runs])  # `bias` is a view of `parameters`
    return parameters


def critic_start(config: TrainConfig) -> float:
    """Number added to the value head's random initial bias, in the units that the head learns in.

    The start `mean` is `guessing_return`, or 0 if returns are centred or standardised. The start
    `fixed-point` is `mean` plus the leak's bias at the entropy `start_entropy`: with an attached
    baseline, the policy loss trains the critic too, and adds a multiple of the entropy to its
    target (`pwm.core.leak`). If the value head gets no leak, `fixed-point` is `mean`. The formula
    assumes, without a check, squared errors and nothing that scales errors, losses or updates
    (`LossConfig.scales_errors`).

    Mean and entropy are those of a policy that guesses left or right at a trial's last step.

    Raises:
        InputError: the start is `fixed-point`, the value head gets a leak, and the critic weight is
            0 or tiny, or returns contain values (a trace decay below 1).
    """
    start = config.critic_start
    if not isinstance(start, str):
        return float(start)
    task, loss, weight = config.task, config.loss, config.critic_weight
    mean = guessing_return(config) if loss.returns == "raw" else 0.0
    if start == "mean" or not loss.leaks_into_head:
        return mean
    require(weight > 0, "critic_weight", weight, "a number above 0 with critic_start fixed-point")
    accepted = "1 with critic_start fixed-point; or a number as the start"
    require(loss.trace_decay == 1, "trace_decay", loss.trace_decay, accepted)
    entropy = start_entropy(task.trial_length)
    bias = critic_bias(task.num_steps, entropy, weight, loss.policy_reduction)
    accepted = "a larger number with critic_start fixed-point"
    require(bias <= LARGEST, "critic_weight", weight, accepted)
    return mean + bias


def guessing_return(config: TrainConfig) -> float:
    """Mean over steps of the expected return of a policy that guesses left or right.

    It earns half of the reward, on average, at the last step of each trial. Timeouts and rewards
    for holding are left out.
    """
    task = config.task
    rewards = torch.zeros(task.num_trials, task.trial_length)
    rewards[:, -1] = task.reward / 2  # a guess is right with probability 1/2
    returns = discounted_returns(rewards.view(-1, config.horizon), config.loss.discount)
    return float(returns.mean())
