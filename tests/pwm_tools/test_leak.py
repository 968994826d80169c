"""The leak check: verdicts, parameters, weights and costs, on agents of every kind."""

from __future__ import annotations

import time
from dataclasses import replace
from math import sqrt
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from pwm.core.leak import critic_bias
from pwm.tools import assert_no_leak, check_leak
from pwm.tools.errors import ArgumentError
from tests.pwm_tools.agents import (
    AGENTS,
    OBSERVATION,
    Case,
    Leak,
    Network,
    Trunk,
    baseline,
    generalised_advantages,
    ppo,
    reinforce,
    returns_of,
    tutorial,
)
from tests.pwm_tools.libraries import LIBRARIES, is_installed


def assert_right(case: Case) -> None:
    report = check_leak(**case.named)
    assert report.verdict == case.verdict, report
    assert set(report.head) == case.head
    assert set(report.trunk) == case.trunk
    assert report.other == ()


@pytest.mark.parametrize("name", AGENTS)
def test_verdict_and_parameters_are_right(name: str) -> None:
    torch.manual_seed(0)
    assert_right(AGENTS[name]())


@pytest.mark.machine
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", LIBRARIES)
def test_losses_of_libraries_pass(name: str) -> None:
    package, make = LIBRARIES[name]
    if not is_installed(package):
        pytest.skip(f"{package} is not installed")
    torch.manual_seed(0)
    assert_right(make())


REDUCTIONS = ("sum", "mean")


@st.composite
def twins(draw: st.DrawFn) -> tuple[Case, Case]:
    """The same random actor-critic, without and with a leak."""
    trunk: Trunk = draw(st.sampled_from(["mlp", "gru", "lstm"]))
    shared, continuous = draw(st.booleans()), draw(st.booleans())
    shape = draw(st.sampled_from([(5,), (24,), (6, 3)]))
    leak: Leak = draw(st.sampled_from(["all", "head", "trunk"] if shared else ["all"]))
    generalised = leak == "all" and draw(st.booleans())
    normalised, ratio, in_list = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    in_one = draw(st.booleans())
    reduce_policy, reduce_value = (draw(st.sampled_from(REDUCTIONS)) for _ in range(2))
    loss_name = draw(st.sampled_from(["mse_loss", "smooth_l1_loss", "huber_loss"]))
    entropy_weight = draw(st.sampled_from([0.0, 0.01]))
    seed = draw(st.integers(0, 2**31))

    def make(leak: Leak) -> Case:
        torch.manual_seed(seed)
        network = Network(trunk, shared=shared, continuous=continuous)
        of_policy, of_critic = network.features(torch.randn(*shape, OBSERVATION))
        policy, values = network.distribution(of_policy), network.value(of_critic)
        log_probs = policy.log_prob(policy.sample())
        returns = returns_of(shape)
        listed: dict[str, Any] = {"values": values, "log_probs": log_probs}
        if in_list:
            listed = {name: list(tensor.unbind()) for name, tensor in listed.items()}
            values, log_probs = (torch.stack(listed[name]) for name in ("values", "log_probs"))
        advantages = returns - (
            values if in_list and leak == "all" else baseline(network, of_critic, values, leak)
        )
        if generalised:
            advantages = generalised_advantages(values, returns)
            advantages = advantages if leak == "all" else advantages.detach()
        if normalised:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        terms = -advantages * log_probs
        if ratio:
            ratios = (log_probs - log_probs.detach()).exp()
            terms = torch.max(-advantages * ratios, -advantages * ratios.clamp(0.8, 1.2))
        policy_loss = getattr(terms, reduce_policy)() - entropy_weight * policy.entropy().mean()
        of_values = getattr(functional, loss_name)(values, returns, reduction=reduce_value)
        return Case(
            policy_loss=policy_loss + 0.5 * of_values if in_one else policy_loss,
            value_loss=None if in_one else of_values,
            parameters=network,
            weight=1.0 if in_one else 0.5,
            **(listed | network.reached(leak)),
        )

    return make("none"), make(leak)


@settings(max_examples=50)
@given(twins())
def test_no_false_alarm_and_no_miss_on_random_agents(pair: tuple[Case, Case]) -> None:
    sound, leaking = pair
    assert check_leak(**sound.named).verdict == "no leak"
    assert_right(leaking)
    arguments = {k: v for k, v in sound.named.items() if k != "weight"}
    assert_no_leak(**arguments)


