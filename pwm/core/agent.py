"""The LSTM actor-critic, as a population of R independent replicas.

A replica has one LSTM, or two if policy and critic have separate ones: the policy's, then the
critic's. Each LSTM is a *trunk*. On it is a linear *head* with 4 outputs: the policy's three logits
and the value. With two trunks, the first head's value and the second's logits are not used. Trunk
and head compute what `nn.LSTM` and `nn.Linear` do; their weights are transposed, and the two biases
of `nn.LSTM` are added up.

Shapes: R replicas; R' LSTMs, R or 2 R, in the order policy 0, critic 0, policy 1, ...; N trials
per call, computed in parallel: all of an episode, or 1 if each depends on the previous one; L steps
per trial, S stimuli; U units of an LSTM, 4 U gate units. U is the hidden size, rounded up by
training with units whose weights are 0: they output 0, and are left out of `Outputs.hidden`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from pwm.core.errors import require_integer
from pwm.core.task import Action

GATES = ("input", "forget", "cell", "output")  # the order of `nn.LSTM`
NUM_GATES = len(GATES)
VALUE = len(Action)  # column of the value in a head, after the policy's logits
NUM_OUTPUTS = VALUE + 1


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
    """Weights of a population: a row per input, or one row for a bias."""

    input_weight: Tensor  # (R', S, 4 U)
    recurrent_weight: Tensor  # (R', U, 4 U)
    bias: Tensor  # (R', 1, 4 U)
    head_weight: Tensor  # (R', U, outputs)
    head_bias: Tensor  # (R', 1, outputs)


class State(NamedTuple):
    """The LSTM's state after a step."""

    hidden: Tensor  # (R', N, U)
    cell: Tensor  # (R', N, U)


class Outputs(NamedTuple):
    """Outputs at each step."""

    logits: Tensor  # (R, N, L, actions)
    values: Tensor  # (R, N, L)
    hidden: Tensor  # (R, N, L, hidden size): of the LSTM that the policy reads, without gradients


def unroll(
    config: AgentConfig, weights: Weights, observations: Tensor, state: State | None
) -> tuple[Outputs, State]:
    """Runs the LSTMs and their heads over the L steps of N trials.

    Args:
        config: architecture.
        weights: weights.
        observations: observations, [R, N, L, S].
        state: state before the first step, None for zeros.
    Returns:
        The outputs at every step, and the state after the last.
    """
    replicas, trials, steps, _ = observations.shape
    trunks = config.num_trunks
    inputs = observations.flatten(1, 2).repeat_interleave(trunks, dim=0)  # (R', N L, S)
    projected = torch.baddbmm(weights.bias, inputs, weights.input_weight)  # (R', N L, 4 U)
    by_step = projected.view(len(inputs), trials, steps, -1).unbind(2)  # (R', N, 4 U) each
    gate_scale = _gate_scale(weights.recurrent_weight.shape[1], weights.bias.device)  # see `_step`
    hidden = []
    for step_input in by_step:
        state = _step(weights.recurrent_weight, gate_scale, step_input, state)
        hidden.append(state.hidden)
    assert state is not None  # a trial has steps
    units = torch.stack(hidden, dim=2).flatten(1, 2)  # (R', N L, U)
    shape = (replicas, trunks, trials, steps, -1)  # -1: 4 outputs, or U units
    outputs = torch.baddbmm(weights.head_bias, units, weights.head_weight).view(shape)
    # Trunk 0 is the policy's, trunk -1 the critic's: the same one if they share it.
    return Outputs(
        logits=outputs[:, 0, ..., :VALUE],
        values=outputs[:, -1, ..., VALUE],
        hidden=units.detach().view(shape)[:, 0, ..., : config.hidden_size],
    ), state


def _step(
    recurrent_weight: Tensor, gate_scale: Tensor, gate_input: Tensor, state: State | None
) -> State:
    """Takes an ordinary LSTM step.

    `gate_input`, [R', N, 4 U], has the bias and the observation's part of the gates' input; the
    recurrent part is added here. Only the tanh of the cell gate is unusual, for speed: as tanh(x) =
    2 sigmoid(2 x) - 1, one sigmoid serves all gates, with `gate_scale`, [4 U], 2 for the cell gate
    and 1 for the others.
    """
    if state is not None:
        gate_input = torch.baddbmm(gate_input, state.hidden, recurrent_weight)
    gates = torch.sigmoid(gate_input * gate_scale)  # (R', N, 4 U)
    input_gate, forget_gate, cell_sigmoid, output_gate = gates.chunk(NUM_GATES, dim=-1)
    cell = input_gate * (2 * cell_sigmoid - 1)  # tanh of the cell gate's input
    if state is not None:
        cell = cell + forget_gate * state.cell
    return State(output_gate * torch.tanh(cell), cell)


@lru_cache(maxsize=8)
def _gate_scale(units: int, device: torch.device) -> Tensor:
    """The argument `gate_scale` of `_step`."""
    by_gate = torch.tensor([2.0 if gate == "cell" else 1.0 for gate in GATES])
    return by_gate.repeat_interleave(units).to(device)
