"""The LSTM actor-critic, as a population of R independent replicas.

The parameters of a replica are one row of a tensor [R, P]; every function carries the leading
axis R. All parameters start uniform on ±1/sqrt(hidden size), as PyTorch initialises `nn.LSTM` and
an `nn.Linear` on top of it.

A replica gives the same bits alone or in a population. For this, products are `inputs @ weights`
with weights stored [inputs, outputs]: in this orientation a batched product equals the single one
at all shapes that `tests/training/test_trainer.py` tries. Hidden units and rows of parameters are
padded, so that every replica's weights start at an aligned address, and so that vectorised loops
have no remainder, which PyTorch rounds differently. The padding is zero and stays zero.

Shapes: R replicas, R' = R times 1 trunk, or 2 where policy and critic have separate ones, B trials,
L steps, S stimuli, H units (padded), G = 4H gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pwm.core.errors import require_integer
from pwm.core.streams import Streams, to_uniform
from pwm.core.task import Action

GATES = ("input", "forget", "cell", "output")  # the order of `nn.LSTM`
NUM_GATES = len(GATES)
VALUE = len(Action)  # column of the value in a head, after the policy's logits
NUM_OUTPUTS = VALUE + 1
ROW_MULTIPLE = 32  # PyTorch's vectorised loops take at most 32 numbers at once
UNIT_MULTIPLE = ROW_MULTIPLE // NUM_GATES  # so that the gates of a trunk are a multiple of 32


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """Architecture of the actor-critic."""

    hidden_size: int = 24
    """Units of the LSTM."""
    carry_state: bool = False
    """Carry the LSTM's state across the trials of an episode instead of resetting it."""
    separate_trunks: bool = False
    """Give actor and critic separate LSTMs instead of a shared one."""

    def __post_init__(self) -> None:
        require_integer("hidden_size", self.hidden_size, 1)

    @property
    def num_trunks(self) -> int:
        """LSTMs per replica, each with a full head; policy from the first, value from the last."""
        return 2 if self.separate_trunks else 1


class Weights(NamedTuple):
    """A population's parameters, shaped for `Agent.unroll`."""

    input_weight: Tensor  # (R', S, G)
    recurrent_weight: Tensor  # (R', H, G)
    bias: Tensor  # (R', 1, G)
    head_weight: Tensor  # (R', H, outputs)
    head_bias: Tensor  # (R', 1, outputs)


class State(NamedTuple):
    """The LSTM's state after a step."""

    hidden: Tensor  # (R', B, H)
    cell: Tensor  # (R', B, H)


class Outputs(NamedTuple):
    """Outputs of the heads at each step."""

    logits: Tensor  # (R, B, L, actions)
    values: Tensor  # (R, B, L)
    head_values: Tensor  # (R, B, L): the values, with gradients to the head alone
    hidden: Tensor  # (R, B, L, units): of the LSTM that the policy reads, without gradients


