"""The storage of the agent's parameters: a tensor [R, P], a vector of P numbers per replica.

Zeros pad each LSTM to a multiple of 8 units (the default of 24 needs none), and vectors to a
multiple of 32 numbers. A padded unit's weights, in and out, start at 0, so it outputs 0 and passes
no gradient on: they stay 0. So padded, a replica's results have the same bits alone and in a
population.

Shapes: R replicas; R' LSTMs, which is R, or 2 R if policy and critic have separate ones; P
parameters per replica, with padding; S stimuli; U units of an LSTM, with padding; 4 U gate units.
A head has 4 outputs: three logits and a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod

import numpy as np
import torch
from torch import Tensor

from pwm.core.agent import NUM_GATES, NUM_OUTPUTS, VALUE, AgentConfig, Weights
from pwm.training.streams import Streams, to_uniform

VECTOR_MULTIPLE = 32  # PyTorch takes up to 32 numbers at once; a remainder rounds differently
UNIT_MULTIPLE = VECTOR_MULTIPLE // NUM_GATES  # makes the number of gate units a multiple of 32


def _shapes(num_stimuli: int, units: int) -> dict[str, tuple[int, int, int]]:
    """Shapes of the parameters of an LSTM and its head by name: rows, blocks, columns per block.

    An LSTM tensor has one block per gate, a head tensor a single one. Initial parameters are drawn
    in this order.
    """
    return {
        "input_weight": (num_stimuli, NUM_GATES, units),
        "recurrent_weight": (units, NUM_GATES, units),
        "input_bias": (1, NUM_GATES, units),
        "recurrent_bias": (1, NUM_GATES, units),
        "head_weight": (units, 1, NUM_OUTPUTS),
        "head_bias": (1, 1, NUM_OUTPUTS),
    }


class Layout:
    """The place of each parameter in a replica's vector, for LSTMs of `hidden_size` units.

    A replica has `num_trunks` LSTMs, each with a linear head. Its vector has the tensors in the
    order of `_shapes`: each first of the first LSTM or head, then of the second, if there are two.
    """

    def __init__(self, config: AgentConfig, num_stimuli: int) -> None:
        hidden_size, num_trunks = config.hidden_size, config.num_trunks
        self.padded_size = ceil(hidden_size / UNIT_MULTIPLE) * UNIT_MULTIPLE
        """U, the number of units per LSTM, with padding."""
        self._hidden_size, self._num_trunks = hidden_size, num_trunks
        self._shapes = _shapes(num_stimuli, hidden_size)
        self._padded_shapes = _shapes(num_stimuli, self.padded_size)
        self._sizes = [num_trunks * prod(shape) for shape in self._padded_shapes.values()]
        self.trunk_size = sum(self._sizes[:-2])  # the heads' weights and biases come last
        """Number of parameters of LSTMs, with padding; they come first in the vector."""

    def initial_parameters(self, seeds: Sequence[int]) -> Tensor:
        """Initial parameters of one replica per seed, on the CPU: [R, P].

        Uniform on ±1/sqrt(hidden size), as in `nn.LSTM`; in heads too.
        """
        vector_size = ceil(sum(self._sizes) / VECTOR_MULTIPLE) * VECTOR_MULTIPLE  # P
        parameters = torch.zeros(len(seeds), vector_size)
        views = self._unpadded(parameters).values()
        counts = [view[0].numel() for view in views]  # numbers to draw for each tensor
        uniform = to_uniform(Streams(seeds, "initialisation").draw(sum(counts)))
        bound = np.float32(self._hidden_size**-0.5)
        drawn = torch.from_numpy((2 * uniform - 1) * bound).split_with_sizes(counts, dim=1)
        for view, values in zip(views, drawn, strict=True):
            view.copy_(values.view(view.shape))  # writes into `parameters`
        return parameters

    def named(self, parameters: Tensor) -> dict[str, Tensor]:
        """The parameters [R, P] by name, without padding: [R, trunks, rows, columns] each.

        Weights have a row per input, biases one row. LSTM tensors have a column per unit, gate by
        gate; head tensors have a column per logit, then one for the value. Head tensors are views:
        writing to them changes `parameters`. LSTM tensors may be copies.
        """
        return {name: view.flatten(3) for name, view in self._unpadded(parameters).items()}

    def value_head(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Weights, [R, hidden size], and bias, [R], of the value head: views of the parameters."""
        named = self.named(parameters)
        return named["head_weight"][:, -1, :, VALUE], named["head_bias"][:, -1, 0, VALUE]

    def weights(self, parameters: Tensor) -> Weights:
        """Rearranges the parameters [R, P] into the weights that `unroll` reads."""
        views = self._padded(parameters.clone())  # a clone is aligned; addresses affect rounding
        # (R', rows, columns) each
        weights = {name: view.flatten(3).flatten(0, 1) for name, view in views.items()}
        bias = weights.pop("input_bias") + weights.pop("recurrent_bias")
        return Weights(bias=bias, **weights)

    def _padded(self, parameters: Tensor) -> dict[str, Tensor]:
        """Views of the parameters by name, with padding: [R, trunks, *shape] each (`_shapes`)."""
        parts = parameters[:, : sum(self._sizes)].split_with_sizes(self._sizes, dim=1)
        return {
            name: part.view(len(part), self._num_trunks, *shape)
            for (name, shape), part in zip(self._padded_shapes.items(), parts, strict=True)
        }

    def _unpadded(self, parameters: Tensor) -> dict[str, Tensor]:
        """The views of `_padded` without the padding's rows and columns."""
        padded = self._padded(parameters)  # (R, trunks, rows, blocks, columns) each
        return {
            name: padded[name][:, :, :rows, :, :columns]
            for name, (rows, _, columns) in self._shapes.items()
        }
