"""Losses of libraries on PyTorch, run from their own code.

Most libraries compute the loss in the middle of an update. The update is run on stand-ins for the
agent's networks and buffers, and stops where the library calls `backward` on its loss.
"""

from __future__ import annotations

import argparse
import ast
import inspect
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import MagicMock, patch

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Categorical

from pwm.tools.leak import check_leak
from pwm.tools.reductions import flat_gradient
from pwm.tools.report import LeakReport
from tests.libraries.batch import Batch, Check, Gradients, Loss


class Stop(Exception):  # noqa: N818, it is no error
    """Carries a loss out of the update that computed it."""

    def __init__(self, loss: Tensor) -> None:
        self.loss = loss


class Table:
    """A batch as tensors; its logits and values are computed from parameters."""

    def __init__(self, batch: Batch) -> None:
        def tensor(array: Any) -> Tensor:
            return torch.as_tensor(array, dtype=torch.float32)

        self.parameters = {
            "logits": tensor(batch.logits).requires_grad_(),
            "values": tensor(batch.values).requires_grad_(),
        }
        self.logits, self.values = (1 * parameter for parameter in self.parameters.values())
        self.actions = torch.as_tensor(batch.actions)
        self.advantages, self.returns = tensor(batch.advantages), tensor(batch.returns)
        self.scores, self.rewards = tensor(batch.scores), tensor(batch.rewards)
        self.old_log_probs, self.old_values = tensor(batch.log_probs), tensor(batch.values)
        self.policy = Categorical(logits=self.logits)
        self.log_probs = self.policy.log_prob(self.actions)
        self.n = len(self.actions)

    def stopped(self, weight: float, update: Callable[[], object]) -> Run:
        """Runs an update until it calls `backward` on its loss; returns the loss."""

        def stop(loss: Tensor, *_: object, **__: object) -> None:
            raise Stop(loss)

        with patch.object(Tensor, "backward", stop):
            try:
                update()
            except Stop as stopped:
                return Run(self, weight, stopped.loss)
        raise AssertionError("the update computed no loss")


class Run(NamedTuple):
    """A library's loss, with its graph."""

    table: Table
    weight: float
    loss: Tensor

    def gradients(self) -> Gradients:
        """Gradients of the loss with respect to the logits and the values."""
        inputs = self.table.parameters.values()
        logits, values = torch.autograd.grad(self.loss, list(inputs), retain_graph=True)
        return Gradients(self.weight, logits.double().numpy(), values.double().numpy())


def bare(owner: type, **attributes: Any) -> Any:
    """An instance made without its class's constructor; missing attributes are mocks."""
    fallback = type(owner.__name__, (owner,), {"__getattr__": lambda *_: MagicMock()})
    made: Any = object.__new__(fallback)
    made.__dict__.update(attributes)
    return made


def default(owner: Callable[..., object], name: str) -> Any:
    """Default value of a function's or a constructor's argument."""
    return inspect.signature(owner).parameters[name].default


def stable_baselines3(batch: Batch, module: str, name: str) -> Run:
    """Stable-Baselines3's A2C and PPO, and algorithms built on them."""
    owner = getattr(import_module(module), name)
    table, weight = Table(batch), default(owner, "vf_coef")
    data = SimpleNamespace(
        observations=None,
        actions=table.actions,
        advantages=table.advantages,
        returns=table.returns,
        old_values=table.old_values,
        old_log_prob=table.old_log_probs,
        lstm_states=None,
        episode_starts=None,
        action_masks=None,
        mask=torch.ones(table.n),
    )
    outputs = table.values[:, None], table.log_probs, table.policy.entropy()
    algorithm = bare(
        owner,
        policy=MagicMock(**{"evaluate_actions.return_value": outputs}),
        rollout_buffer=MagicMock(**{"get.return_value": [data]}),
        action_space=None,
        normalize_advantage=default(owner, "normalize_advantage"),
        vf_coef=weight,
        ent_coef=0.0,
        clip_range=lambda _: 0.2,
        clip_range_vf=None,
        n_epochs=1,
        target_kl=None,
        _current_progress_remaining=1.0,
        _update_learning_rate=lambda _: None,
    )
    return table.stopped(weight, algorithm.train)


