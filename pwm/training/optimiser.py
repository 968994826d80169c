"""The optimisers of `TrainConfig.optimizer`: PyTorch's, for R replicas with rates of their own.

With a gradient g, the rate η, decays β₁ (`momentum_decay`) and β₂ (`square_decay`) and ε, the step
of a parameter at the t-th update is

    sgd       -η g
    rmsprop   -η g / (√s + ε),   s ← β₂ s + (1 - β₂) g²
    adam      -η m̂ / (√ŝ + ε),   m ← β₁ m + (1 - β₁) g,   m̂ = m / (1 - β₁ᵗ),   ŝ = s / (1 - β₂ᵗ)

Sources: Tieleman & Hinton (2012), lecture 6.5; Kingma & Ba (2015). Shapes: M memories, one for each
of the gradients that are stepped against; P parameters.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from pwm.core.config import TrainConfig


class Optimiser:
    """Updates the parameters of R replicas.

    Args:
        parameters: parameters, updated in place, [R, P].
        rates: learning rates, [R, P].
        config: configuration of the runs, which names the optimiser and has its settings.
        memories: M, the number of gradients to step against at each update.
    """

    def __init__(
        self, parameters: Tensor, rates: Tensor, config: TrainConfig, memories: int = 1
    ) -> None:
        self.parameters = parameters.detach()  # shares storage
        self._rates, self._config = rates, config
        memory = torch.zeros_like(self.parameters).repeat(memories, 1, 1)  # (M, R, P)
        self._state = {"square_average": memory}
        if config.optimizer == "adam":
            powers = torch.ones(len(rates), 2, dtype=torch.float64)  # β₁ᵗ and β₂ᵗ, all rows alike
            self._state |= {"average": torch.zeros_like(memory), "decay_powers": powers}

    def step(self, *gradients: Tensor) -> None:
        """Takes one step against each of M gradients [R, P], which it overwrites."""
        optimizer, epsilon = self._config.optimizer, self._config.epsilon
        if optimizer == "adam":
            decays = [self._config.momentum_decay, self._config.square_decay]
            self._state["decay_powers"] *= torch.tensor(decays, dtype=torch.float64)
        memories = range(len(self._state["square_average"]))
        for memory, gradient in zip(memories, gradients, strict=True):
            if optimizer == "sgd":
                self.parameters -= gradient.mul_(self._rates)
                continue
            root = self._root(memory, gradient)
            if optimizer == "adam":
                self._average(memory, gradient, root)
            gradient.mul_(self._rates)
            self.parameters.addcdiv_(gradient, root.add_(epsilon), value=-1)

    def state(self) -> dict[str, Tensor]:
        """The optimiser's memories by name, [R, M, P], and Adam's powers of its decays, [R, 2]."""
        return {
            name: part.transpose(0, 1) if part.dim() == 3 else part
            for name, part in self._state.items()
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Restores an earlier `state`."""
        for name, part in self.state().items():
            part.copy_(state[name])

    def _root(self, memory: int, gradient: Tensor) -> Tensor:
        """Updates a mean square s, and returns its root: [R, P]."""
        square_average, decay = self._state["square_average"][memory], self._config.square_decay
        square_average.mul_(decay).addcmul_(gradient, gradient, value=1 - decay)
        return square_average.sqrt()

    def _average(self, memory: int, gradient: Tensor, root: Tensor) -> None:
        """Updates Adam's mean gradient m; replaces the gradient by m̂, and √s by √ŝ."""
        average, decay = self._state["average"][memory], self._config.momentum_decay
        average.mul_(decay).add_(gradient.mul_(1 - decay))
        seen = 1 - self._state["decay_powers"]  # sums of the weights in the averages
        torch.div(average, seen[:, :1].to(average), out=gradient)
        root /= seen[:, 1:].sqrt().to(root)
