"""Data structures of the compiled code: the task, replicas, episodes and working memory.

The LSTM's states in an episode are the rows of arrays. Row 0 is the zero state. Each other row
is computed from the state of an earlier row, its `parent`, and a stimulus, `shown`. If the state is
carried across trials, the rows form a chain, one row per step. If it is reset at each trial, it
depends only on the trial's stimuli so far, so trials share rows. The distinct beginnings of the
task's trials (`pwm.training.diagnostics.trial_states`) are then the nodes of a forest, and each
node of the episode's trials has a row. A row is computed once per episode, and its gradient is the
sum over the steps that share it. Rows of the same depth form a level and are computed together.

Shapes: K trunks (2 if policy and critic have separate ones, else 1), M rows, H units (padded to a
multiple of `vectors.LANES`), G = 4H gates (a multiple of `vectors.WIDE`), S stimuli, N trials, L
steps per trial, T = N L steps per episode.
The page's `paper/page/engine.js` fills the same structures, by the names of their fields.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pwm.fused.layout import Doubles, Floats, Integers, Places


class Parameters(NamedTuple):
    """Parameters of one replica, or their gradient."""

    input: Floats  # (K, S, G)
    recurrent: Floats  # (K, H, G)
    input_bias: Floats  # (K, G)
    recurrent_bias: Floats  # (K, G)
    head: Floats  # (K, H, outputs)
    head_bias: Floats  # (K, outputs)


class TaskTables(NamedTuple):
    """The task as tables; `pairs + 1` rows are each stimulus pair's trial, then the blank trial."""

    node: Integers  # (pairs + 1, L): the node of the forest, numbered in the order of steps
    level_end: Integers  # (L,): number of nodes up to and including each step
    node_parent: Integers  # (nodes,): the node one step earlier; -1 at the first step
    node_shown: Integers  # (nodes,): the stimulus; S for none
    rewards: Floats  # (pairs + 1, L, actions)
    carry_state: bool  # across trials
    timeout: bool  # whether a non-hold before the last step of a pair's trial blanks the next one


class Scales(NamedTuple):
    """Scales of one replica's errors until its next update; see `pwm.training.episode.Scales`."""

    centre: np.float32
    spread: np.float32
    error_scale: np.float32
    critic_factor: np.float32


class UpdateRule(NamedTuple):
    """Settings of losses and optimiser, as scalars; see `LossConfig` and `TrainConfig`."""

    leak_into_trunk: bool  # whether the policy loss's gradient reaches the trunk through the values
    leak_into_head: bool  # whether the policy loss's gradient reaches the value head
    values_kept: bool  # whether values keep their gradients; if not, neither of these leaks exists
    log_probs_kept: bool  # whether log-probabilities keep their gradients
    optimism: np.float32
    policy_factor: np.float32  # c, the weight of a step in the policy loss: 1 or 1 / T
    discount: np.float32
    horizon: int  # steps per episode, or per trial if returns end with the trial
    trace_decay: np.float32
    leaking_targets: bool
    entropy_weight: np.float32
    optimizer: int  # member of `pwm.fused.layout.Optimizer`
    square_decay: np.float32
    momentum_decay: np.float32
    epsilon: np.float32
    episodes_per_update: int
    huber: bool  # whether the value loss is Huber's
    balance: int  # member of `pwm.fused.layout.Balance`; popart is also centred and standardised
    takes_apart: bool  # whether the balance needs each loss's gradient separately
    tracks: bool  # whether running means and variances of returns and rewards are needed
    centred: bool  # whether the critic learns the return minus its running mean
    standardised: bool  # whether this difference is divided by the running standard deviation
    normalise_advantages: bool
    normaliser: np.float32  # added to the standard deviation of the advantages
    clip_gradient: np.float32  # largest norm of a gradient; 0 for no limit
    clip_epsilon: np.float32  # added to the norm that a gradient is divided by
    rate: np.float32  # least rate of the running statistics (`LossConfig.tracking_rate`)
    least_scale: np.float32  # least running standard deviation that errors are divided by
    trunk_rate: np.float32  # learning rate of the trunk, relative to that of the heads
    trunk_size: int  # parameters of the trunk, a multiple of `LANES`; the heads' follow