def cleanrl_ppo(batch: Batch) -> Run:
    """The lines of CleanRL's script from a minibatch's start to its loss."""
    spec = find_spec("cleanrl")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    tree = ast.parse((Path(spec.submodule_search_locations[0]) / "ppo.py").read_text())
    parser = argparse.ArgumentParser()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "parser.add_argument":
            flag = ast.literal_eval(node.args[0])
            if flag in ("--vf-coef", "--norm-adv", "--clip-vloss", "--clip-coef"):
                given = {k.arg: k.value for k in node.keywords}["default"]
                parser.add_argument(flag, default=ast.literal_eval(given))
    args = parser.parse_args([])
    args.ent_coef, args.minibatch_size = 0.0, len(batch.actions)
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For)]
    (inner,) = [loop for loop in loops if ast.unparse(loop.target) == "start"]
    table = Table(batch)
    names = {
        "args": args,
        "torch": torch,
        "np": np,
        "nn": torch.nn,
        "start": 0,
        "inds": np.arange(table.n),
        "optimizer": MagicMock(),
        "b_obs": table.actions,
        "b_actions": table.actions,
        "b_logprobs": table.old_log_probs,
        "b_advantages": table.advantages,
        "b_returns": table.returns,
        "b_values": table.old_values,
        "agent": SimpleNamespace(
            get_action=lambda _, actions: (actions, table.log_probs, table.policy.entropy()),
            get_value=lambda _: table.values[:, None],
        ),
    }
    lines = compile(ast.Module(inner.body, type_ignores=[]), "cleanrl/ppo.py", "exec")
    return table.stopped(args.vf_coef, lambda: exec(lines, names))


def torchrl(batch: Batch, name: str) -> Run:
    """TorchRL's loss modules, with an actor and a critic that look up logits and values."""
    objectives, nn = import_module("torchrl.objectives"), import_module("tensordict.nn")
    table, owner = Table(batch), getattr(import_module("torchrl.objectives"), name)
    actor = nn.ProbabilisticTensorDictSequential(
        nn.TensorDictModule(lambda step: table.logits[step], ["step"], ["logits"]),
        nn.ProbabilisticTensorDictModule(
            ["logits"], ["action"], distribution_class=Categorical, return_log_prob=True
        ),
    )
    critic = nn.TensorDictModule(
        lambda step: table.values[step][:, None], ["step"], ["state_value"]
    )
    arguments = {"functional": False}
    if name != "ReinforceLoss":
        arguments["entropy_bonus"] = False
    loss = owner(actor, critic, **arguments)
    data = import_module("tensordict").TensorDict(
        {
            "step": torch.arange(table.n),
            "action": table.actions,
            "advantage": table.advantages[:, None],
            "value_target": table.returns[:, None],
            "action_log_prob": table.old_log_probs,
            "sample_log_prob": table.old_log_probs,
        },
        batch_size=[table.n],
    )
    assert objectives
    weight = float(getattr(loss, "critic_coeff", 1.0))
    found = loss(data)
    return Run(table, weight, sum(v for k, v in found.items() if k.startswith("loss_")))


def tianshou(batch: Batch, module: str, name: str) -> Run:
    """Tianshou's A2C and PPO."""
    owner = getattr(import_module(f"tianshou.algorithm.modelfree.{module}"), name)
    table, weight = Table(batch), default(owner, "vf_coef")
    minibatch = SimpleNamespace(
        obs=None,
        act=table.actions,
        adv=table.advantages,
        returns=table.returns,
        v_s=table.old_values,
        logp_old=table.old_log_probs,
    )
    algorithm = bare(
        owner,
        policy=lambda _: SimpleNamespace(dist=table.policy),
        critic=lambda _: table.values,
        optim=SimpleNamespace(step=lambda loss: loss.backward()),
        vf_coef=weight,
        ent_coef=0.0,
        eps_clip=0.2,
        dual_clip=None,
        recompute_adv=False,
        _eps=1e-8,
        **{
            attribute: default(owner, argument)
            for attribute, argument in (
                ("value_clip", "value_clip"),
                ("advantage_normalization", "advantage_normalization"),
            )
            if name == "PPO"
        },
    )
    batches = MagicMock(**{"split.return_value": [minibatch]})
    return table.stopped(weight, lambda: algorithm._update_with_batch(batches, None, 1))