@pytest.mark.parametrize("reduce_policy", REDUCTIONS)
@pytest.mark.parametrize("reduce_value", REDUCTIONS)
@pytest.mark.parametrize("factor", [1.0, 0.5])
@pytest.mark.parametrize("leak", ["none", "all"])
def test_weight_and_bias_are_those_of_the_theory(
    reduce_policy: str, reduce_value: str, factor: float, leak: Leak
) -> None:
    """Closed forms for L = reduce(policy) + 3 * factor * reduce(squares)."""
    torch.manual_seed(0)
    case, steps = reinforce(leak), 30
    assert isinstance(case.values, Tensor)
    assert isinstance(case.log_probs, Tensor)
    returns = returns_of([steps])
    attached = case.values if leak == "all" else case.values.detach()
    terms = -(returns - attached) * case.log_probs
    squares = factor * (returns - case.values).square()
    case = replace(
        case,
        policy_loss=getattr(terms, reduce_policy)(),
        value_loss=getattr(squares, reduce_value)(),
        weight=3.0,
    )
    report = check_leak(**case.named)
    of_means = 3 * factor * (1 if reduce_value == "mean" else steps)
    of_means /= 1 if reduce_policy == "mean" else steps
    assert report.losses.weight_of_means == pytest.approx(of_means, rel=1e-3)
    assert report.losses.weight == pytest.approx(of_means * steps, rel=1e-3)
    assert report.losses.normalised is False
    assert report.losses.policy_loss == f"{reduce_policy} over {steps} steps"
    assert report.losses.value_loss == f"{3 * factor:g} × {reduce_value} over {steps} steps"
    assert isinstance(case.values, Tensor)
    assert isinstance(case.log_probs, Tensor)
    errors = (case.values - returns).detach()
    if leak == "none":
        assert report.cost is None
        return
    assert report.cost is not None
    surprise = -float(case.log_probs.detach().mean())
    bias = critic_bias(steps, surprise, of_means * steps)
    assert report.cost.bias == pytest.approx(bias, rel=1e-3)
    assert report.cost.scatter == pytest.approx(float(errors.std()), rel=1e-3)
    expected = sqrt(1 + (bias / float(errors.std())) ** 2)
    assert report.cost.slowdown == pytest.approx(expected, rel=1e-2)


def test_steps_of_an_episode_change_the_units_alone() -> None:
    torch.manual_seed(0)
    case = reinforce()
    report, longer = check_leak(**case.named), check_leak(**case.named, steps=300)
    assert report.losses.weight is not None
    assert longer.losses.weight == pytest.approx(10 * report.losses.weight)
    assert longer.losses.weight_of_means == report.losses.weight_of_means


def test_a_list_of_steps_of_several_environments_has_two_axes() -> None:
    torch.manual_seed(0)
    network = Network()
    features = [network.features(torch.randn(8, OBSERVATION))[0] for _ in range(16)]
    values, policies = map(network.value, features), map(network.distribution, features)
    listed, log_probs = list(values), [policy.log_prob(policy.sample()) for policy in policies]
    errors = [torch.randn(8) - each for each in listed]
    report = check_leak(
        -torch.stack([e.detach() * p for e, p in zip(errors, log_probs, strict=True)])
        .mean(1)
        .sum(),
        torch.stack([e.square().mean() for e in errors]).sum(),
        network,
        values=listed,
        log_probs=log_probs,
    )
    each = "sum over the first axis (16), mean over the second (8)"
    assert (report.losses.policy_loss, report.losses.value_loss) == (each, each)


@pytest.mark.parametrize("leak", ["none", "all"])
def test_nothing_is_changed(leak: Leak) -> None:
    torch.manual_seed(0)
    case = reinforce(leak, "lstm")
    kept = [parameter.clone() for parameter in case.parameters.parameters()]
    for parameter in case.parameters.parameters():
        parameter.grad = torch.full_like(parameter, 3)
    state, version = torch.get_rng_state(), [p._version for p in case.parameters.parameters()]
    check_leak(**case.named)
    assert torch.equal(torch.get_rng_state(), state)
    assert [p._version for p in case.parameters.parameters()] == version
    for parameter, before in zip(case.parameters.parameters(), kept, strict=True):
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, torch.full_like(parameter, 3))
        assert torch.equal(parameter, before)
        parameter.grad = None
    assert case.value_loss is not None
    (case.policy_loss + case.value_loss).backward()  # the graph is still there
    gradients = [parameter.grad for parameter in case.parameters.parameters()]
    torch.manual_seed(0)
    other = reinforce(leak, "lstm")
    assert other.value_loss is not None
    (other.policy_loss + other.value_loss).backward()
    for gradient, parameter in zip(gradients, other.parameters.parameters(), strict=True):
        assert torch.equal(gradient, parameter.grad)


