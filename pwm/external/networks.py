"""The policies and critics of many replicas, computed together."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pwm.external.loops import LoopSetting

STATES, ACTIONS = 4, 2  # numbers of a CartPole state, actions

Layer = tuple[Tensor, Tensor]
"""Weights [R, inputs, outputs] and biases [R, 1, outputs]."""


class Networks:
    """A policy and a critic for each of R replicas, of one hidden layer each.

    Args:
        layers: the hidden layer that both share, or that of the policy and that of the critic;
            then the policy's head and the critic's.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        for layer in layers:
            for parameter in layer:
                parameter.requires_grad_()
        *hidden, policy_head, critic_head = layers
        self._layers = layers
        self._policy = [hidden[0], policy_head]
        self._critic = [hidden[-1], critic_head]

    @classmethod
    def drawn(cls, seeds: Sequence[int], setting: LoopSetting) -> Networks:
        """Draws a loop's networks for each seed, as Keras does by default.

        Weights are uniform with Glorot's limit, sqrt(6 / (inputs + outputs)); biases are 0.
        """
        num_hidden = 1 if setting.shared else 2
        sizes = [(STATES, setting.units)] * num_hidden
        sizes += [(setting.units, ACTIONS), (setting.units, 1)]
        drawn: list[list[NDArray[np.float64]]] = [[] for _ in sizes]  # by layer and replica
        for seed in seeds:
            random = np.random.default_rng([seed, 1])  # the poles use the seed alone
            for of_layer, size in zip(drawn, sizes, strict=True):
                of_layer.append(random.uniform(-1, 1, size) * sqrt(6 / sum(size)))
        layers = []
        for weights, (_, outputs) in zip(drawn, sizes, strict=True):
            stacked = torch.tensor(np.stack(weights)).float()
            layers.append((stacked, torch.zeros(len(seeds), 1, outputs)))
        return cls(layers)

    def copies(self, replicas: Tensor) -> Networks:
        """Copies of the networks of some replicas, by index."""
        layers = [(w.detach()[replicas], b.detach()[replicas]) for w, b in self._layers]
        return Networks(layers)

    def parameters(self) -> list[Tensor]:
        """Every parameter once."""
        return _parameters(self._layers)

    def trained(self, optimisers: int) -> list[list[Tensor]]:
        """Parameters that each optimiser trains: all, or the policy's and the critic's.

        A shared hidden layer is trained by both.
        """
        if optimisers == 1:
            return [self.parameters()]
        return [_parameters(self._policy), _parameters(self._critic)]

    def logits(self, states: Tensor) -> Tensor:
        """Logits of the actions, [R, N, 2], in states [R, N, 4]."""
        return _outputs(self._policy, states)

    def values(self, states: Tensor) -> Tensor:
        """Values, [R, N], of states [R, N, 4]."""
        return _outputs(self._critic, states).squeeze(-1)


def _parameters(layers: Sequence[Layer]) -> list[Tensor]:
    """The parameters of some layers, in order."""
    return [parameter for layer in layers for parameter in layer]


def _outputs(layers: Sequence[Layer], states: Tensor) -> Tensor:
    """Outputs, [R, N, outputs], of a hidden layer with ReLU and a head."""
    (hidden_weights, hidden_biases), (head_weights, head_biases) = layers
    hidden = torch.baddbmm(hidden_biases, states, hidden_weights).relu()
    return torch.baddbmm(head_biases, hidden, head_weights)