def rllib(batch: Batch, algorithm: str, name: str) -> Run:
    """RLlib's learners; advantages are normalised, as its connector passes them to PPO."""
    path = f"ray.rllib.algorithms.{algorithm}"
    learner = getattr(
        import_module(f"{path}.torch.{algorithm}_torch_learner"), f"{name}TorchLearner"
    )
    config = getattr(import_module(f"{path}.{algorithm}"), f"{name}Config")()
    config.gamma, config.rollout_fragment_length = 1.0, len(batch.actions)
    weight, table = config.vf_loss_coeff, Table(batch)
    categorical = import_module(
        "ray.rllib.core.distribution.torch.torch_distribution"
    ).TorchCategorical
    module = MagicMock(
        **{
            "get_train_action_dist_cls.return_value": categorical,
            "get_exploration_action_dist_cls.return_value": categorical,
            "compute_values.return_value": table.values,
        }
    )
    ended = torch.zeros(table.n)
    ended[-1] = 1
    data = {
        "actions": table.actions,
        "action_logp": table.old_log_probs,
        "action_dist_inputs": table.logits.detach(),
        "advantages": table.scores,
        "value_targets": table.returns,
        "rewards": table.rewards,
        "terminateds": ended,
        "loss_mask": torch.ones(table.n, dtype=torch.bool),
    }
    no_entropy = MagicMock(**{"get_current_value.return_value": 0.0})
    made = bare(
        learner,
        _module={"agent": SimpleNamespace(unwrapped=lambda: module)},
        metrics=MagicMock(),
        entropy_coeff_schedulers_per_module={"agent": no_entropy},
        curr_kl_coeffs_per_module={"agent": 0.2},
    )
    loss = made.compute_loss_for_module(
        module_id="agent", config=config, batch=data, fwd_out={"action_dist_inputs": table.logits}
    )
    return Run(table, weight, loss)


def skrl(batch: Batch, algorithm: str) -> Run:
    """skrl's A2C and PPO, including their estimation of the advantages."""
    module = import_module(f"skrl.agents.torch.{algorithm}.{algorithm}")
    cfg = getattr(module, f"{algorithm.upper()}_CFG")()
    cfg.discount_factor = cfg.gae_lambda = 1.0
    cfg.learning_epochs = 1
    table = Table(batch)
    ended = torch.zeros(table.n, 1, 1, dtype=torch.bool)
    ended[-1] = True
    tensors = {
        "observations": torch.arange(table.n)[:, None],
        "states": torch.arange(table.n)[:, None],
        "actions": table.actions[:, None],
        "log_prob": table.old_log_probs[:, None],
        "rewards": table.rewards[:, None, None],
        "terminated": ended,
        "truncated": torch.zeros_like(ended),
        "values": table.old_values[:, None, None],
    }

    class Memory:
        get_tensor_by_name = tensors.__getitem__
        set_tensor_by_name = tensors.__setitem__

        def __len__(self) -> int:
            return table.n

        def sample(self, names: list[str], **_: object) -> list[list[Tensor]]:
            return [[tensors[name].reshape(table.n, 1) for name in names]]

    with_values = ["values"] if algorithm == "ppo" else []
    agent = bare(
        getattr(module, algorithm.upper()),
        cfg=cfg,
        memory=Memory(),
        policy=SimpleNamespace(act=lambda *_, **__: (None, {"log_prob": table.log_probs[:, None]})),
        value=MagicMock(**{"act.return_value": (table.values[:, None], {})}),
        scheduler=None,
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        optimizer=MagicMock(),
        device="cpu",
        _device_type="cpu",
        _value_preprocessor=lambda value, **_: value,
        _observation_preprocessor=lambda value, **_: value,
        _state_preprocessor=lambda value, **_: value,
        _current_next_observations=None,
        _current_next_states=None,
        _tensors_names=[
            *("observations", "states", "actions", "log_prob", *with_values),
            *("returns", "advantages"),
        ],
    )
    # The value after the last step does not count, as the episode has ended.
    agent.value.act.side_effect = lambda *_, **__: (
        (table.values[:, None], {}) if torch.is_grad_enabled() else (torch.zeros(1, 1), {})
    )
    weight = float(getattr(cfg, "value_loss_scale", 1.0))
    return table.stopped(weight, lambda: agent.update(timestep=0, timesteps=1))