@pytest.mark.parametrize("leak", ["none", "all"])
def test_it_costs_less_than_three_backward_passes(leak: Leak) -> None:
    torch.manual_seed(0)
    network = nn.ModuleDict({"trunk": nn.LSTM(16, 64), "policy": nn.Linear(64, 3)})
    network["critic"] = nn.Linear(64, 1)
    best = {"check": float("inf"), "backward": float("inf")}
    for _ in range(5):
        features, _ = network["trunk"](torch.randn(60, 16, 16))
        values = network["critic"](features).squeeze(-1)
        policy = torch.distributions.Categorical(logits=network["policy"](features))
        log_probs, returns = policy.log_prob(policy.sample()), torch.randn(60, 16)
        attached = values if leak == "all" else values.detach()
        policy_loss = -((returns - attached) * log_probs).mean()
        value_loss = (returns - values).square().mean()
        passed: list[Tensor] = []
        handle = features.register_hook(passed.append)
        begin = time.process_time()  # a busy machine does not add to it
        check_leak(policy_loss, value_loss, network, values=values, log_probs=log_probs)
        middle = time.process_time()
        handle.remove()
        assert len(passed) == (leak == "all")  # backward passes through the network
        (policy_loss + value_loss).backward()
        best["check"] = min(best["check"], middle - begin)
        best["backward"] = min(best["backward"], time.process_time() - middle)
    assert best["check"] < 3 * best["backward"]


def test_the_message_says_what_to_change() -> None:
    torch.manual_seed(0)
    case = AGENTS["A3C, shared LSTM"]()
    arguments = {k: v for k, v in case.named.items() if k != "weight"}
    with pytest.raises(AssertionError, match=r"log_probs \* advantages\.detach\(\)") as caught:
        assert_no_leak(**arguments)
    assert "critic.weight, critic.bias" in str(caught.value)
    assert "trunk.weight_ih_l0" in str(caught.value)


def test_names_come_from_whatever_is_passed() -> None:
    torch.manual_seed(0)
    case = reinforce("head")
    parts = dict(case.parameters.named_children())
    for parameters, name in (
        (parts, "critic.weight"),
        (list(parts["critic"].parameters()), "parameter 0"),
        ([("mine", parts["critic"].weight)], "mine"),
        ([], "a parameter of shape [1] that was not passed"),
    ):
        report = check_leak(**{**case.named, "parameters": parameters})
        assert name in report.head


def test_a_copy_of_the_log_probabilities_cannot_tell() -> None:
    torch.manual_seed(0)
    case = tutorial("all")
    report = check_leak(**{**case.named, "log_probs": torch.stack(list(case.log_probs))})
    assert report.verdict == "cannot tell"
    assert "no copy, stack or slice" in str(report)
    with pytest.raises(AssertionError, match="CANNOT TELL"):
        assert_no_leak(
            case.policy_loss,
            case.value_loss,
            case.parameters,
            values=case.values,
            log_probs=torch.stack(list(case.log_probs)),
        )


def test_a_copy_of_the_values_still_finds_the_leak() -> None:
    torch.manual_seed(0)
    for leak in ("none", "all"):
        case = tutorial(leak)
        report = check_leak(**{**case.named, "values": torch.stack(list(case.values))})
        assert report.verdict == case.verdict
        assert set(report.head) == case.head
        assert report.losses.value_loss is None
        assert str(report).count("the very tensor of values") == 1
        assert "another output" not in str(report)
        assert "very tensor" not in str(check_leak(**case.named))


def test_a_bootstrap_value_that_was_not_detached_is_named() -> None:
    torch.manual_seed(0)
    for case, named in ((bootstrapped(), True), (reinforce("all"), False)):
        report = check_leak(**case.named)
        assert set(report.head) == case.head
        assert ("bootstrap value under torch.no_grad()" in str(report)) is named


def bootstrapped() -> Case:
    """An agent whose baseline is detached, but whose bootstrapped returns are not."""
    network = Network()
    features, _ = network.features(torch.randn(9, OBSERVATION))
    policy, values = network.distribution(features[:-1]), network.value(features[:-1])
    log_probs = policy.log_prob(policy.sample())
    returns = returns_of([8]) + network.value(features[-1])
    return Case(
        policy_loss=-((returns - values.detach()) * log_probs).sum(),
        value_loss=(returns.detach() - values).square().mean(),
        parameters=network,
        values=values,
        log_probs=log_probs,
        **network.reached("all"),
    )


