"""Small actor-critics of many kinds, some with a library's losses, with and without a leak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Normal
from torch.nn import functional

Trunk = Literal["mlp", "gru", "lstm"]
Leak = Literal["none", "all", "head", "trunk"]
OBSERVATION, HIDDEN, ACTIONS = 4, 8, 3


@dataclass(frozen=True, kw_only=True)
class Case:
    """Arguments of `check_leak`, and the parameters that a leak reaches."""

    policy_loss: Tensor
    value_loss: Tensor | None
    parameters: Any
    values: Tensor | Sequence[Tensor]
    log_probs: Tensor | Sequence[Tensor]
    weight: float = 1.0
    head: frozenset[str] = frozenset()
    trunk: frozenset[str] = frozenset()

    @property
    def named(self) -> dict[str, Any]:
        """The arguments by name."""
        names = ("policy_loss", "value_loss", "parameters", "values", "log_probs", "weight")
        return {name: getattr(self, name) for name in names}

    @property
    def verdict(self) -> str:
        """The correct verdict."""
        return "leak" if self.head or self.trunk else "no leak"


class Network(nn.Module):
    """A critic and a policy with a shared trunk or separate trunks."""

    def __init__(self, trunk: Trunk = "mlp", *, shared: bool = True, continuous: bool = False):
        super().__init__()
        self.trunk = self._body(trunk)
        self.critic_trunk = None if shared else self._body(trunk)
        self.policy = nn.Linear(HIDDEN, ACTIONS)
        self.critic = nn.Linear(HIDDEN, 1)
        self.continuous = continuous

    @staticmethod
    def _body(trunk: Trunk) -> nn.Module:
        if trunk == "mlp":
            return nn.Sequential(nn.Linear(OBSERVATION, HIDDEN), nn.Tanh())
        return nn.GRU(OBSERVATION, HIDDEN) if trunk == "gru" else nn.LSTM(OBSERVATION, HIDDEN)

    @staticmethod
    def _features(body: nn.Module, observations: Tensor) -> Tensor:
        features = body(observations)
        return features if isinstance(features, Tensor) else features[0]

    def features(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs of the policy head and of the critic head."""
        features = self._features(self.trunk, observations)
        if self.critic_trunk is None:
            return features, features
        return features, self._features(self.critic_trunk, observations)

    def distribution(self, features: Tensor) -> Distribution:
        outputs = self.policy(features)
        if self.continuous:
            return Normal(outputs[..., 0], outputs[..., 1].exp())
        return Categorical(logits=outputs)

    def value(self, features: Tensor) -> Tensor:
        values: Tensor = self.critic(features).squeeze(-1)
        return values

    def reached(self, leak: Leak) -> dict[str, Any]:
        """Names of the parameters that a leak reaches, for "head" and "trunk"."""
        of_critic = {name for name, _ in self.named_parameters() if name.startswith("critic")}
        of_trunk = {name for name, _ in self.named_parameters() if name.startswith("trunk")}
        return {
            "head": frozenset(of_critic if leak in ("all", "head") else ()),
            "trunk": frozenset(
                of_trunk if leak in ("all", "trunk") and self.critic_trunk is None else ()
            ),
        }


def baseline(network: Network, features: Tensor, values: Tensor, leak: Leak) -> Tensor:
    """The policy loss's baseline: the values, attached only to the parameters that `leak` names."""
    if leak == "all":
        return values
    if leak == "head":
        return network.value(features.detach())
    if leak == "trunk":
        head = network.critic
        return functional.linear(features, head.weight.detach(), head.bias.detach()).squeeze(-1)
    return values.detach()


def returns_of(shape: Sequence[int]) -> Tensor:
    """Returns, undiscounted, of random rewards over whole episodes; the first axis is time."""
    rewards = (torch.rand(tuple(shape)) < 0.3).float()
    return rewards.flip(0).cumsum(0).flip(0)


def generalised_advantages(values: Tensor, rewards: Tensor) -> Tensor:
    """Generalised advantages, attached to the values: γ = 0.9, λ = 0.8, and value 0 at the end."""
    following = torch.cat([values[1:], torch.zeros_like(values[:1])])
    errors = rewards + 0.9 * following - values
    advantage, advantages = torch.zeros_like(values[0]), []
    for step in reversed(range(len(errors))):
        advantage = errors[step] + 0.9 * 0.8 * advantage
        advantages.append(advantage)
    return torch.stack(advantages[::-1])


def reinforce(leak: Leak = "none", trunk: Trunk = "mlp", *, shared: bool = True) -> Case:
    """REINFORCE with a baseline, as in this project: summed policy loss, mean value loss."""
    network = Network(trunk, shared=shared)
    of_policy, of_critic = network.features(torch.randn(30, OBSERVATION))
    policy, values = network.distribution(of_policy), network.value(of_critic)
    log_probs = policy.log_prob(policy.sample())
    returns = returns_of([30])
    advantages = returns - baseline(network, of_critic, values, leak)
    return Case(
        policy_loss=-(advantages * log_probs).sum() - 0.01 * policy.entropy().sum(),
        value_loss=(returns - values).square().mean(),
        parameters=network,
        values=values,
        log_probs=log_probs,
        **network.reached(leak),
    )