def pfrl_a2c(batch: Batch) -> Run:
    """PFRL's A2C."""
    owner = import_module("pfrl.agents.a2c").A2C
    table, weight = Table(batch), default(owner, "v_loss_coef")
    agent = bare(
        owner,
        model=lambda states: (table.policy, table.values[: len(states), None]),
        states=torch.zeros(table.n + 1, 1, 1),
        obs_shape=(1,),
        actions=table.actions[:, None],
        action_shape=(),
        returns=torch.cat([table.returns, torch.zeros(1)])[:, None],
        update_steps=table.n,
        num_processes=1,
        v_loss_coef=weight,
        pi_loss_coef=default(owner, "pi_loss_coef"),
        entropy_coeff=0.0,
        optimizer=MagicMock(),
        _compute_returns=lambda _: None,
    )
    return table.stopped(weight, agent.update)


def pfrl_a3c(batch: Batch) -> Run:
    """PFRL's A3C, on a whole episode."""
    owner = import_module("pfrl.agents.a3c").A3C
    table, weight = Table(batch), default(owner, "v_loss_coef")
    agent = bare(
        owner,
        model=lambda _: (table.policy, table.values[:, None]),
        t=table.n,
        t_start=0,
        t_max=table.n,
        gamma=1.0,
        beta=0.0,
        past_obs=dict.fromkeys(range(table.n)),
        past_action=dict(enumerate(table.actions)),
        past_rewards=dict(enumerate(table.rewards.tolist())),
        recurrent=False,
        assert_shared_memory=lambda: None,
        process_idx=0,
        **{
            name: default(owner, name)
            for name in (
                *("pi_loss_coef", "v_loss_coef", "keep_loss_scale_same"),
                "normalize_grad_by_t_max",
            )
        },
    )
    agent.model = MagicMock(side_effect=agent.model)
    return table.stopped(weight, lambda: agent.update(None))


def pfrl_ppo(batch: Batch) -> Run:
    """PFRL's PPO, including the normalisation of the advantages."""
    owner = import_module("pfrl.agents.ppo").PPO
    table, weight = Table(batch), default(owner, "value_func_coef")
    dataset = [
        {
            "state": step,
            "action": int(table.actions[step]),
            "adv": float(table.advantages[step]),
            "log_prob": float(table.old_log_probs[step]),
            "v_pred": float(table.old_values[step]),
            "v_teacher": float(table.returns[step]),
        }
        for step in range(table.n)
    ]

    def model(states: Tensor) -> tuple[Categorical, Tensor]:
        table.values = table.values[states]  # PFRL shuffles the steps
        return Categorical(logits=table.logits[states]), table.values[:, None]

    agent = bare(
        owner,
        model=MagicMock(side_effect=model),
        obs_normalizer=None,
        device=torch.device("cpu"),
        batch_states=lambda states, *_: torch.tensor(states),
        minibatch_size=table.n,
        epochs=1,
        value_func_coef=weight,
        entropy_coef=0.0,
        clip_eps=0.2,
        clip_eps_vf=default(owner, "clip_eps_vf"),
        standardize_advantages=default(owner, "standardize_advantages"),
        value_loss_record=[],
        policy_loss_record=[],
    )
    return table.stopped(weight, lambda: agent._update(dataset))


