"""The LSTM actor-critic, as a population of R independent replicas.

`Agent.unroll` is the network, the same as `nn.LSTM` and an `nn.Linear` on top of it. The rest lays
out its parameters, a replica's in one row of a tensor [R, P]; skip it at a first reading. Units are
added to each LSTM, and numbers to each row, up to multiples of 8 and 32. They are zero, and so
are their gradients, as nothing leads into a padded unit or out of it. So padded, a replica's
results have the same bits alone and in a population.

Shapes: R replicas; R' LSTMs, which is R, or 2 R if policy and critic have separate ones; P
parameters per replica, with padding; N trials, L steps per trial, S stimuli; U units of an LSTM,
with padding; 4 U gate units. A head has 4 outputs: three logits and a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod
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
ROW_MULTIPLE = 32  # PyTorch's loops take up to 32 numbers at once; a remainder rounds differently
UNIT_MULTIPLE = ROW_MULTIPLE // NUM_GATES  # makes the number of gate units a multiple of 32


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
        """Number of LSTMs per replica; the policy reads the first, the critic the last."""
        return 2 if self.separate_trunks else 1


class Weights(NamedTuple):
    """A population's parameters, shaped for `Agent.unroll`."""

    input_weight: Tensor  # (R', S, 4 U)
    recurrent_weight: Tensor  # (R', U, 4 U)
    bias: Tensor  # (R', 1, 4 U): sum of the two biases of `nn.LSTM`, each of which learns
    head_weight: Tensor  # (R', U, outputs)
    head_bias: Tensor  # (R', 1, outputs)


class State(NamedTuple):
    """The LSTM's state after a step."""

    hidden: Tensor  # (R', N, U)
    cell: Tensor  # (R', N, U)


class Outputs(NamedTuple):
    """Outputs at each step; `head_values` serve the baselines attached_head and attached_trunk."""

    logits: Tensor  # (R, N, L, actions)
    values: Tensor  # (R, N, L)
    head_values: Tensor  # (R, N, L): equal to `values`, but gradients reach only the value head
    hidden: Tensor  # (R, N, L, hidden size): of the LSTM that the policy reads, without gradients