def tutorial(leak: Leak = "none") -> Case:
    """TensorFlow's actor-critic tutorial: a list element per step, and standardised returns."""
    network = Network()
    values, log_probs = [], []
    for observation in torch.randn(12, OBSERVATION):
        of_policy, of_critic = network.features(observation)
        policy = network.distribution(of_policy)
        values.append(network.critic(of_critic))
        log_probs.append(policy.log_prob(policy.sample()))
    policy_losses, value_losses = [], []
    returns = returns_of([12])
    returns = (returns - returns.mean()) / returns.std()
    for log_prob, value, target in zip(log_probs, values, returns, strict=True):
        advantage = target - (value.squeeze() if leak == "all" else value.item())
        policy_losses.append(-log_prob * advantage)
        value_losses.append(functional.smooth_l1_loss(value, target.reshape(1)))
    return Case(
        policy_loss=torch.stack(policy_losses).sum(),
        value_loss=torch.stack(value_losses).sum(),
        parameters=network.named_parameters(),
        values=values,
        log_probs=log_probs,
        **network.reached(leak),
    )


def reinforce_of_tf_agents(leak: Leak = "none") -> Case:
    """TF-Agents' REINFORCE: summed losses, advantages standardised without detaching."""
    network = Network(shared=False)
    of_policy, of_critic = network.features(torch.randn(40, OBSERVATION))
    policy, values = network.distribution(of_policy), network.value(of_critic)
    log_probs = policy.log_prob(policy.sample())
    returns = returns_of([40])
    advantages = returns - baseline(network, of_critic, values, leak)
    advantages = (advantages - advantages.mean()) / advantages.std(correction=0)
    return Case(
        policy_loss=-(log_probs * advantages).sum(),
        value_loss=(returns - values).square().sum(),
        parameters=network,
        values=values,
        log_probs=log_probs,
        weight=0.2,
        **network.reached(leak),
    )


def a3c(leak: Leak = "none") -> Case:
    """An LSTM trained as in A3C: n-step returns, and losses summed from the last step back."""
    network = Network("lstm")
    features, _ = network.features(torch.randn(20, OBSERVATION))
    policy, values = network.distribution(features), network.value(features)
    log_probs = policy.log_prob(policy.sample())
    rewards = torch.rand(20)
    target = values[-1].detach()
    policy_loss = value_loss = torch.zeros(())
    for step in reversed(range(20)):
        target = rewards[step] + 0.99 * target
        error = target - values[step]
        advantage = error if leak == "all" else error.detach()
        policy_loss = policy_loss - log_probs[step] * advantage - 0.01 * policy.entropy()[step]
        value_loss = value_loss + error.square() / 2
    return Case(
        policy_loss=policy_loss,
        value_loss=value_loss,
        parameters=network,
        values=values,
        log_probs=log_probs,
        weight=0.5,
        **network.reached(leak),
    )


def generalised(leak: Leak = "none") -> Case:
    """An actor-critic with generalised advantage estimation, on a batch of environments."""
    network = Network()
    features, _ = network.features(torch.randn(16, 5, OBSERVATION))
    policy, values = network.distribution(features), network.value(features)
    log_probs = policy.log_prob(policy.sample())
    advantages = generalised_advantages(values, torch.rand(16, 5))
    targets = (advantages + values).detach()
    weights = advantages if leak == "all" else advantages.detach()
    return Case(
        policy_loss=-(weights * log_probs).mean(),
        value_loss=functional.mse_loss(values, targets),
        parameters=network,
        values=values,
        log_probs=log_probs,
        weight=0.5,
        **network.reached(leak),
    )


def ppo(leak: Leak = "none", trunk: Trunk = "mlp", *, shared: bool = True) -> Case:
    """PPO as in CleanRL: clipped losses, normalised advantages, half the squared errors."""
    network = Network(trunk, shared=shared)
    of_policy, of_critic = network.features(torch.randn(32, OBSERVATION))
    policy, values = network.distribution(of_policy), network.value(of_critic)
    log_probs = policy.log_prob(policy.sample())
    returns = returns_of([32])
    advantages = returns - baseline(network, of_critic, values, leak)
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    ratio = (log_probs - log_probs.detach()).exp()
    policy_loss = torch.max(-advantages * ratio, -advantages * ratio.clamp(0.8, 1.2)).mean()
    old = values.detach()
    clipped = old + (values - old).clamp(-0.2, 0.2)
    errors = torch.max((values - returns).square(), (clipped - returns).square())
    return Case(
        policy_loss=policy_loss - 0.01 * policy.entropy().mean(),
        value_loss=0.5 * errors.mean(),
        parameters=network,
        values=values,
        log_probs=log_probs,
        weight=0.5,
        **network.reached(leak),
    )


AGENTS: dict[str, Callable[[], Case]] = {
    "REINFORCE with a baseline, shared LSTM": lambda: reinforce("all", "lstm"),
    "REINFORCE with a baseline, separate networks": lambda: reinforce("all", shared=False),
    "actor-critic of TensorFlow's tutorial": lambda: tutorial("all"),
    "REINFORCE of TF-Agents": lambda: reinforce_of_tf_agents("all"),
    "A3C, shared LSTM": lambda: a3c("all"),
    "A2C, generalised advantages": lambda: generalised("all"),
    "PPO as in CleanRL, attached": lambda: ppo("all"),
    "leak into the head alone": lambda: reinforce("head", "lstm"),
    "leak into the trunk alone": lambda: reinforce("trunk", "lstm"),
    "REINFORCE with a baseline, mended": lambda: reinforce("none", "lstm"),
    "actor-critic of TensorFlow's tutorial, mended": lambda: tutorial("none"),
    "REINFORCE of TF-Agents, mended": lambda: reinforce_of_tf_agents("none"),
    "A3C, mended": lambda: a3c("none"),
    "A2C, generalised advantages, mended": lambda: generalised("none"),
    "PPO as in CleanRL, shared MLP": lambda: ppo("none"),
    "PPO as in CleanRL, separate MLPs": lambda: ppo("none", shared=False),
    "PPO as in CleanRL, shared LSTM": lambda: ppo("none", "lstm"),
}
"""Agents in the table of `docs/check.md`."""