def rl_games_ppo(batch: Batch) -> Run:
    """rl_games' PPO, with advantages that it normalises beforehand; its weight has no default."""
    module = import_module("rl_games.algos_torch.a2c_discrete")
    losses = import_module("rl_games.common.common_losses")
    table, weight = Table(batch), 1.0
    outputs = {
        "prev_neglogp": -table.log_probs,
        "values": table.values[:, None],
        "entropy": table.policy.entropy(),
    }
    agent = bare(
        module.DiscreteA2CAgent,
        model=MagicMock(return_value=outputs, **{"get_aux_loss.return_value": None}),
        actor_loss_func=losses.actor_loss,
        critic_coef=weight,
        entropy_coef=0.0,
        e_clip=0.2,
        ppo=True,
        clip_value=True,
        has_value_loss=True,
        is_rnn=False,
        use_action_masks=False,
        mixed_precision=False,
        multi_gpu=False,
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        _preproc_obs=lambda observations: observations,
    )
    data = {
        "old_values": table.old_values[:, None],
        "old_logp_actions": -table.old_log_probs,
        "advantages": table.scores,
        "returns": table.returns[:, None],
        "actions": table.actions,
        "obs": None,
    }
    return table.stopped(weight, lambda: agent.calc_gradients(data))


def rsl_rl_ppo(batch: Batch) -> Run:
    """RSL-RL's PPO, including the normalisation of the advantages."""
    owner = import_module("rsl_rl.algorithms.ppo").PPO
    table, weight = Table(batch), default(owner, "value_loss_coef")
    data = SimpleNamespace(
        observations=SimpleNamespace(batch_size=[table.n]),
        masks=None,
        hidden_states=(None, None),
        actions=table.actions,
        old_actions_log_prob=table.old_log_probs[:, None],
        values=table.old_values[:, None],
        returns=table.returns[:, None],
        advantages=table.advantages[:, None],
        old_distribution_params=(),
    )
    ended = torch.zeros(table.n, 1, 1)
    ended[-1] = 1
    storage = SimpleNamespace(
        num_transitions_per_env=table.n,
        values=table.old_values[:, None, None],
        rewards=table.rewards[:, None, None],
        dones=ended,
        returns=torch.zeros(table.n, 1, 1),
        mini_batch_generator=lambda *_: [data],
    )
    actor = MagicMock(
        is_recurrent=False,
        output_distribution_params=(),
        output_entropy=table.policy.entropy(),
        **{"get_output_log_prob.return_value": table.log_probs},
    )
    critic = MagicMock(is_recurrent=False)
    critic.side_effect = lambda *_, **__: (
        table.values[:, None] if torch.is_grad_enabled() else torch.zeros(1, 1)
    )
    algorithm = bare(
        owner,
        actor=actor,
        critic=critic,
        storage=storage,
        rnd=None,
        symmetry=None,
        is_multi_gpu=False,
        device="cpu",
        gamma=1.0,
        lam=1.0,
        schedule="fixed",
        clip_param=0.2,
        value_loss_coef=weight,
        entropy_coef=0.0,
        use_mixed_precision=False,
        use_clipped_value_loss=default(owner, "use_clipped_value_loss"),
        normalize_advantage_per_mini_batch=default(owner, "normalize_advantage_per_mini_batch"),
    )
    with torch.no_grad():
        algorithm.compute_returns(None)
    data.advantages = storage.advantages.reshape(table.n, 1)
    return table.stopped(weight, algorithm.update)


