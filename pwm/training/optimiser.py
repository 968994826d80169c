"""The optimisers of `TrainConfig.optimizer`, as in PyTorch, for R replicas.

With gradient g, learning rate η, `momentum_decay` β₁, `square_decay` β₂ and `epsilon` ε, a
parameter's step at update t = 1, 2, ... is

    sgd       -η g
    rmsprop   -η g / (√s + ε),   s ← β₂ s + (1 - β₂) g²
    adam      -η m̂ / (√ŝ + ε),   m ← β₁ m + (1 - β₁) g,   m̂ = m / (1 - β₁ᵗ),   ŝ = s / (1 - β₂ᵗ)

Sources: Tieleman & Hinton (2012), lecture 6.5; Kingma & Ba (2015). Shapes: R replicas, P
parameters of a replica, M gradients per update, each with its own averages s and m.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pwm.training.config import TrainConfig


class Optimiser:
    """Updates the parameters of R replicas; `state` has what else a step changes.

    Args:
        parameters: parameters, updated in place, [R, P].
        rates: learning rate of each parameter, [R, P].
        config: configuration of the runs, with the optimiser and its settings.
        num_gradients: M, the number of gradients to step against at each update.
    """

    def __init__(
        self, parameters: Tensor, rates: Tensor, config: TrainConfig, num_gradients: int
    ) -> None:
        self._parameters = parameters.detach()  # shares storage
        self._rates, self._config = rates, config
        replicas, size = parameters.shape
        zeros = self._parameters.new_zeros(replicas, num_gradients, size)
        self.state = {"square_average": zeros}  # s, (R, M, P); SGD leaves it at 0
        if config.optimizer == "adam":
            self.state["average"] = zeros.clone()  # m, (R, M, P)
            # β₁ᵗ and β₂ᵗ, (R, 2): a row per replica, like the rest of the state, but all equal.
            # Doubles, as in PyTorch; on the CPU, as some devices have none.
            self.state["decay_powers"] = torch.ones(replicas, 2, dtype=torch.float64)

    def step(self, *gradients: Tensor) -> None:
        """Takes one step against each of the M gradients, [R, P] each."""
        config = self._config
        decays = config.momentum_decay, config.square_decay  # β₁ and β₂
        mean_decay, square_decay = decays
        if config.optimizer == "adam":
            self.state["decay_powers"] *= torch.tensor(decays, dtype=torch.float64)
        squares = self.state["square_average"].unbind(1)  # views, [R, P] each
        for index, (square, gradient) in enumerate(zip(squares, gradients, strict=True)):
            if config.optimizer == "sgd":
                self._parameters -= self._rates * gradient
                continue
            square.mul_(square_decay).addcmul_(gradient, gradient, value=1 - square_decay)
            direction, root = gradient, square.sqrt()
            if config.optimizer == "adam":
                average = self.state["average"][:, index]
                average.mul_(mean_decay).add_(gradient * (1 - mean_decay))
                corrections = 1 - self.state["decay_powers"]  # 1 - β₁ᵗ and 1 - β₂ᵗ
                direction = average / corrections[:, :1].to(average)
                root = root / corrections[:, 1:].sqrt().to(root)
            self._parameters.addcdiv_(self._rates * direction, root + config.epsilon, value=-1)
