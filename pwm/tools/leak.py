"""The leak check: does the policy loss train the critic?

In REINFORCE and its kin, the gradient of the loss with respect to an action's log-probability is
minus that action's advantage, a constant. The check computes this gradient with its graph. If it
depends on parameters, the baseline was not detached. The check does not need to know which tensor
is the baseline, works with any reduction, and with the sum of both losses. PPO's ratio makes the
gradient depend on the log-probabilities themselves, so paths through them do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf, sqrt
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction

from pwm.analysis.theory import slowdown
from pwm.core.errors import ArgumentError, require_argument
from pwm.tools.graph import ancestors, between, leaves, output
from pwm.tools.reductions import EXACT, ValueTerm, flat_gradient, losses, value_term
from pwm.tools.report import Cost, LeakReport

Parameters = nn.Module | Mapping[str, nn.Module] | Iterable[Tensor] | Iterable[tuple[str, Tensor]]
Tensors = Tensor | Sequence[Tensor]

CANCELS = 1e-6  # relative norm below which the gradient of a part counts as zero
NOT_USED = (
    "the policy loss was not computed from these log-probabilities. Pass the tensor, or the list "
    "of tensors, that it was computed from: no copy, stack or slice of it"
)
HIDDEN = (
    "a step from the log-probabilities to the loss is compiled, or a function with its own "
    "gradient. Compute the loss without torch.compile"
)


def check_leak(
    policy_loss: Tensor,
    value_loss: Tensor | None,
    parameters: Parameters,
    *,
    values: Tensors,
    log_probs: Tensors,
    weight: float = 1.0,
    steps: int | None = None,
) -> LeakReport:
    """Whether the policy loss trains the critic, and what that costs.

    Call it when the losses are made and before `backward`. It changes no gradient, parameter or
    random state.

    Args:
        policy_loss: a scalar; it may include an entropy bonus.
        value_loss: a scalar, without its weight; None if `policy_loss` is the sum of both.
        parameters: the agent's: a module, modules by name, or parameters, with or without names.
        values: the critic's outputs that the losses were computed from, one tensor or a list.
        log_probs: log-probabilities of the actions taken, one tensor or a list.
        weight: factor outside `value_loss` in the sum that `backward` is called on.
        steps: T, steps per episode, for the weight's units; by default all steps of the losses.
    Raises:
        ArgumentError: a loss is not a scalar with a gradient, or `backward` has been called.
    """
    _check_arguments(policy_loss, value_loss, weight, steps)
    value_list, log_prob_list = _listed(values), _listed(log_probs)
    with _before_backward():
        pull = flat_gradient(policy_loss, log_prob_list, keep=True)
        weighted = policy_loss if value_loss is None else weight * value_loss
        value = value_term(weighted, value_list)
        values_used = flat_gradient(weighted, value_list) is not None
    if pull is None:
        return LeakReport(verdict="cannot tell", reason=NOT_USED)
    tracked = [tensor for tensor in log_prob_list if tensor.requires_grad]
    if any(isinstance(node, BackwardCFunction) for node in between(policy_loss, tracked)):
        return LeakReport(verdict="cannot tell", reason=HIDDEN)
    depends = ancestors([pull], stop=tracked)
    reached = leaves(depends)
    if reached and value_loss is None:
        value = None  # the gradient of the sum is not that of the value loss alone
    shape = [size for size in _shape(values) if size > 1] or [1]
    found = losses(pull.detach(), value, steps=steps, shape=shape)
    if not reached:
        return LeakReport(verdict="no leak", values_used=values_used, losses=found)
    parts = _parts(reached, pull, value_list, log_prob_list)
    names = _names(parameters)
    head, trunk, other = (_sorted_names(part, names) for part in parts[:3])
    leaked = flat_gradient(policy_loss, value_list)
    cost = None
    known = parts.whole and found.normalised is not None
    if known and leaked is not None and value is not None and value.is_quadratic:
        cost = _cost(leaked, value, normalised=bool(found.normalised))
    return LeakReport(
        verdict="leak",
        head=head,
        trunk=trunk,
        other=other,
        values_used=values_used,
        through_values=any(v.requires_grad and output(v) in depends for v in value_list),
        losses=found,
        cost=cost,
    )


def assert_no_leak(
    policy_loss: Tensor,
    value_loss: Tensor | None,
    parameters: Parameters,
    *,
    values: Tensors,
    log_probs: Tensors,
) -> None:
    """Raises an AssertionError, with the report, unless `check_leak` finds no leak."""
    report = check_leak(policy_loss, value_loss, parameters, values=values, log_probs=log_probs)
    if report.verdict != "no leak":
        raise AssertionError(str(report))


def _check_arguments(
    policy_loss: Tensor, value_loss: Tensor | None, weight: float, steps: int | None
) -> None:
    """Raises an ArgumentError for the first argument that `check_leak` cannot use."""
    accepted = "a scalar that requires a gradient"
    for name, loss, hint in (
        ("policy_loss", policy_loss, ""),
        ("value_loss", value_loss, " (were the values detached in it too?)"),
    ):
        if loss is not None:
            require_argument(loss.numel() == 1, name, f"of shape {list(loss.shape)}", accepted)
            require_argument(loss.requires_grad, name, "without a gradient", accepted + hint)
    require_argument(0 < weight < inf, "weight", weight, "a finite number above 0")
    require_argument(steps is None or steps >= 1, "steps", steps, "an integer, 1 or above")


@contextmanager
def _before_backward() -> Iterator[None]:
    """Raises an ArgumentError if `backward` has freed the graph of a loss."""
    try:
        yield
    except RuntimeError as error:
        if "second time" not in str(error):
            raise
        accepted = "a loss on which backward has not been called"
        raise ArgumentError("policy_loss", "without its graph", accepted) from error


class _Parts(NamedTuple):
    """Parameters that a leak reaches, by what they belong to."""

    head: list[Tensor]  # of the critic alone
    trunk: list[Tensor]  # of critic and policy
    other: list[Tensor]
    whole: bool  # whether it reaches all of the critic


def _parts(
    reached: list[Tensor], pull: Tensor, values: list[Tensor], log_probs: list[Tensor]
) -> _Parts:
    """Sorts the parameters that the advantage depends on.

    If the leak's gradient cancels in head or trunk (for instance because the loss subtracts what
    the head contributes), that part is returned empty.

    Args:
        reached: these parameters.
        pull: gradient of the policy loss with respect to the log-probabilities, with its graph.
        values: outputs of the critic.
        log_probs: outputs of the policy.
    """
    of_critic = {id(leaf) for leaf in leaves(ancestors(values))}
    of_policy = {id(leaf) for leaf in leaves(ancestors(log_probs))}
    head = [leaf for leaf in reached if id(leaf) in of_critic - of_policy]
    trunk = [leaf for leaf in reached if id(leaf) in of_critic & of_policy]
    other = [leaf for leaf in reached if id(leaf) not in of_critic]
    whole = len(head) + len(trunk) == len(of_critic)
    if head and trunk:
        # The leak's gradient is that of Σ log π · ∂L/∂log π with log π held constant.
        constant = torch.cat([tensor.detach().reshape(-1) for tensor in log_probs])
        gradient = flat_gradient((pull * constant).sum(), [*head, *trunk])
        if gradient is not None:
            size = sum(leaf.numel() for leaf in head)
            in_head, in_trunk = float(gradient[:size].norm()), float(gradient[size:].norm())
            if in_head < CANCELS * in_trunk:
                return _Parts([], trunk, other, whole=False)
            if in_trunk < CANCELS * in_head:
                return _Parts(head, [], other, whole=False)
    return _Parts(head, trunk, other, whole)


def _cost(leaked: Tensor, value: ValueTerm, *, normalised: bool) -> Cost:
    """Bias and slowdown of a leak into the whole critic.

    Each value settles where the leak's gradient and the value loss's cancel. No formula is needed
    for the leak's, which is c log π(a) for REINFORCE and c times the ratio for PPO.

    Args:
        leaked: gradient of the policy loss with respect to the values, [steps].
        value: the value loss.
        normalised: whether advantages are normalised.
    """
    biases = -leaked[value.used] / value.curvature
    bias, scatter = float(biases.mean()), float(value.errors.std())
    return Cost(
        bias=0.0 if normalised and abs(bias) < EXACT * scatter else bias,
        bias_error=float(biases.std()) / sqrt(len(biases)),
        scatter=scatter,
        slowdown=None if normalised or not scatter else slowdown(bias / scatter),
    )


def _listed(tensors: Tensors) -> list[Tensor]:
    """One tensor or several as a list."""
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _shape(tensors: Tensors) -> Sequence[int]:
    """Shape of the steps: of a tensor, its own; of a list, [tensors, steps each], or their sum."""
    if isinstance(tensors, Tensor):
        return tensors.shape
    sizes = [tensor.numel() for tensor in tensors]
    return [len(sizes), sizes[0]] if len(set(sizes)) == 1 else [sum(sizes)]


def _names(parameters: Parameters) -> dict[int, str]:
    """Names of parameters by their identity."""
    if isinstance(parameters, nn.Module):
        return {id(tensor): name for name, tensor in parameters.named_parameters()}
    if isinstance(parameters, Mapping):
        return {
            id(tensor): f"{part}.{name}"
            for part, module in parameters.items()
            for name, tensor in module.named_parameters()
        }
    named: dict[int, str] = {}
    for place, item in enumerate(cast(Iterable[Tensor | tuple[str, Tensor]], parameters)):
        name, tensor = (f"parameter {place}", item) if isinstance(item, Tensor) else item
        named[id(tensor)] = name
    return named


def _sorted_names(part: list[Tensor], names: Mapping[int, str]) -> tuple[str, ...]:
    """Names in the order of the parameters, then the shapes of those that were not passed."""
    passed = {id(leaf) for leaf in part}
    rest = [leaf for leaf in part if id(leaf) not in names]
    return (
        *(name for identity, name in names.items() if identity in passed),
        *(f"a parameter of shape {list(leaf.shape)} that was not passed" for leaf in rest),
    )
