"""Losses of libraries on TensorFlow, run from their own code."""

from __future__ import annotations

import inspect
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, patch

import numpy as np
import tensorflow as tf

from tests.libraries.batch import ACTIONS, Batch, Gradients, Loss


class Tables:
    """A batch as variables, with a row for the state after the last step."""

    def __init__(self, batch: Batch) -> None:
        logits = np.append(batch.logits, np.zeros((1, ACTIONS)), axis=0)
        self.logits = tf.Variable(logits, dtype=tf.float32)
        self.values = tf.Variable(np.append(batch.values, 0), dtype=tf.float32)
        self.trainable_variables = [self.logits, self.values]
        self.n = len(batch.actions)

    def gradients(self, weight: float, found: list[Any]) -> Gradients:
        """Gradients without those of the last row, which are zero."""
        logits, values = (
            tf.convert_to_tensor(gradient).numpy().astype(float) for gradient in found
        )
        assert not np.any(logits[-1])
        assert not np.any(values[-1])
        return Gradients(weight, logits[:-1], values[:-1])


def bsuite(batch: Batch, recurrent: bool) -> Gradients:
    """bsuite's actor-critics on TensorFlow, run eagerly."""
    name = "actor_critic_rnn" if recurrent else "actor_critic"
    module = import_module(f"bsuite.baselines.tf.{name}.agent")
    probability = import_module("tensorflow_probability").distributions
    tables, found = Tables(batch), []

    def network(steps: Any, *state: Any) -> Any:
        steps = tf.reshape(tf.cast(steps, tf.int32), [-1])
        logits, values = tf.gather(tables.logits, steps), tf.gather(tables.values, steps)
        if recurrent:
            return (logits, values[:, None]), *state
        return probability.Categorical(logits, dtype=tf.int32), values

    caller = MagicMock(side_effect=network, trainable_variables=tables.trainable_variables)
    running = np.ones(tables.n, np.float32)
    running[-1] = 0
    agent = SimpleNamespace(
        _network=caller,
        _optimizer=SimpleNamespace(apply=lambda gradients, _: found.extend(gradients)),
        _discount=1.0,
        _td_lambda=1.0,
        _entropy_cost=0.0,
        _rollout_initial_state=tf.zeros([1]),
    )
    trajectory = (
        tf.range(tables.n + 1, dtype=tf.float32)[:, None],
        tf.constant(batch.actions, tf.int32),
        tf.constant(batch.rewards, tf.float32),
        tf.constant(running),
    )

    def unroll(core: Any, inputs: Any, state: Any) -> Any:
        """Applies a stateless core to all steps at once."""
        (logits, values), _ = core(inputs, state)
        return (logits[:, None], values[:, None]), state

    owner = module.ActorCriticRNN if recurrent else module.ActorCritic
    with patch.object(module.snt, "dynamic_unroll", unroll):
        owner._step.python_function(agent, trajectory)
    return tables.gradients(1.0, found)


def tf_agents_reinforce(batch: Batch) -> Gradients:
    """TF-Agents' REINFORCE, on one episode."""
    module = import_module("tf_agents.agents.reinforce.reinforce_agent")
    probability = import_module("tensorflow_probability").distributions
    owner, tables = module.ReinforceAgent, Tables(batch)
    arguments = inspect.signature(owner.__init__).parameters
    weight = arguments["value_estimation_loss_coef"].default
    last = np.zeros((1, tables.n), bool)
    last[0, -1] = True
    experience = MagicMock(action=tf.constant(batch.actions[None], tf.int32))
    experience.is_last.return_value = tf.constant(last)
    experience.is_boundary.return_value = tf.zeros([1, tables.n], tf.bool)
    spec = import_module("tf_agents.specs.tensor_spec").BoundedTensorSpec(
        [], tf.int32, 0, ACTIONS - 1
    )
    policy = MagicMock()
    stand_ins = {
        "__init__": lambda _: None,
        "collect_policy": policy,
        "time_step_spec": None,
        "action_spec": spec,
        "train_step_counter": None,
        "_actor_network": MagicMock(losses=[]),
        "_value_network": MagicMock(losses=[]),
        "_baseline": True,
        "_advantage_fn": lambda _, returns, values: returns - values,
        "_normalize_returns": arguments["normalize_returns"].default,
        "_value_estimation_loss_coef": weight,
        "_entropy_regularization": None,
        "_debug_summaries": False,
    }
    agent = type("Agent", (owner,), stand_ins)()
    with (
        tf.GradientTape() as tape,
        patch.object(module, "nest_utils", MagicMock(unsafe=True)),
        patch.object(module.ts, "TimeStep"),
        patch.object(module.common, "summarize_scalar_dict"),
        patch.object(module, "_get_initial_policy_state"),
        patch.object(module.tf, "zeros_like"),
    ):
        distribution = probability.Categorical(tables.logits[None, :-1], dtype=tf.int32)
        policy.distribution.return_value = SimpleNamespace(action=distribution)
        agent._value_network.return_value = tables.values[None, :-1], ()
        loss = agent.total_loss(experience, tf.constant(batch.returns[None], tf.float32), None).loss
    return tables.gradients(weight, tape.gradient(loss, tables.trainable_variables))


def tf_agents_ppo(batch: Batch) -> Gradients:
    """TF-Agents' PPO, with advantages normalised by its own function."""
    module = import_module("tf_agents.agents.ppo.ppo_agent")
    owner = import_module("tf_agents.agents.ppo.ppo_clip_agent").PPOClipAgent
    probability = import_module("tensorflow_probability").distributions
    tables = Tables(batch)
    weight = inspect.signature(owner.__init__).parameters["value_pred_loss_coef"].default
    advantages = module._normalize_advantages(tf.constant(batch.advantages[None], tf.float32))[0]
    ones = tf.ones([tables.n])
    agent = MagicMock(
        _log_prob_clipping=0.0,
        _check_numerics=False,
        _importance_ratio_clipping=0.2,
        _aggregate_losses_across_replicas=False,
        _value_clipping=0.0,
        _value_pred_loss_coef=weight,
        _action_spec=import_module("tf_agents.specs.tensor_spec").BoundedTensorSpec(
            [], tf.int32, 0, ACTIONS - 1
        ),
    )
    steps = MagicMock()
    with tf.GradientTape() as tape, patch.object(module, "nest_utils", MagicMock(unsafe=True)):
        policy = module.PPOAgent.policy_gradient_loss(
            agent,
            steps,
            tf.constant(batch.actions, tf.int32),
            tf.constant(batch.log_probs, tf.float32),
            advantages,
            probability.Categorical(tables.logits[:-1], dtype=tf.int32),
            ones,
        )
        agent._collect_policy.apply_value_network.return_value = (tables.values[:-1], ())
        value = module.PPOAgent.value_estimation_loss(
            agent, steps, tf.constant(batch.returns, tf.float32), ones
        )
        loss = policy + value
    return tables.gradients(weight, tape.gradient(loss, tables.trainable_variables))


LOSSES: dict[str, Loss] = {
    "bsuite-tf": lambda b: bsuite(b, recurrent=False),
    "bsuite-tf-rnn": lambda b: bsuite(b, recurrent=True),
    "tf-agents-reinforce": tf_agents_reinforce,
    "tf-agents-ppo": tf_agents_ppo,
}
DDOF = {"tf-agents-reinforce": 0, "tf-agents-ppo": 0}
