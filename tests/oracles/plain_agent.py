"""One replica built from PyTorch's own modules and played one step at a time.

The oracle for `pwm.core.agent` and `pwm.core.rollout`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tests.oracles.plain_task import PlainTask

LSTMState = tuple[Tensor, Tensor]


class Trunk(nn.Module):
    """An LSTM with both heads."""

    def __init__(self, num_stimuli: int, hidden_size: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.lstm = nn.LSTM(num_stimuli, hidden_size, batch_first=True, dtype=dtype)
        self.policy_head = nn.Linear(hidden_size, 3, dtype=dtype)
        self.value_head = nn.Linear(hidden_size, 1, dtype=dtype)

    def by_name(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by the name of the tensor in `Layout.named` that joins them."""
        names = {
            "input_weight": ["lstm.weight_ih_l0"],
            "recurrent_weight": ["lstm.weight_hh_l0"],
            "input_bias": ["lstm.bias_ih_l0"],
            "recurrent_bias": ["lstm.bias_hh_l0"],
            "head_weight": ["policy_head.weight", "value_head.weight"],
            "head_bias": ["policy_head.bias", "value_head.bias"],
        }
        return {name: [self.get_parameter(path) for path in paths] for name, paths in names.items()}


class PlainAgent(nn.Module):
    """One replica; the policy is read from its first trunk, the value from its last.

    Args:
        named: a population's parameters, as `Layout.named` returns them.
        replica: row of the replica.
    """

    def __init__(self, named: Mapping[str, Tensor], replica: int) -> None:
        super().__init__()
        _, trunks, num_stimuli, _ = named["input_weight"].shape
        hidden_size, dtype = named["head_weight"].shape[2], named["head_weight"].dtype
        self.trunks = [Trunk(num_stimuli, hidden_size, dtype) for _ in range(trunks)]
        self.registered = nn.ModuleList(self.trunks)
        for number, trunk in enumerate(self.trunks):
            for name, tensors in trunk.by_name().items():
                stacked = named[name][replica, number].detach().T
                parts = stacked.split_with_sizes([len(tensor) for tensor in tensors])
                for tensor, part in zip(tensors, parts, strict=True):
                    tensor.data.copy_(part.reshape(tensor.shape))

    def named(self, *, gradients: bool = False) -> dict[str, Tensor]:
        """Parameters or their gradients, in the layout of one replica in `Layout.named`."""

        def read(parameter: nn.Parameter) -> Tensor:
            """The parameter or its gradient, zero where it has none."""
            if not gradients:
                return parameter.detach()
            return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad

        by_name: dict[str, list[Tensor]] = {}  # a tensor per trunk
        for trunk in self.trunks:
            for name, parts in trunk.by_name().items():
                joined = torch.cat([read(part).view(len(part), -1) for part in parts]).T
                by_name.setdefault(name, []).append(joined)
        return {name: torch.stack(tensors) for name, tensors in by_name.items()}

    def forward(
        self, observations: Tensor, states: Sequence[LSTMState] | None = None
    ) -> tuple[Tensor, Tensor, list[LSTMState]]:
        """Logits [B, L, 3], values [B, L] and the states after the last step.

        Args:
            observations: one-hot stimuli, [B, L, S].
            states: state of each trunk; None is the zero state.
        """
        features, after = [], []
        for number, trunk in enumerate(self.trunks):
            output, state = trunk.lstm(observations, states[number] if states else None)
            features.append(output)
            after.append(state)
        logits = self.trunks[0].policy_head(features[0])
        values = self.trunks[-1].value_head(features[-1])
        return logits, values.squeeze(-1), after


class PlainEpisode(NamedTuple):
    """One replica's episode, N trials of L steps."""

    shown: list[str]  # pair of stimuli of each trial, empty in a blank one
    observations: Tensor  # (N, L, S)
    actions: Tensor  # (N, L), like all that follow
    rewards: Tensor
    log_probs: Tensor
    entropies: Tensor
    values: Tensor
    hidden: Tensor  # (N, L, H): of the first trunk


def act(policy: Sequence[float], noise: float) -> int:
    """Draws an action: the part of [0, 1), split by the probabilities, in which `noise` lies."""
    if noise < policy[0]:
        return 0
    return 1 if noise < policy[0] + policy[1] else 2


def play_plainly(
    task: PlainTask, agent: PlainAgent, pairs: Sequence[str], noise: Tensor, *, carry_state: bool
) -> PlainEpisode:
    """Plays an episode, one step at a time.

    Args:
        task: the task, before its first trial.
        agent: the agent that plays it.
        pairs: pair of stimuli of each trial, [N].
        noise: uniform on [0, 1), to draw actions with, [N, L].
        carry_state: whether the state survives the end of a trial.
    """
    dtype = agent.trunks[0].value_head.weight.dtype
    states: list[LSTMState] | None = None
    shown, steps = [], []
    for pair, trial_noise in zip(pairs, noise, strict=True):
        task.begin_trial(pair)
        shown.append(task.shown)
        if not carry_state:
            states = None
        for step_noise in trial_noise:
            observation = torch.tensor(task.observe(), dtype=dtype)
            logits, value, states = agent(observation.view(1, 1, -1), states)
            policy = torch.softmax(logits.flatten(), dim=0)
            action = torch.tensor(act(policy.tolist(), float(step_noise)))
            reward = torch.tensor(task.act(int(action)), dtype=dtype)
            log_prob = -cross_entropy(logits.flatten(), action)
            entropy = torch.special.entr(policy).sum()
            hidden = states[0][0].flatten()
            steps.append((observation, action, reward, log_prob, entropy, value.squeeze(), hidden))
    shape = noise.shape
    collected = [  # [N, L, ...] of each quantity, from its values at all steps
        torch.stack(values).view(*shape, *values[0].shape) for values in zip(*steps, strict=True)
    ]
    return PlainEpisode(shown, *collected)
