"""RMSprop for a population: PyTorch's, with a learning rate a replica."""

from __future__ import annotations

import torch
from torch import Tensor

SMOOTHING = 0.99
EPSILON = 1e-8


class RMSprop:
    """`torch.optim.RMSprop` with its defaults, one learning rate a replica.

    Source: Tieleman & Hinton (2012), lecture 6.5; epsilon is added outside the root.

    Args:
        parameters: [R, P], updated in place.
        learning_rates: [R].
    """

    def __init__(self, parameters: Tensor, learning_rates: Tensor) -> None:
        self.parameters = parameters.detach()  # the same memory
        self.square_average = torch.zeros_like(self.parameters)
        self._learning_rates = learning_rates.unsqueeze(1)

    def step(self, gradient: Tensor) -> None:
        """One update along a gradient [R, P], which it overwrites."""
        self.square_average.mul_(SMOOTHING).addcmul_(gradient, gradient, value=1 - SMOOTHING)
        gradient.mul_(self._learning_rates)
        self.parameters.addcdiv_(gradient, self.square_average.sqrt().add_(EPSILON), value=-1)
