"""The LSTM actor-critic, as a population of R independent replicas.

The parameters of a replica are one row of a tensor [R, P], which `Agent.weights` gives its
shapes, and every function here carries the leading axis R. All of them start uniform on
±1/sqrt(hidden size), which is what PyTorch gives `nn.LSTM` and an `nn.Linear` that reads it.

A replica is bit-identical alone and in company. That takes care in three places. Products are
written `inputs @ weights` with weights stored [inputs, outputs], the orientation in which a
batched product equals the single one at every shape tried. Hidden units are filled up to a
multiple of 8 and rows of parameters to one of 32, so that every replica's weights start at an
aligned address; what is filled in is zero and stays zero. And see `_sigmoid`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from pwm.core.errors import require_integer
from pwm.core.streams import Streams, to_uniform
from pwm.core.task import Action

NUM_GATES = 4  # input, forget, cell, output: the order of nn.LSTM
CELL_GATE = 2
BLOCK = 32  # a multiple of the elements that PyTorch's vectorised loops take at a time
NUM_OUTPUTS = len(Action) + 1  # the policy's logits, then the value


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """Who plays."""

    hidden_size: int = 24
    """Units of the LSTM."""
    carry_state: bool = False
    """Carry the LSTM's state across the trials of an episode instead of resetting it."""
    separate_trunks: bool = False
    """Give actor and critic an LSTM each instead of one in common."""

    def __post_init__(self) -> None:
        require_integer("hidden_size", self.hidden_size, 1)

    @property
    def num_trunks(self) -> int:
        """LSTMs a replica.

        Each has a full head; with two, the policy is read from the first and the value from
        the second, and the rest of the heads is idle.
        """
        return 2 if self.separate_trunks else 1


class Weights(NamedTuple):
    """A population's parameters in their shapes.

    R' counts the trunks of all replicas, G = 4H the gates of one.
    """

    input_weight: Tensor  # (R', S, G)
    recurrent_weight: Tensor  # (R', H, G)
    bias: Tensor  # (R', 1, G)
    head_weight: Tensor  # (R', H, 4)
    head_bias: Tensor  # (R', 1, 4)


class State(NamedTuple):
    """The LSTM's state after a step."""

    hidden: Tensor  # (R', B, H)
    cell: Tensor  # (R', B, H)


class Outputs(NamedTuple):
    """What the heads say at each step."""

    logits: Tensor  # (R, B, L, actions)
    values: Tensor  # (R, B, L)
    head_values: Tensor  # (R, B, L): the same, with gradients to the head alone


