"""Policy and value networks of many replicas (runs), computed in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from pwm.external.loops import LoopConfig


class Networks:
    """A policy and a critic for each of R replicas, with one hidden layer each or one for both.

    Args:
        parameters: weights [R, inputs, outputs] and biases [R, 1, outputs] of each layer, in order:
            hidden layer, policy head, critic head; or, if the hidden layer is not shared, policy's
            hidden layer, critic's hidden layer, policy head, critic head.
        num_optimisers: 1, which trains all parameters, or 2, for the policy and the critic.
    """

    def __init__(self, parameters: Sequence[Tensor], num_optimisers: int) -> None:
        self.parameters = [parameter.requires_grad_() for parameter in parameters]
        hidden, heads = self.parameters[:-4], self.parameters[-4:]
        self._policy = [*hidden[:2], *heads[:2]]
        self._critic = [*hidden[-2:], *heads[2:]]  # hidden[-2:] is hidden[:2] if it is shared
        networks = [self._policy, self._critic]
        self.by_optimiser = [self.parameters] if num_optimisers == 1 else networks
        """Parameters that each optimiser trains; two optimisers both train a shared layer."""

    @classmethod
    def draw(cls, seeds: Sequence[int], setting: LoopConfig) -> Networks:
        """Draws the initial networks of a loop, one per seed, as Keras does by default.

        Weights are uniform with Glorot's limit, sqrt(6 / (inputs + outputs)); biases are 0. Equal
        seeds give equal networks.
        """
        # Inputs and outputs of each layer; CartPole has 4 numbers per state and 2 actions.
        sizes = [(4, setting.units)] * (1 if setting.shared else 2)
        sizes += [(setting.units, 2), (setting.units, 1)]
        # Other random numbers than those of `CartPoles`, which uses `default_rng(seed)`
        generators = [np.random.default_rng([seed, 1]) for seed in seeds]
        parameters = []
        for size in sizes:
            weights = [random.uniform(-1, 1, size) * sqrt(6 / sum(size)) for random in generators]
            parameters.append(torch.tensor(np.stack(weights)).float())
            parameters.append(torch.zeros(len(seeds), 1, size[1]))
        return cls(parameters, setting.num_optimisers)

    def copies(self, replicas: Tensor) -> Networks:
        """Copies of r replicas' networks, by their indices, [r]; gradients end at the copies."""
        parameters = [parameter.detach()[replicas] for parameter in self.parameters]
        return Networks(parameters, len(self.by_optimiser))

    def logits(self, states: Tensor) -> Tensor:
        """Logits of left and right, [R, N, 2], in N states per replica, [R, N, 4]."""
        return _outputs(self._policy, states)

    def values(self, states: Tensor) -> Tensor:
        """Values, [R, N], of states [R, N, 4]."""
        return _outputs(self._critic, states).squeeze(-1)


def _outputs(network: Sequence[Tensor], states: Tensor) -> Tensor:
    """Outputs, [R, N, outputs], of a ReLU hidden layer and a head, given the four parameters."""
    hidden_weights, hidden_biases, head_weights, head_biases = network
    hidden = torch.baddbmm(hidden_biases, states, hidden_weights).relu()  # (R, N, units)
    return torch.baddbmm(head_biases, hidden, head_weights)
