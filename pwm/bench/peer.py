"""The setting of the notes (the reproduced report) in JAX, to compare the fused engine with.

In a compiled call, `vmap` runs over replicas, `scan` over episodes. Nothing is logged, and results
depend on the machine. The LSTM is reset at each trial, so its outputs depend only on the trial's
state: its step and the stimuli shown so far. They are computed once per episode for every state,
as the rows of a table, and looked up for each step. The fused engine leaves out states that do not
occur.

JAX is an optional dependency: `pip install 'pwm[peers]'`.

Shapes: N trials, L steps per trial, S stimuli, H units, G = 4 H gate units, M rows of the table.
"""

from __future__ import annotations

import os
from functools import partial
from math import ceil
from typing import Any

# XLA reads these flags when JAX is imported. It gets one thread, as the other engines do.
os.environ["XLA_FLAGS"] = (
    "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1 "
    + os.environ.get("XLA_FLAGS", "")
)

import jax
import jax.numpy as jnp
import numpy as np

from pwm.bench.rows import EPISODES_PER_CALL, state_rows
from pwm.core.agent import NUM_GATES, NUM_OUTPUTS, VALUE
from pwm.core.task import correct_actions
from pwm.training.config import TrainConfig

Array = Any
Weights = dict[str, Array]


class JaxPopulation:
    """Replicas of a run with the notes' agent and losses, trained on one core.

    The run sets the stimuli, the lengths of trials and episodes, the hidden size, the critic
    weight, and RMSprop's learning rate, decay and epsilon. Its seed determines all random numbers.
    Its other options are ignored.
    """

    def __init__(self, run: TrainConfig, replicas: int) -> None:
        initial_keys, keys = (
            jax.random.split(key, replicas) for key in jax.random.split(jax.random.key(run.seed))
        )
        weights = jax.vmap(partial(_initial, run))(initial_keys)
        self._state = weights, jax.tree.map(jnp.zeros_like, weights), keys
        self._train = jax.jit(jax.vmap(partial(_train, run)), donate_argnums=0)
        self.rewards = np.zeros((replicas, 0), np.float32)  # [replicas, episodes]
        """Fraction of trials rewarded in each of the last `EPISODES_PER_CALL` episodes."""

    def advance(self, num_episodes: int) -> None:
        """Trains for `num_episodes`, rounded up to a multiple of `EPISODES_PER_CALL`."""
        for _ in range(ceil(num_episodes / EPISODES_PER_CALL)):
            self._state, self.rewards = self._train(self._state)
        self.rewards = np.asarray(self.rewards)  # waits for the last call