class Agent:
    """The functions of one architecture. It holds no parameters.

    Args:
        config: the architecture.
        num_stimuli: S, the width of an observation.
        device: where the population lives.
    """

    def __init__(
        self, config: AgentConfig, num_stimuli: int, device: torch.device | str = "cpu"
    ) -> None:
        self.config = config
        self.shapes = _shapes(num_stimuli, config.hidden_size)
        """Rows, blocks and columns of a trunk's parameters, in the order of their draws."""
        self.padded_size = _round_up(config.hidden_size, 8)
        """Units of a trunk, with padding."""
        self._padded_shapes = _shapes(num_stimuli, self.padded_size)
        self._sizes = [config.num_trunks * prod(shape) for shape in self._padded_shapes.values()]
        self._rest = _round_up(sum(self._sizes), BLOCK) - sum(self._sizes)
        # tanh(x) = 2 sigmoid(2 x) - 1, with x doubled by doubling the parameters: one function
        # for all gates
        scale = [torch.ones(config.num_trunks, *shape) for shape in self._padded_shapes.values()]
        for part in scale[:-2]:
            part[..., CELL_GATE, :] = 2
        flat = torch.cat([part.flatten() for part in scale])
        self._scale = pad(flat, (0, self._rest)).to(device)  # (P,)

    @property
    def num_parameters(self) -> int:
        """Parameters of one replica that are not padding."""
        return self.config.num_trunks * sum(prod(shape) for shape in self.shapes.values())

    @property
    def trunk_size(self) -> int:
        """Of a replica's parameters, how many come before its heads', with padding."""
        return sum(self._sizes[:-2])

    def initial_parameters(self, seeds: Sequence[int]) -> Tensor:
        """Parameters of one replica for each seed, on the CPU: [R, P]."""
        integers = Streams(seeds, "initialisation").draw(self.num_parameters)
        bound = np.float32(self.config.hidden_size**-0.5)
        drawn = torch.from_numpy((2 * to_uniform(integers) - 1) * bound)
        trunks = self.config.num_trunks
        sizes = [trunks * prod(shape) for shape in self.shapes.values()]
        parts = [
            pad(
                part.view(-1, trunks, *shape),
                (0, padded[2] - shape[2], 0, 0, 0, padded[0] - shape[0]),
            ).flatten(1)
            for part, shape, padded in zip(
                drawn.split_with_sizes(sizes, dim=1),
                self.shapes.values(),
                self._padded_shapes.values(),
                strict=True,
            )
        ]
        return pad(torch.cat(parts, dim=1), (0, self._rest))

    def named(self, parameters: Tensor) -> dict[str, Tensor]:
        """The parameters [R, P] by name without padding, each [R, trunks, rows, columns].

        Gates stand side by side in the columns, in the order of `nn.LSTM`; the head's columns
        are the logits and the value.
        """
        parts = parameters.split_with_sizes([*self._sizes, self._rest], dim=1)
        return {
            name: part.view(len(part), -1, *padded)[:, :, : shape[0], :, : shape[2]].flatten(3)
            for part, (name, shape), padded in zip(
                parts[:-1], self.shapes.items(), self._padded_shapes.values(), strict=True
            )
        }

    def weights(self, parameters: Tensor) -> Weights:
        """The weights that `unroll` reads, from the parameters [R, P]."""
        *parts, _ = (parameters * self._scale).split_with_sizes([*self._sizes, self._rest], dim=1)
        input_weight, recurrent_weight, input_bias, recurrent_bias, head_weight, head_bias = (
            part.reshape(-1, rows, blocks * columns)
            for part, (rows, blocks, columns) in zip(
                parts, self._padded_shapes.values(), strict=True
            )
        )
        bias = input_bias + recurrent_bias
        return Weights(input_weight, recurrent_weight, bias, head_weight, head_bias)

    def unroll(
        self, weights: Weights, observations: Tensor, state: State | None
    ) -> tuple[Outputs, State]:
        """Runs the LSTM and its heads over the steps of B trials side by side.

        Args:
            weights: of R replicas.
            observations: [R, B, L, S].
            state: where to start; None is the zero state.
        Returns:
            What the heads say at every step, and the state after the last.
        """
        replicas, trials, steps, _ = observations.shape
        trunks = self.config.num_trunks
        inputs = observations.flatten(1, 2)  # (R, B L, S)
        if trunks > 1:
            inputs = inputs.repeat_interleave(trunks, dim=0)  # (R', B L, S)
        projected = torch.baddbmm(weights.bias, inputs, weights.input_weight)
        hidden = []
        for step_input in projected.view(len(inputs), trials, steps, -1).unbind(2):  # (R', B, G)
            state = _lstm_step(weights.recurrent_weight, step_input, state)
            hidden.append(state.hidden)
        features = torch.stack(hidden, dim=2).flatten(1, 2)  # (R', B L, H)
        shape = (replicas, trunks, trials, steps, NUM_OUTPUTS)
        by_trunk, of_head = (
            torch.baddbmm(weights.head_bias, inputs, weights.head_weight).view(shape).unbind(1)
            for inputs in (features, features.detach())
        )
        assert state is not None  # a trial has steps
        logits = by_trunk[0][..., : len(Action)]
        return Outputs(logits, by_trunk[-1][..., -1], of_head[-1][..., -1]), state


def _shapes(num_stimuli: int, hidden_size: int) -> dict[str, tuple[int, int, int]]:
    return {
        "input_weight": (num_stimuli, NUM_GATES, hidden_size),
        "recurrent_weight": (hidden_size, NUM_GATES, hidden_size),
        "input_bias": (1, NUM_GATES, hidden_size),
        "recurrent_bias": (1, NUM_GATES, hidden_size),
        "head_weight": (hidden_size, 1, NUM_OUTPUTS),
        "head_bias": (1, 1, NUM_OUTPUTS),
    }


def _round_up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def _lstm_step(recurrent_weight: Tensor, step_input: Tensor, state: State | None) -> State:
    if state is not None:
        step_input = torch.baddbmm(step_input, state.hidden, recurrent_weight)
    gates = _sigmoid(step_input)  # (R', B, G)
    input_gate, forget_gate, candidate, output_gate = gates.chunk(NUM_GATES, dim=-1)
    cell = input_gate * (candidate + candidate - 1)
    if state is not None:
        cell = cell + forget_gate * state.cell
    return State(output_gate * torch.tanh(cell), cell)


def _sigmoid(inputs: Tensor) -> Tensor:
    """`torch.sigmoid`, the same for an element wherever it stands; padding sees to that.

    PyTorch takes elements in blocks and the rest one by one, with another exponential.
    """
    assert inputs.numel() % BLOCK == 0
    return torch.sigmoid(inputs)
