"""What the fused engine's compiled code works on: tables, parameters and working memory.

A step of the network is a row: a state that it comes from (`parent`) and a stimulus (`shown`).
Row 0 is the zero state. Where the state is carried, the rows of an episode are a chain, a row a
step. Where it is reset, what the network does in a trial depends on the trial's pair alone, so
the rows are the distinct beginnings of the pairs, a forest: however many trials an episode has,
a row is played once, and its gradient is the sum over the steps that met it. Rows of one depth
are a level, and a level is computed together.

Shapes: K trunks, M rows, H units (padded), G = 4H gates, S stimuli, N trials, L steps a trial,
T = N L.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


class Task(NamedTuple):
    """What is played, as tables."""

    shown: Integers  # (pairs + 1, L): the stimulus; S for none
    node: Integers  # (pairs + 1, L): which beginning of a trial this is
    level_end: Integers  # (L,): nodes up to each step; they are numbered step by step
    node_parent: Integers  # (nodes,): the beginning one step shorter; -1 at the first
    node_shown: Integers  # (nodes,)
    rewards: Floats  # (pairs + 1, L, actions)
    carry_state: bool
    timeout: bool
    hold: int


class Update(NamedTuple):
    """What is minimised, and how."""

    leak_into_trunk: bool
    leak_into_head: bool
    values_kept: bool  # their gradients were not lost
    log_probs_kept: bool
    optimism: np.float32
    policy_share: np.float32  # weight of a step in the policy loss: 1 or 1 / T
    discount: np.float32
    entropy_weight: np.float32
    smoothing: np.float32
    epsilon: np.float32


class Population(NamedTuple):
    """Who is trained: R replicas."""

    critic_weights: Floats  # (R,)
    learning_rates: Floats  # (R,)
    parameters: Floats  # (R, P), updated in place
    square_average: Floats  # (R, P), updated in place


class Episodes(NamedTuple):
    """The chance of E episodes, and what they left for the log."""

    trials: Integers  # (E, R, N): pairs
    noise: Floats  # (E, R, N, L): uniform on [0, 1)
    metrics: Floats  # (E, R, metrics), written


class Differentiated(NamedTuple):
    """The chance of one episode, its gradient, and what was met at each step."""

    trials: Integers  # (R, N): pairs
    noise: Floats  # (R, N, L): uniform on [0, 1)
    metrics: Floats  # (R, metrics), written, as are the rest
    gradients: Floats  # (R, P)
    log_probs: Floats  # (R, T): of the actions taken
    values: Floats  # (R, T)
    returns: Floats  # (R, T)


class Weights(NamedTuple):
    """Parameters of a replica, or their gradient, laid out as `Agent` does."""

    input: Floats  # (K, S, G)
    recurrent: Floats  # (K, H, G)
    input_bias: Floats  # (K, G)
    recurrent_bias: Floats  # (K, G)
    head: Floats  # (K, H, 4)
    head_bias: Floats  # (K, 4)


class Work(NamedTuple):
    """Working memory; nothing in it outlives an episode."""

    scale: Floats  # (G,): 1; of the cell's gates 2, as tanh(x) = 2 sigmoid(2 x) - 1
    projected: Floats  # (K, S + 1, G): what each stimulus adds to the gates; last, none
    head_transposed: Floats  # (K, 4, H)
    parent: Integers  # (M,)
    shown: Integers  # (M,)
    row_of_node: Integers  # (nodes,)
    level_start: Integers  # (levels + 1,)
    previous: Floats  # (K, M, H): hidden state of the parent
    gates: Floats  # (K, M, G): after their nonlinearity; then the gradient before it
    cell: Floats  # (K, M, H)
    cell_tanh: Floats  # (K, M, H)
    hidden: Floats  # (K, M, H)
    heads: Floats  # (K, M, 4)
    log_policy: Floats  # (M, actions)
    policy: Floats  # (M, actions)
    entropy: Floats  # (M,)
    by_cell: Floats  # (K, M, H): gradients, from here on
    by_hidden: Floats  # (K, M, H)
    by_previous: Floats  # (K, M, H)
    by_heads: Floats  # (K, M, 4)
    by_log_policy: Floats  # (M, actions)
    by_value: Floats  # (M,): what the trunk gets of it
    by_head_value: Floats  # (M,): what the value head gets of it
    by_projected: Floats  # (S + 1, G)
    by_head_transposed: Floats  # (4, H)
    gradient: Floats  # (P,)
    visits: Floats  # (M,): steps of the episode that met the row
    row: Integers  # (T,): of each step
    action: Integers  # (T,)
    reward: Floats  # (T,)