def _initial(run: TrainConfig, key: Array) -> Weights:
    """Draws the initial weights of one replica, uniform from -1 / sqrt(H) to 1 / sqrt(H).

    Each gate unit has one bias; `nn.LSTM` adds two, whose sum varies more.
    """
    stimuli, hidden = run.task.num_stimuli, run.agent.hidden_size
    shapes = {
        "input": (stimuli, NUM_GATES * hidden),
        "recurrent": (hidden, NUM_GATES * hidden),
        "bias": (NUM_GATES * hidden,),
        "head": (hidden, NUM_OUTPUTS),
        "head_bias": (NUM_OUTPUTS,),
    }
    keys = jax.random.split(key, len(shapes))
    bound = hidden**-0.5
    return {
        name: jax.random.uniform(name_key, shape, minval=-bound, maxval=bound)
        for name_key, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def _train(run: TrainConfig, state: Any) -> Any:
    """Trains one replica for `EPISODES_PER_CALL` episodes, after drawing their random numbers.

    The state is the weights, the running means of their squared gradients, and the random key.
    Returns the new state, and the fraction of trials rewarded in each episode.
    """
    weights, squares, key = state
    key, trial_key, noise_key = jax.random.split(key, 3)
    task = run.task
    shape = (EPISODES_PER_CALL, task.num_trials)
    trials = jax.random.randint(trial_key, shape, 0, task.num_pairs)
    noise = jax.random.uniform(noise_key, (*shape, task.trial_length))
    update = partial(_update, run)
    (weights, squares), rewards = jax.lax.scan(update, (weights, squares), (trials, noise))
    return (weights, squares, key), rewards


def _update(run: TrainConfig, state: Any, draws: Any) -> Any:
    """Plays one episode and takes one step of RMSprop.

    The state is that of `_train` without the key; the draws are trials and noise, as in `_loss`.
    Returns the new state, and the fraction of trials rewarded.
    """
    weights, squares = state
    trials, noise = draws
    gradients, reward = jax.grad(partial(_loss, run), has_aux=True)(weights, trials, noise)
    decay = run.square_decay
    for name, gradient in gradients.items():
        square = decay * squares[name] + (1 - decay) * gradient * gradient
        step = run.learning_rate * gradient / (jnp.sqrt(square) + run.epsilon)
        squares = squares | {name: square}
        weights = weights | {name: weights[name] - step}
    return (weights, squares), reward


def _loss(run: TrainConfig, weights: Weights, trials: Array, noise: Array) -> Any:
    """Returns an episode's total loss and its fraction of trials rewarded.

    `trials` has the index of each trial's pair, [N]; `noise` has uniform random numbers that
    choose the actions, [N, L].
    """
    rows = jnp.asarray(state_rows(run.task))[trials]  # (N, L)
    outputs = _play_states(run, weights)[rows]  # (N, L, outputs)
    values, log_policy = outputs[..., VALUE], jax.nn.log_softmax(outputs[..., :VALUE])
    cumulative = jnp.cumsum(jnp.exp(jax.lax.stop_gradient(log_policy)), axis=-1)
    threshold = noise[..., None] * cumulative[..., -1:]  # the last is 1, up to rounding
    actions = (threshold >= cumulative[..., :-1]).sum(axis=-1)
    rewards = actions[:, -1] == jnp.asarray(correct_actions(run.task))[trials]  # (N,)
    # Sums from the last trial back; all steps of a trial have the same return.
    returns = jnp.flip(jnp.cumsum(jnp.flip(rewards.astype(jnp.float32))))  # (N,)
    advantages = returns[:, None] - values  # not detached, as in the notes
    log_probs = jnp.take_along_axis(log_policy, actions[..., None], axis=-1)[..., 0]
    value_loss = jnp.square(advantages).mean()
    policy_loss = -(advantages * log_probs).sum()
    return policy_loss + run.critic_weight * value_loss, rewards.mean()


def _play_states(run: TrainConfig, weights: Weights) -> Array:
    """Outputs of the heads in each state of a trial: [M, outputs], rows as in `state_rows`."""
    first, second = run.task.pairs.T
    by_stimulus = weights["input"] + weights["bias"]  # (S, G)
    hidden, cell = _lstm_step(by_stimulus, 0.0)  # (S, H) each, by first stimulus
    played = [hidden]  # hidden states at each step, in the rows' order
    for _ in range(run.task.trial_length - 2):
        hidden, cell = _lstm_step(hidden @ weights["recurrent"] + weights["bias"], cell)
        played.append(hidden)
    last_inputs = (hidden @ weights["recurrent"])[first] + by_stimulus[second]
    last_hidden, _ = _lstm_step(last_inputs, cell[first])  # (pairs, H)
    played.append(last_hidden)
    return jnp.concatenate(played) @ weights["head"] + weights["head_bias"]


def _lstm_step(gate_inputs: Array, cell: Array) -> tuple[Array, Array]:
    """Returns the LSTM's next hidden and cell states, from its gate inputs and last cell state."""
    input_gate, forget_gate, candidate, output_gate = jnp.split(gate_inputs, NUM_GATES, axis=-1)
    cell = jax.nn.sigmoid(forget_gate) * cell + jax.nn.sigmoid(input_gate) * jnp.tanh(candidate)
    return jax.nn.sigmoid(output_gate) * jnp.tanh(cell), cell