def sample_factory_appo(batch: Batch) -> Run:
    """Sample Factory's APPO."""
    learner = import_module("sample_factory.algo.learning.learner").Learner
    parser = argparse.ArgumentParser()
    import_module("sample_factory.cfg.cfg").add_rl_args(parser)
    cfg = parser.parse_known_args([])[0]
    cfg.with_vtrace, cfg.use_rnn, cfg.recurrence = False, False, 1
    table = Table(batch)
    data = import_module("sample_factory.utils.attr_dict").AttrDict(
        actions=table.actions,
        log_prob_actions=table.old_log_probs,
        advantages=table.advantages,
        returns=table.returns,
        values=table.old_values,
        valids=torch.ones(table.n, dtype=torch.bool),
        rnn_states=torch.zeros(table.n, 1),
        action_logits=table.logits.detach(),
        normalized_obs=None,
    )
    distribution = MagicMock(**{"log_prob.return_value": table.log_probs})
    actor_critic = MagicMock(
        **{
            "forward_head.return_value": torch.zeros(table.n, 1),
            "forward_core.return_value": (torch.zeros(table.n, 1), None),
            "forward_tail.return_value": {"values": table.values},
            "action_distribution.return_value": distribution,
        }
    )
    made = bare(
        learner,
        cfg=cfg,
        timing=MagicMock(),
        actor_critic=actor_critic,
        exploration_loss_func=lambda *_: 0.0,
        kl_loss_func=lambda *_: (None, 0.0),
    )
    _, policy, _, _, _, value, _ = made._calculate_losses(data, 0)
    return Run(table, cfg.value_loss_coeff, policy + value)


SB3, CONTRIB = "stable_baselines3", "sb3_contrib"
RUNS: dict[str, Callable[[Batch], Run]] = {
    "stable-baselines3-a2c": lambda b: stable_baselines3(b, f"{SB3}.a2c.a2c", "A2C"),
    "stable-baselines3-ppo": lambda b: stable_baselines3(b, f"{SB3}.ppo.ppo", "PPO"),
    "sb3-contrib-recurrent-ppo": lambda b: stable_baselines3(
        b, f"{CONTRIB}.ppo_recurrent.ppo_recurrent", "RecurrentPPO"
    ),
    "sb3-contrib-maskable-ppo": lambda b: stable_baselines3(
        b, f"{CONTRIB}.ppo_mask.ppo_mask", "MaskablePPO"
    ),
    "cleanrl-ppo": cleanrl_ppo,
    "torchrl-a2c": lambda b: torchrl(b, "A2CLoss"),
    "torchrl-ppo": lambda b: torchrl(b, "ClipPPOLoss"),
    "torchrl-reinforce": lambda b: torchrl(b, "ReinforceLoss"),
    "tianshou-a2c": lambda b: tianshou(b, "a2c", "A2C"),
    "tianshou-ppo": lambda b: tianshou(b, "ppo", "PPO"),
    "rllib-ppo": lambda b: rllib(b, "ppo", "PPO"),
    "rllib-impala": lambda b: rllib(b, "impala", "IMPALA"),
    "skrl-a2c": lambda b: skrl(b, "a2c"),
    "skrl-ppo": lambda b: skrl(b, "ppo"),
    "pfrl-a2c": pfrl_a2c,
    "pfrl-a3c": pfrl_a3c,
    "pfrl-ppo": pfrl_ppo,
    "rl-games-ppo": rl_games_ppo,
    "rsl-rl-ppo": rsl_rl_ppo,
    "sample-factory-appo": sample_factory_appo,
}


def gradients_of(run: Callable[[Batch], Run]) -> Loss:
    return lambda batch: run(batch).gradients()


def check_of(run: Callable[[Batch], Run]) -> Check:
    """Returns a function that runs `check_leak` on a library's loss and its log-probabilities."""

    def check(batch: Batch) -> LeakReport:
        seen: list[Tensor] = []
        log_prob: Any = Categorical.log_prob

        def seen_log_prob(policy: Categorical, actions: Tensor) -> Tensor:
            seen.append(log_prob(policy, actions))
            return seen[-1]

        with patch.object(Categorical, "log_prob", seen_log_prob):
            table, _, loss = run(batch)
        log_probs = [found for found in seen if flat_gradient(loss, [found]) is not None]
        return check_leak(
            loss, None, table.parameters.items(), values=table.values, log_probs=log_probs
        )

    return check


LOSSES: dict[str, Loss] = {name: gradients_of(run) for name, run in RUNS.items()}
CHECKS: dict[str, Check] = {name: check_of(run) for name, run in RUNS.items()}
DDOF = {"pfrl-ppo": 0}
