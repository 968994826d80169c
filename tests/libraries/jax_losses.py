"""Losses of libraries on JAX, run from their own code."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, patch

import jax
import jax.numpy as jnp
import numpy as np

from tests.libraries.batch import ACTIONS, Batch, Gradients, Loss


def tables(batch: Batch) -> tuple[Any, Any]:
    """Logits and values with a row for the state after the last step: [n + 1, ...]."""
    logits = np.append(batch.logits, np.zeros((1, ACTIONS)), axis=0)
    return jnp.asarray(logits, jnp.float32), jnp.asarray(np.append(batch.values, 0), jnp.float32)


def without_last(weight: float, logits: Any, values: Any) -> Gradients:
    """Gradients by tables with a row for the state after the last step, which has none."""
    assert not np.any(np.asarray(logits)[-1])
    assert not np.any(np.asarray(values)[-1])
    return Gradients(weight, np.asarray(logits, float)[:-1], np.asarray(values, float)[:-1])


def taken(logits: Any, actions: Any) -> Any:
    """Log-probabilities of actions."""
    return jnp.take_along_axis(jax.nn.log_softmax(logits), actions[..., None], axis=-1)[..., 0]


def brax_ppo(batch: Batch) -> Gradients:
    """PPO of Brax."""
    losses = import_module("brax.training.agents.ppo.losses")
    train = import_module("brax.training.agents.ppo.train").train
    weight = inspect.signature(train).parameters["vf_loss_coefficient"].default
    policy = MagicMock(
        log_prob=taken,
        **{"entropy.return_value": 0.0, "create_dist.return_value": SimpleNamespace(
            scale=jnp.ones(1), loc=jnp.ones(1)
        )},
    )  # fmt: skip
    network = SimpleNamespace(
        parametric_action_distribution=policy,
        policy_network=SimpleNamespace(apply=lambda _, table, steps: table[steps]),
        value_network=SimpleNamespace(apply=lambda _, table, steps: table[steps]),
    )
    steps = jnp.arange(len(batch.actions))[None]  # [1, n]
    running = jnp.ones_like(steps, jnp.float32).at[0, -1].set(0)
    data = import_module("brax.training.types").Transition(
        observation=steps,
        action=None,
        reward=jnp.asarray(batch.rewards, jnp.float32)[None],
        discount=running,
        next_observation=steps + 1,
        extras={
            "state_extras": {"truncation": jnp.zeros_like(running)},
            "policy_extras": {
                "raw_action": jnp.asarray(batch.actions)[None],
                "log_prob": jnp.asarray(batch.log_probs, jnp.float32)[None],
            },
        },
    )

    def loss(logits: Any, values: Any) -> Any:
        params = losses.PPONetworkParams(policy=logits, value=values)
        return losses.compute_ppo_loss(
            *(params, None, data, None, network),
            entropy_cost=0.0,
            discounting=1.0,
            gae_lambda=1.0,
            vf_coefficient=weight,
        )[0]

    return without_last(weight, *jax.grad(loss, (0, 1))(*tables(batch)))


def bsuite(batch: Batch, recurrent: bool) -> Gradients:
    """The actor-critics of bsuite on JAX; a step of SGD at a rate of 1 shows the gradient."""
    name = "actor_critic_rnn" if recurrent else "actor_critic"
    module = import_module(f"bsuite.baselines.jax.{name}.agent")
    hk, optax = import_module("haiku"), import_module("optax")
    specs = import_module("dm_env").specs
    trajectory = import_module("bsuite.baselines.utils.sequence").Trajectory
    n = len(batch.actions)
    logits, values = tables(batch)

    def network(steps: Any, *state: Any) -> Any:
        steps = jnp.asarray(steps, int).reshape(-1)
        found = (
            hk.get_parameter("logits", logits.shape, init=lambda *_: logits)[steps],
            hk.get_parameter("values", values.shape, init=lambda *_: values)[steps],
        )
        return (found, *state) if state else found

    arguments = {"initial_rnn_state": jnp.zeros((1, 1))} if recurrent else {}
    agent = module.ActorCriticRNN if recurrent else module.ActorCritic
    made = agent(
        obs_spec=specs.Array((1,), np.float32),
        action_spec=specs.DiscreteArray(ACTIONS),
        network=network,
        optimizer=optax.sgd(1.0),
        rng=hk.PRNGSequence(0),
        sequence_length=n,
        discount=1.0,
        td_lambda=1.0,
        **arguments,
    )
    running = np.ones(n, np.float32)
    running[-1] = 0
    after = made._sgd_step(
        made._state,
        trajectory(
            observations=np.arange(n + 1, dtype=np.float32)[:, None],
            actions=batch.actions,
            rewards=batch.rewards.astype(np.float32),
            discounts=running,
        ),
    )
    (before,), (after,) = made._state.params.values(), after.params.values()
    moved = {key: np.asarray(before[key], float) - np.asarray(after[key]) for key in before}
    return without_last(1.0, np.round(moved["logits"], 12), np.round(moved["values"], 12))


def acme_modules() -> Any:
    """Stands in for what Acme imports and its losses do not use, or JAX no longer has."""
    for name, value in (("DeviceArray", jax.Array), ("tree_map", jax.tree_util.tree_map)):
        for module in (jnp, jax):
            if not hasattr(module, name):
                setattr(module, name, value)
    absent = {
        name: MagicMock()
        for name in (
            *("launchpad", "reverb", "tensorflow", "tensorflow_datasets"),
            *("acme.datasets", "acme.adders", "acme.adders.reverb"),
        )
    }
    return patch.dict(sys.modules, absent)


def acme_impala(batch: Batch) -> Gradients:
    """IMPALA of Acme, from one sequence."""
    with acme_modules():
        impala = import_module("acme.jax.losses.impala")
        weight = import_module("acme.agents.jax.impala.config").IMPALAConfig.baseline_cost
    n = len(batch.actions)
    loss = impala.impala_loss(
        lambda params, *_: (params, None), discount=1.0, baseline_cost=weight, entropy_cost=0.0
    )
    params = tables(batch)
    running = np.ones(n + 1, np.float32)
    running[-2] = 0
    data = SimpleNamespace(
        observation=jnp.arange(n + 1)[None],
        action=jnp.asarray(np.append(batch.actions, 0))[None],
        reward=jnp.asarray(np.append(batch.rewards, 0), jnp.float32)[None],
        discount=jnp.asarray(running)[None],
        extras={"core_state": jnp.zeros((1, n + 1)), "logits": params[0][None]},
    )
    sample = jax.tree_util.Partial(lambda d: d, None)
    del sample

    def total(logits: Any, values: Any) -> Any:
        return loss((logits, values), _Sample(data))[0]

    return without_last(weight, *jax.grad(total, (0, 1))(*params))


@jax.tree_util.register_pytree_node_class
class _Sample:
    """A sample of a replay buffer that JAX can map over."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def tree_flatten(self) -> tuple[Any, Any]:
        """Leaves and names."""
        return tuple(vars(self.data).values()), tuple(vars(self.data))

    @classmethod
    def tree_unflatten(cls, names: Any, leaves: Any) -> _Sample:
        """The inverse."""
        return cls(SimpleNamespace(**dict(zip(names, leaves, strict=True))))


LOSSES: dict[str, Loss] = {
    "brax-ppo": brax_ppo,
    "bsuite-jax": lambda b: bsuite(b, recurrent=False),
    "bsuite-jax-rnn": lambda b: bsuite(b, recurrent=True),
    "acme-impala": acme_impala,
}
DDOF = {"brax-ppo": 0}
