"""Policy and value networks of many replicas, computed in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pwm.external.loops import LoopSetting

STATE_SIZE = 4  # numbers in a state of CartPole
NUM_ACTIONS = 2

Layer = tuple[Tensor, Tensor]
"""Weights [R, inputs, outputs] and biases [R, 1, outputs]."""


class Networks:
    """A policy and a critic for each of R replicas, each with one hidden layer, perhaps shared.

    Args:
        layers: (hidden, policy's head, critic's head) if the hidden layer is shared, else (policy's
            hidden, critic's hidden, policy's head, critic's head).
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        for layer in layers:
            for parameter in layer:
                parameter.requires_grad_()
        *hidden, policy_head, critic_head = layers
        self._layers = layers
        self._policy = [hidden[0], policy_head]
        self._critic = [hidden[-1], critic_head]  # hidden[-1] is hidden[0] if it is shared

    @classmethod
    def draw(cls, seeds: Sequence[int], setting: LoopSetting) -> Networks:
        """Draws the initial networks of a loop, one per seed, as Keras does by default.

        Weights are uniform with Glorot's limit, sqrt(6 / (inputs + outputs)); biases are 0.
        """
        num_hidden = 1 if setting.shared else 2
        sizes = [(STATE_SIZE, setting.units)] * num_hidden  # inputs and outputs of each layer
        sizes += [(setting.units, NUM_ACTIONS), (setting.units, 1)]
        weights: list[list[NDArray[np.float64]]] = [[] for _ in sizes]  # by layer and replica
        for seed in seeds:
            random = np.random.default_rng([seed, 1])  # `CartPoles` uses `default_rng(seed)`
            for of_layer, size in zip(weights, sizes, strict=True):
                of_layer.append(random.uniform(-1, 1, size) * sqrt(6 / sum(size)))
        layers = []
        for of_layer, (_, outputs) in zip(weights, sizes, strict=True):
            stacked = torch.tensor(np.stack(of_layer)).float()
            layers.append((stacked, torch.zeros(len(seeds), 1, outputs)))
        return cls(layers)

    def copies(self, replicas: Tensor) -> Networks:
        """Copies of the networks of r replicas, given by their indices, [r]."""
        layers = [
            (weights.detach()[replicas], biases.detach()[replicas])
            for weights, biases in self._layers
        ]
        return Networks(layers)

    def parameters(self) -> list[Tensor]:
        """Parameters of all layers, each once."""
        return _parameters(self._layers)

    def by_optimiser(self, num_optimisers: int) -> list[list[Tensor]]:
        """Lists of the parameters that each optimiser trains.

        A single optimiser trains all. Of two, one trains the policy and one the critic, and both
        train a shared hidden layer.
        """
        if num_optimisers == 1:
            return [self.parameters()]
        return [_parameters(self._policy), _parameters(self._critic)]

    def logits(self, states: Tensor) -> Tensor:
        """Logits of the actions, [R, N, 2], in states [R, N, 4]."""
        return _outputs(self._policy, states)

    def values(self, states: Tensor) -> Tensor:
        """Values, [R, N], of states [R, N, 4]."""
        return _outputs(self._critic, states).squeeze(-1)


def _parameters(layers: Sequence[Layer]) -> list[Tensor]:
    """Weights and biases of some layers, in the order of the layers."""
    return [parameter for layer in layers for parameter in layer]


def _outputs(layers: Sequence[Layer], states: Tensor) -> Tensor:
    """Outputs, [R, N, outputs], of a network, given its hidden layer (with ReLU) and its head."""
    (hidden_weights, hidden_biases), (head_weights, head_biases) = layers
    hidden = torch.baddbmm(hidden_biases, states, hidden_weights).relu()
    return torch.baddbmm(head_biases, hidden, head_weights)