def test_normalised_advantages_cancel_the_bias_and_have_two_weights() -> None:
    torch.manual_seed(0)
    report = check_leak(**ppo("all").named)
    assert report.cost is not None
    assert report.cost.slowdown is None
    assert report.losses.weight_as_written == pytest.approx(0.25, rel=1e-3)
    expected = 0.25 * report.cost.scatter  # next to advantages divided by it
    assert report.losses.weight_of_means == pytest.approx(expected, rel=1e-3)
    assert "bias         none: it cancels" in str(report)
    assert f"as written; {expected:.3g} in units of unnormalised advantages" in str(report)


def test_a_detached_mean_of_the_advantages_does_not_cancel_the_bias() -> None:
    torch.manual_seed(0)
    case = reinforce()
    assert isinstance(case.values, Tensor)
    assert isinstance(case.log_probs, Tensor)
    surprise = -float(case.log_probs.detach().mean())
    returns = returns_of([30])
    advantages = returns - case.values
    advantages = (advantages - advantages.mean().detach()) / advantages.std().detach()
    case = replace(
        case,
        policy_loss=-(advantages * case.log_probs).sum(),
        value_loss=(returns - case.values).square().mean(),
    )
    report = check_leak(**case.named)
    assert report.losses.normalised is True
    assert report.cost is not None
    assert report.cost.slowdown is None
    of_means = report.losses.weight_of_means
    assert of_means is not None
    assert report.cost.bias == pytest.approx(surprise / (2 * of_means), rel=1e-3)


def test_no_cost_is_given_where_the_advantages_cannot_be_told() -> None:
    """The advantages are not linear in the value loss's errors, as they use other returns."""
    torch.manual_seed(0)
    case = reinforce("all")
    assert isinstance(case.values, Tensor)
    report = check_leak(
        **{**case.named, "value_loss": (returns_of([30]) - case.values).square().mean()}
    )
    assert report.verdict == "leak"
    assert report.losses.normalised is None
    assert report.cost is None


def test_an_error_too_small_to_print_is_left_out() -> None:
    """With PPO's ratio at 1, the bias is the same at every step."""
    torch.manual_seed(0)
    case = reinforce("all")
    assert isinstance(case.values, Tensor)
    assert isinstance(case.log_probs, Tensor)
    returns = returns_of([30])
    ratios = (case.log_probs - case.log_probs.detach()).exp()
    case = replace(
        case,
        policy_loss=-((returns - case.values) * ratios).mean(),
        value_loss=(returns - case.values).square().mean(),
        weight=0.5,
    )
    assert "bias         -1 expected" in str(check_leak(**case.named))


class Opaque(torch.autograd.Function):
    """A product whose gradient cannot be differentiated, as in a compiled loss."""

    @staticmethod
    def forward(ctx: Any, one: Tensor, other: Tensor) -> Tensor:
        ctx.save_for_backward(one, other)
        return one * other

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        one, other = ctx.saved_tensors
        return gradient * other, gradient * one


def test_a_loss_that_hides_its_graph_cannot_tell() -> None:
    torch.manual_seed(0)
    case = reinforce("all")
    assert isinstance(case.values, Tensor)
    policy_loss = Opaque.apply(case.values, case.log_probs).sum()  # type: ignore[no-untyped-call]
    assert check_leak(**{**case.named, "policy_loss": policy_loss}).verdict == "cannot tell"


def test_bad_input_is_refused_in_one_line() -> None:
    torch.manual_seed(0)
    case = reinforce()
    for change, message in (
        ({"policy_loss": case.values}, "policy_loss of shape [30]: expected a scalar"),
        ({"policy_loss": torch.zeros(())}, "policy_loss without a gradient: expected a scalar"),
        (
            {"value_loss": torch.zeros(())},
            "value_loss without a gradient: expected a scalar that requires a gradient "
            "(were the values detached in it too?)",
        ),
        ({"weight": 0.0}, "weight 0.0: expected"),
        ({"steps": 0}, "steps 0: expected an integer"),
    ):
        with pytest.raises(ArgumentError) as caught:
            check_leak(**{**case.named, **change})
        assert str(caught.value).startswith(message)
    case.policy_loss.backward()
    with pytest.raises(
        ArgumentError, match=r"policy_loss without its graph: .*backward has not been called"
    ):
        check_leak(**case.named)