class Population(NamedTuple):
    """R replicas of P parameters each; they differ in seed, critic weight and learning rate."""

    critic_weights: Floats  # (R,)
    learning_rates: Floats  # (R,)
    parameters: Floats  # (R, P), with padding, updated in place
    square_average: Floats  # (R, optimiser states, P), updated in place; 2 states under per-loss
    average: Floats  # (R, optimiser states, P), updated in place; empty unless Adam is used
    decay_powers: Doubles  # (R, 2), updated in place: β₁ᵗ and β₂ᵗ; empty unless Adam is used
    tracked: Floats  # (R, columns of `Tracked`), updated in place


class Episodes(NamedTuple):
    """Random draws for E episodes, and their metrics."""

    trials: Integers  # (E, R, N): indices of stimulus pairs
    noise: Floats  # (E, R, N, L): uniform on [0, 1)
    metrics: Floats  # (E, R, metrics), output


class ProbedEpisode(NamedTuple):
    """One episode of each replica, played without training; all but its draws are outputs."""

    episodes: Episodes  # E = 1
    gradients: Floats  # (R, P)
    log_probs: Floats  # (R, T): of the actions taken
    values: Floats  # (R, T): in reward
    returns: Floats  # (R, T): Monte Carlo returns, in reward
    hidden: Floats  # (R, T, units without padding): of the first trunk


class Work(NamedTuple):
    """Working memory, overwritten by updates; `heads` to `entropy` are padded by `LANES` rows."""

    projected: Floats  # (K, S + 1, G): input to the gates for each stimulus, then for none
    head_transposed: Floats  # (K, outputs, H)
    parent: Places  # (M,): a row
    shown: Places  # (M,): a stimulus; S for none
    row_of_node: Integers  # (nodes,): 0 for nodes without a row
    level_start: Integers  # first row of each level, then the number of rows; longer than needed
    previous: Floats  # (K, M, H): hidden state of the parent
    gates: Floats  # (K, M, G): after the nonlinearity
    cell: Floats  # (K, M, H): cell state
    cell_tanh: Floats  # (K, M, H)
    hidden: Floats  # (K, M, H)
    heads: Floats  # (K, M, outputs)
    log_policy: Floats  # (actions, M)
    policy: Floats  # (actions, M)
    cumulative: Floats  # (actions, M): sums of the policy up to each action
    entropy: Floats  # (M,)
    # An array by_x is the gradient with respect to x, of the total loss or of one of its two parts.
    by_gates: Floats  # (M, G): before the nonlinearity; of one trunk, as the next three
    by_cell: Floats  # (M, H)
    by_hidden: Floats  # (M, H)
    by_previous: Floats  # (M, H)
    by_heads: Floats  # (K, M, outputs)
    by_log_policy: Floats  # (actions, M)
    by_value: Floats  # (M,): as backpropagated to the trunk
    by_head_value: Floats  # (M,): as backpropagated to the value head
    by_projected: Floats  # (S + 1, G)
    by_head_transposed: Floats  # (outputs, H)
    # Row 0 is the gradient of the total loss; or, if `UpdateRule.takes_apart`, row 0 is that of the
    # policy loss with its entropy bonus, and row 1 that of w times the value loss.
    gradients: Floats  # (2, P)
    gradient: Floats  # (P,): of one episode, before it is added to a row of `gradients`
    return_: Floats  # (T,): in reward
    error: Floats  # (T,): of the value, as in the value loss
    advantage: Floats  # (T,): as in the policy loss
    leak: Floats  # (T,): gradient of the policy loss with respect to the value, as if attached
    visits: Floats  # (M,): number of steps that share the row
    row: Places  # (T,): of each step
    action: Places  # (T,)
    reward: Floats  # (T,)
