"""Losses of libraries on JAX, run from their own code."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
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
    """Gradients without those of the row for the state after the last step, which are zero."""
    assert not np.any(np.asarray(logits)[-1])
    assert not np.any(np.asarray(values)[-1])
    return Gradients(weight, np.asarray(logits, float)[:-1], np.asarray(values, float)[:-1])


def taken(logits: Any, actions: Any) -> Any:
    """Log-probabilities of actions."""
    return jnp.take_along_axis(jax.nn.log_softmax(logits), actions[..., None], axis=-1)[..., 0]


def brax_ppo(batch: Batch) -> Gradients:
    """Brax's PPO."""
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
    """bsuite's actor-critics on JAX; a step of SGD with learning rate 1 shows the gradient."""
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
    return without_last(1.0, moved["logits"], moved["values"])


def acme_module(path: str) -> Any:
    """Loads a module of Acme, with stand-ins for imports that its losses do not use."""
    for module, name, value in (  # which JAX no longer has
        (jnp, "DeviceArray", jax.Array),
        (jax, "tree_map", jax.tree_util.tree_map),
        (jax, "xla", MagicMock()),
    ):
        if not hasattr(module, name):
            setattr(module, name, value)
    absent = {
        name: MagicMock()
        for name in (
            *("launchpad", "reverb", "tensorflow", "acme.jax.networks", "acme.adders"),
            *("acme.adders.reverb", "acme.agents", "acme.agents.jax", "acme.agents.jax.ppo"),
            "acme.agents.jax.impala",
        )
    }
    with patch.dict(sys.modules, absent):
        import_module("acme.jax.utils")
        (folder,) = import_module("acme").__path__
        spec = spec_from_file_location(Path(path).stem, Path(folder) / path)
        assert spec is not None
        assert spec.loader is not None
        made = module_from_spec(spec)
        with patch.dict(sys.modules, {spec.name: made}):
            spec.loader.exec_module(made)
    return made


@partial(jax.tree_util.register_dataclass, data_fields=["data"], meta_fields=[])
@dataclass
class Sample:
    """Data as a replay buffer returns it."""

    data: Any


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["observation", "action", "reward", "discount", "extras"],
    meta_fields=[],
)
@dataclass
class Steps:
    """One sequence of n + 1 steps; the last one follows the episode's end."""

    observation: Any
    action: Any
    reward: Any
    discount: Any
    extras: Any


def acme_sample(batch: Batch, **extras: Any) -> Sample:
    """The batch as one sequence."""
    n = len(batch.actions)
    running = np.ones((1, n + 1), np.float32)
    running[0, n - 1] = 0
    return Sample(
        Steps(
            observation=jnp.arange(n + 1)[None],
            action=jnp.append(jnp.asarray(batch.actions), 0)[None],
            reward=jnp.asarray(np.append(batch.rewards, 0), jnp.float32)[None],
            discount=jnp.asarray(running),
            extras=extras,
        )
    )


def acme_impala(batch: Batch) -> Gradients:
    """Acme's IMPALA, on one sequence."""
    weight = acme_module("agents/jax/impala/config.py").IMPALAConfig.baseline_cost
    loss = acme_module("jax/losses/impala.py").impala_loss(
        lambda params, *_: (params, None), discount=1.0, baseline_cost=weight, entropy_cost=0.0
    )
    params = tables(batch)
    sample = acme_sample(batch, core_state=jnp.zeros((1, 1)), logits=params[0][None])
    return without_last(weight, *jax.grad(loss)(params, sample))


def acme_ppo(batch: Batch) -> Gradients:
    """Acme's PPO; a step of SGD with learning rate 1 shows the gradient."""
    weight = acme_module("agents/jax/ppo/config.py").PPOConfig.value_cost
    params = tables(batch)
    networks = SimpleNamespace(
        network=SimpleNamespace(
            init=lambda _: params, apply=lambda p, steps: (p[0][steps], p[1][steps])
        ),
        log_prob=taken,
        entropy=lambda logits: jnp.zeros(len(logits)),
    )
    learner = acme_module("agents/jax/ppo/learning.py").PPOLearner(
        networks,
        iterator=None,
        optimizer=import_module("optax").sgd(1.0),
        random_key=jax.random.PRNGKey(0),
        gae_lambda=1.0,
        discount=1.0,
        value_cost=weight,
        num_epochs=1,
        logger=MagicMock(),
    )
    behaviour = jnp.asarray(np.append(batch.log_probs, 0), jnp.float32)[None]
    after, _ = learner._sgd_step(learner._state, acme_sample(batch, log_prob=behaviour))
    logits, values = (
        np.asarray(b, float) - np.asarray(a) for b, a in zip(params, after.params, strict=True)
    )
    return without_last(weight, logits, values)


LOSSES: dict[str, Loss] = {
    "brax-ppo": brax_ppo,
    "bsuite-jax": lambda b: bsuite(b, recurrent=False),
    "bsuite-jax-rnn": lambda b: bsuite(b, recurrent=True),
    "acme-ppo": acme_ppo,
    "acme-impala": acme_impala,
}
DDOF = {"brax-ppo": 0, "acme-ppo": 0}
