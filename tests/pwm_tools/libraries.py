"""The losses of public libraries, captured while they train.

The libraries are not dependencies of this project, and are imported where they are needed.
"""

# ruff: noqa: PLC0415
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from tests.pwm_tools.agents import Case


@contextmanager
def replaced(owner: Any, name: str, wrap: Callable[[Any], Any]) -> Iterator[None]:
    """Replaces a function while the context lasts."""
    kept = getattr(owner, name)
    setattr(owner, name, wrap(kept))
    try:
        yield
    finally:
        setattr(owner, name, kept)


def stable_baselines(algorithm: Any, policy: str, **settings: Any) -> Case:
    """Summed losses of a Stable-Baselines3 algorithm in its first update on CartPole.

    Args:
        algorithm: the class.
        policy: name of its policy.
        settings: arguments of the algorithm.
    """
    model = algorithm(policy, "CartPole-v1", seed=0, device="cpu", **settings)
    seen: list[tuple[Tensor, Tensor]] = []
    totals: list[Tensor] = []

    def watch(evaluate: Any) -> Any:
        def evaluate_actions(*args: Any, **named: Any) -> Any:
            values, log_probs, entropies = evaluate(*args, **named)
            seen.append((values, log_probs))
            return values, log_probs, entropies

        return evaluate_actions

    def stop(_backward: Any) -> Any:
        def backward(loss: Tensor, *_args: Any, **_named: Any) -> None:
            totals.append(loss)
            raise StopIteration

        return backward

    watched, stopped = (
        replaced(model.policy, "evaluate_actions", watch),
        replaced(Tensor, "backward", stop),
    )
    with watched, stopped, suppress(StopIteration):
        model.learn(model.n_steps)
    (values, log_probs), (total,) = seen[0], totals
    return Case(
        policy_loss=total,
        value_loss=None,
        parameters=model.policy,
        values=values,
        log_probs=log_probs,
    )


def sb3_a2c() -> Case:
    from stable_baselines3 import A2C

    return stable_baselines(A2C, "MlpPolicy", n_steps=16)


def sb3_ppo() -> Case:
    from stable_baselines3 import PPO

    return stable_baselines(PPO, "MlpPolicy", n_steps=64, batch_size=32)


def sb3_ppo_shared() -> Case:
    """PPO with a layer that policy and critic share."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

    class Shared(BaseFeaturesExtractor):
        def __init__(self, space: Any) -> None:
            super().__init__(space, 16)
            self.layer = nn.Linear(4, 16)

        def forward(self, observations: Tensor) -> Tensor:
            return torch.tanh(self.layer(observations))

    network = {"features_extractor_class": Shared}
    return stable_baselines(PPO, "MlpPolicy", n_steps=64, batch_size=32, policy_kwargs=network)


def recurrent_ppo() -> Case:
    from sb3_contrib import RecurrentPPO

    return stable_baselines(RecurrentPPO, "MlpLstmPolicy", n_steps=64, batch_size=32)


def recurrent_ppo_shared() -> Case:
    """Recurrent PPO with one LSTM, whose output the library detaches for the critic."""
    from sb3_contrib import RecurrentPPO

    network = {"shared_lstm": True, "enable_critic_lstm": False}
    return stable_baselines(
        RecurrentPPO, "MlpLstmPolicy", n_steps=64, batch_size=32, policy_kwargs=network
    )


def torchrl(loss: str, *, shared: bool) -> Case:
    """A loss of TorchRL on made-up transitions, with a shared trunk or separate trunks."""
    from tensordict import TensorDict
    from tensordict.nn import TensorDictModule, TensorDictSequential
    from torchrl import objectives
    from torchrl.modules import ProbabilisticActor, ValueOperator

    def trunk(key: str) -> TensorDictModule:
        body = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
        return TensorDictModule(body, in_keys=["observation"], out_keys=[key])

    first = trunk("policy_features")
    actor = ProbabilisticActor(
        TensorDictSequential(
            first, TensorDictModule(nn.Linear(8, 3), ["policy_features"], ["logits"])
        ),
        in_keys=["logits"],
        distribution_class=torch.distributions.Categorical,
        return_log_prob=True,
    )
    head = nn.Linear(8, 1)
    below = first if shared else trunk("critic_features")
    critic = TensorDictSequential(below, ValueOperator(head, in_keys=below.out_keys))
    steps = TensorDict({"observation": torch.randn(32, 4)}, [32])
    with torch.no_grad():
        actor(steps)
    ends = torch.rand(32, 1) < 0.9  # short episodes: errors on the quadratic part of Huber's loss
    steps["next"] = TensorDict(
        {
            "observation": torch.randn(32, 4),
            "reward": torch.rand(32, 1),
            "done": ends,
            "terminated": ends,
        },
        [32],
    )
    module = getattr(objectives, loss)(actor, critic)
    module.make_value_estimator(objectives.ValueEstimators.GAE, gamma=0.99, lmbda=0.95)
    with torch.no_grad():
        module.value_estimator(
            steps,
            params=module.critic_network_params,
            target_params=module.target_critic_network_params,
        )
    seen: dict[str, list[Tensor]] = {"values": [], "log_probs": []}
    hook = head.register_forward_hook(
        lambda _module, _inputs, output: seen["values"].append(output)
    )

    def watch(log_prob: Any) -> Any:
        def seen_log_prob(*args: Any) -> Tensor:
            seen["log_probs"].append(log_prob(*args))
            return seen["log_probs"][-1]

        return seen_log_prob

    with replaced(torch.distributions.Categorical, "log_prob", watch):
        losses = module(steps)
    hook.remove()
    return Case(
        policy_loss=losses["loss_objective"],
        value_loss=losses["loss_critic"],
        parameters=module,
        values=[values for values in seen["values"] if values.requires_grad],
        log_probs=[values for values in seen["log_probs"] if values.requires_grad],
    )


LIBRARIES: dict[str, tuple[str, Callable[[], Case]]] = {
    "A2C": ("stable-baselines3", sb3_a2c),
    "PPO": ("stable-baselines3", sb3_ppo),
    "PPO, shared layer": ("stable-baselines3", sb3_ppo_shared),
    "RecurrentPPO": ("sb3-contrib", recurrent_ppo),
    "RecurrentPPO, shared LSTM": ("sb3-contrib", recurrent_ppo_shared),
    "A2CLoss, shared": ("torchrl", lambda: torchrl("A2CLoss", shared=True)),
    "A2CLoss, separate": ("torchrl", lambda: torchrl("A2CLoss", shared=False)),
    "ClipPPOLoss, shared": ("torchrl", lambda: torchrl("ClipPPOLoss", shared=True)),
    "ClipPPOLoss, separate": ("torchrl", lambda: torchrl("ClipPPOLoss", shared=False)),
}
"""Package, and function that makes the case, by name."""


def is_installed(package: str) -> bool:
    """Whether a package, given by its PyPI name, is installed."""
    return find_spec(package.replace("-", "_")) is not None


def named(name: str) -> str:
    """The name with its package and the installed version."""
    package, _ = LIBRARIES[name]
    return f"{package} {version(package)}: {name}"