class Agent:
    """One architecture for observations of S stimuli; parameters are arguments of its methods."""

    def __init__(
        self, config: AgentConfig, num_stimuli: int, device: torch.device | str = "cpu"
    ) -> None:
        self.config = config
        self.padded_size = _round_up(config.hidden_size, UNIT_MULTIPLE)
        """Units of a trunk, with padding."""
        self._shapes = _shapes(num_stimuli, config.hidden_size)
        self._padded_shapes = _shapes(num_stimuli, self.padded_size)
        self._sizes = {
            name: config.num_trunks * prod(shape) for name, shape in self._padded_shapes.items()
        }
        size = sum(self._sizes.values())
        self.trunk_size = size - self._sizes["head_weight"] - self._sizes["head_bias"]
        """Number of a replica's parameters before those of its heads, with padding."""
        # tanh(x) = 2 sigmoid(2 x) - 1: doubling the cell gate's parameters lets one function
        # serve all gates.
        scale = torch.ones(1, _round_up(size, ROW_MULTIPLE))
        for name, view in self._padded(scale).items():
            if not name.startswith("head"):
                view[..., GATES.index("cell"), :] = 2  # writes into `scale`
        self._scale = scale.to(device)  # (1, P)

    def initial_parameters(self, seeds: Sequence[int]) -> Tensor:
        """Initial parameters of one replica per seed, on the CPU: [R, P]."""
        parameters = torch.zeros(len(seeds), self._scale.shape[1])
        views = self._unpadded(parameters).values()
        sizes = [view[0].numel() for view in views]
        uniform = to_uniform(Streams(seeds, "initialisation").draw(sum(sizes)))
        drawn = torch.from_numpy((2 * uniform - 1) * np.float32(self.config.hidden_size**-0.5))
        for view, values in zip(views, drawn.split_with_sizes(sizes, dim=1), strict=True):
            view.copy_(values.view(view.shape))
        return parameters

    def named(self, parameters: Tensor) -> dict[str, Tensor]:
        """The parameters [R, P] by name without padding, each [R, trunks, rows, columns].

        Columns are the units of each of `GATES`; in the heads, the logits, then the value.
        """
        return {name: view.flatten(3) for name, view in self._unpadded(parameters).items()}

    def value_head(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Views of the value head's weights, [R, H], and bias, [R], in the parameters [R, P]."""
        views = self._unpadded(parameters)
        weight, bias = (views[name][:, -1, ..., VALUE] for name in ("head_weight", "head_bias"))
        return weight[:, :, 0], bias[:, 0, 0]

    def weights(self, parameters: Tensor) -> Weights:
        """The parameters [R, P] as the weights that `unroll` reads."""
        weights = {
            name: view.reshape(-1, view.shape[2], prod(view.shape[3:]))
            for name, view in self._padded(parameters * self._scale).items()
        }  # (R', rows, columns)
        bias = weights.pop("input_bias") + weights.pop("recurrent_bias")
        return Weights(bias=bias, **weights)

    def unroll(
        self, weights: Weights, observations: Tensor, state: State | None
    ) -> tuple[Outputs, State]:
        """Runs the LSTM and its heads over the L steps of B trials in parallel.

        Args:
            weights: weights of R replicas.
            observations: observations of the trials, [R, B, L, S].
            state: state before the first step; None is the zero state.
        Returns:
            The outputs at every step, and the state after the last.
        """
        replicas, trials, steps, _ = observations.shape
        trunks = self.config.num_trunks
        inputs = observations.flatten(1, 2)  # (R, B L, S)
        if trunks > 1:
            inputs = inputs.repeat_interleave(trunks, dim=0)  # (R', B L, S)
        projected = torch.baddbmm(weights.bias, inputs, weights.input_weight)  # (R', B L, G)
        hidden = []
        for step_input in projected.view(len(inputs), trials, steps, -1).unbind(2):  # (R', B, G)
            state = _lstm_step(weights.recurrent_weight, step_input, state)
            hidden.append(state.hidden)
        features = torch.stack(hidden, dim=2).flatten(1, 2)  # (R', B L, H)
        shape = (replicas, trunks, trials, steps, NUM_OUTPUTS)
        outputs = torch.baddbmm(weights.head_bias, features, weights.head_weight).view(shape)
        # Once more without gradients to the features, so that they reach the heads alone.
        fixed = features.detach()
        of_heads = torch.baddbmm(weights.head_bias, fixed, weights.head_weight).view(shape)
        assert state is not None  # a trial has steps
        return Outputs(
            logits=outputs[:, 0, ..., :VALUE],
            values=outputs[:, -1, ..., VALUE],
            head_values=of_heads[:, -1, ..., VALUE],
            hidden=fixed.view(*shape[:-1], -1)[:, 0, ..., : self.config.hidden_size],
        ), state

    def _padded(self, parameters: Tensor) -> dict[str, Tensor]:
        """Views of the parameters by name, [R, trunks, rows, blocks, columns], with padding."""
        sizes = list(self._sizes.values())
        columns = parameters[:, : sum(sizes)].split_with_sizes(sizes, dim=1)
        return {
            name: values.view(len(values), self.config.num_trunks, *shape)
            for (name, shape), values in zip(self._padded_shapes.items(), columns, strict=True)
        }

    def _unpadded(self, parameters: Tensor) -> dict[str, Tensor]:
        """The same views without padding."""
        padded = self._padded(parameters)
        return {
            name: padded[name][:, :, :rows, :, :columns]
            for name, (rows, _, columns) in self._shapes.items()
        }


def _round_up(number: int, multiple: int) -> int:
    """The least multiple that is not below the number."""
    return -(-number // multiple) * multiple


def _shapes(num_stimuli: int, hidden_size: int) -> dict[str, tuple[int, int, int]]:
    """Rows, blocks (gates) and columns of a trunk's parameters, in the order of initial draws."""
    return {
        "input_weight": (num_stimuli, NUM_GATES, hidden_size),
        "recurrent_weight": (hidden_size, NUM_GATES, hidden_size),
        "input_bias": (1, NUM_GATES, hidden_size),
        "recurrent_bias": (1, NUM_GATES, hidden_size),
        "head_weight": (hidden_size, 1, NUM_OUTPUTS),
        "head_bias": (1, 1, NUM_OUTPUTS),
    }


def _lstm_step(recurrent_weight: Tensor, step_input: Tensor, state: State | None) -> State:
    """One step of the LSTM.

    Args:
        recurrent_weight: (R', H, G), G = 4 H. In this and in the inputs, the columns of the cell
            gate are doubled (see `Agent._scale`), since tanh(x) = 2 sigmoid(2 x) - 1.
        step_input: inputs to the gates from the observation, with the biases, (R', B, G).
        state: state before the step; None is the zero state.
    """
    if state is not None:
        step_input = torch.baddbmm(step_input, state.hidden, recurrent_weight)
    assert step_input.numel() % ROW_MULTIPLE == 0  # so that sigmoid has no remainder
    gates = torch.sigmoid(step_input)  # (R', B, G)
    input_gate, forget_gate, candidate, output_gate = gates.chunk(NUM_GATES, dim=-1)
    cell = input_gate * (candidate + candidate - 1)
    if state is not None:
        cell = cell + forget_gate * state.cell
    return State(output_gate * torch.tanh(cell), cell)