class Agent:
    """An actor-critic for observations of S stimuli, without its parameters.

    A trunk is an LSTM. On each trunk is a linear head, which outputs the policy's logits and the
    value. Of two heads, the first one's value and the last one's logits are not used.
    """

    def __init__(
        self, config: AgentConfig, num_stimuli: int, device: torch.device | str = "cpu"
    ) -> None:
        self.config = config
        self.padded_size = ceil(config.hidden_size / UNIT_MULTIPLE) * UNIT_MULTIPLE
        """U, the number of units per LSTM, with padding."""
        self._shapes = _shapes(num_stimuli, config.hidden_size)
        self._padded_shapes = _shapes(num_stimuli, self.padded_size)
        self._sizes = [config.num_trunks * prod(shape) for shape in self._padded_shapes.values()]
        self.trunk_size = sum(self._sizes[:-2])  # the heads' weights and biases come last
        """Number of trunk parameters per replica, with padding; they come first in P."""
        gate_scale = torch.tensor([2.0 if gate == "cell" else 1.0 for gate in GATES])  # see _step
        self._gate_scale = gate_scale.repeat_interleave(self.padded_size).to(device)  # (4 U,)

    def unroll(
        self, weights: Weights, observations: Tensor, state: State | None
    ) -> tuple[Outputs, State]:
        """Runs the LSTM and its heads over the L steps of N trials, which run in parallel.

        Observations are [R, N, L, S]. `state` is that before the first step, None for zeros.
        Returns the outputs at every step, and the state after the last.
        """
        replicas, trials, steps, _ = observations.shape
        trunks = self.config.num_trunks
        inputs = observations.flatten(1, 2).repeat_interleave(trunks, dim=0)  # (R', N L, S)
        projected = torch.baddbmm(weights.bias, inputs, weights.input_weight)  # (R', N L, 4 U)
        by_step = projected.view(len(inputs), trials, steps, -1).unbind(2)  # (R', N, 4 U) each
        hidden = []
        for step_input in by_step:
            state = self._step(weights.recurrent_weight, step_input, state)
            hidden.append(state.hidden)
        assert state is not None  # a trial has steps
        units = torch.stack(hidden, dim=2).flatten(1, 2)  # (R', N L, U)
        detached = units.detach()
        shape = (replicas, trunks, trials, steps, -1)  # -1: outputs or units

        def heads(features: Tensor) -> Tensor:
            """Outputs of the heads, [R, trunks, N, L, outputs], from features [R', N L, U]."""
            return torch.baddbmm(weights.head_bias, features, weights.head_weight).view(shape)

        outputs = heads(units)
        return Outputs(
            logits=outputs[:, 0, ..., :VALUE],
            values=outputs[:, -1, ..., VALUE],
            head_values=heads(detached)[:, -1, ..., VALUE],
            hidden=detached.view(shape)[:, 0, ..., : self.config.hidden_size],
        ), state

    def _step(self, recurrent_weight: Tensor, step_input: Tensor, state: State | None) -> State:
        """Takes one LSTM step; `step_input` is the gate units' input without the recurrent part."""
        if state is not None:
            step_input = torch.baddbmm(step_input, state.hidden, recurrent_weight)
        assert step_input.numel() % ROW_MULTIPLE == 0  # so that sigmoid has no remainder
        # One call of sigmoid serves all gates: the cell gate's tanh(x) is 2 sigmoid(2 x) - 1.
        gates = torch.sigmoid(step_input * self._gate_scale)  # (R', N, 4 U)
        input_gate, forget_gate, candidate, output_gate = gates.chunk(NUM_GATES, dim=-1)
        cell = input_gate * (2 * candidate - 1)
        if state is not None:
            cell = cell + forget_gate * state.cell
        return State(output_gate * torch.tanh(cell), cell)

    def initial_parameters(self, seeds: Sequence[int]) -> Tensor:
        """Initial parameters of one replica per seed, on the CPU: [R, P].

        They are uniform on ±1/sqrt(hidden size), as in `nn.LSTM`; those of the heads too.
        """
        row_size = ceil(sum(self._sizes) / ROW_MULTIPLE) * ROW_MULTIPLE  # P
        parameters = torch.zeros(len(seeds), row_size)
        views = self._unpadded(parameters).values()
        counts = [view[0].numel() for view in views]  # numbers to draw for each tensor
        uniform = to_uniform(Streams(seeds, "initialisation").draw(sum(counts)))
        bound = np.float32(self.config.hidden_size**-0.5)
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
        views = self._padded(parameters.clone())  # at an aligned address, which affects rounding
        # (R', rows, columns) each
        weights = {name: view.flatten(3).flatten(0, 1) for name, view in views.items()}
        bias = weights.pop("input_bias") + weights.pop("recurrent_bias")
        return Weights(bias=bias, **weights)

    def _padded(self, parameters: Tensor) -> dict[str, Tensor]:
        """Views of the parameters by name, with padding: [R, trunks, *shape] each (`_shapes`)."""
        parts = parameters[:, : sum(self._sizes)].split_with_sizes(self._sizes, dim=1)
        return {
            name: part.view(len(part), self.config.num_trunks, *shape)
            for (name, shape), part in zip(self._padded_shapes.items(), parts, strict=True)
        }

    def _unpadded(self, parameters: Tensor) -> dict[str, Tensor]:
        """The views of `_padded` without the padding's rows and columns."""
        padded = self._padded(parameters)
        return {
            name: padded[name][:, :, :rows, :, :columns]
            for name, (rows, _, columns) in self._shapes.items()
        }


def _shapes(num_stimuli: int, units: int) -> dict[str, tuple[int, int, int]]:
    """Shapes of the parameters of an LSTM and its head by name: rows, blocks, columns per block.

    An LSTM tensor has one block per gate, a head tensor a single one. Initial parameters are drawn
    and stored in this order.
    """
    return {
        "input_weight": (num_stimuli, NUM_GATES, units),
        "recurrent_weight": (units, NUM_GATES, units),
        "input_bias": (1, NUM_GATES, units),
        "recurrent_bias": (1, NUM_GATES, units),
        "head_weight": (units, 1, NUM_OUTPUTS),
        "head_bias": (1, 1, NUM_OUTPUTS),
    }
