"""The leak check: does the policy loss train the critic?

In REINFORCE and similar methods, the gradient of the policy loss with respect to an action's
log-probability is proportional to the advantage, which should be a constant. The check computes
this gradient with its graph. If it depends on parameters, the baseline was not detached. The check
need not know which tensor is the baseline, and works with any reduction and with the sum of both
losses. PPO's ratio makes the gradient depend on the log-probabilities themselves, so paths through
them do not count. The head is the critic's own parameters, the trunk those shared with the policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf, sqrt
from typing import cast

import torch
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction

from pwm.analysis.theory import slowdown
from pwm.tools.errors import ArgumentError, require_argument
from pwm.tools.graph import ancestors, between, leaves, output
from pwm.tools.reductions import EXACT, ValueTerm, describe_losses, flat_gradient, value_term
from pwm.tools.report import Cost, LeakReport

Parameters = nn.Module | Mapping[str, nn.Module] | Iterable[Tensor] | Iterable[tuple[str, Tensor]]
Tensors = Tensor | Sequence[Tensor]

CANCELS = 1e-6  # gradient norm in the head over that in the trunk, or inverse, that counts as zero
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
    """Checks whether the policy loss trains the critic, and estimates what that costs.

    Call it after computing the losses, before `backward`. It changes no gradient, parameter or
    random state.

    Args:
        policy_loss: a scalar; it may include an entropy bonus.
        value_loss: a scalar, without its weight; None if `policy_loss` is the sum of both.
        parameters: for names in the report: the agent's parameters, with or without names; its
            module; or modules by name.
        values: the critic's outputs that the losses were computed from (no copies), one tensor or
            a list. Copies leave the verdict right, but the cost and most of `Losses` unknown.
        log_probs: log-probabilities of the actions taken, likewise; with copies, it cannot tell.
        weight: factor of `value_loss` in the loss that is minimised; unused if that is None.
        steps: T, steps per episode, if the losses cover several episodes; by default, all steps of
            the losses. The report gives the critic weight for a policy loss summed over T steps.
    Raises:
        ArgumentError: a loss is not a scalar that requires a gradient, `backward` has been called,
            or `weight` or `steps` is out of range.
    """
    _check_arguments(policy_loss, value_loss, weight, steps)
    value_list = [values] if isinstance(values, Tensor) else list(values)
    log_prob_list = [log_probs] if isinstance(log_probs, Tensor) else list(log_probs)
    # If the policy loss is the sum of both, it contains the weighted value loss.
    weighted = policy_loss if value_loss is None else weight * value_loss
    try:
        gradient = flat_gradient(policy_loss, log_prob_list, graph=True)
        term = value_term(weighted, value_list)
        values_used = flat_gradient(weighted, value_list) is not None
    except RuntimeError as error:
        if "second time" not in str(error):
            raise
        accepted = "a loss on which backward has not been called"
        raise ArgumentError("policy_loss", "without its graph", accepted) from error
    if gradient is None:
        return LeakReport(verdict="cannot tell", reason=NOT_USED)
    tracked = [tensor for tensor in log_prob_list if tensor.requires_grad]
    if any(isinstance(node, BackwardCFunction) for node in between(policy_loss, tracked)):
        return LeakReport(verdict="cannot tell", reason=HIDDEN)
    # The gradient is proportional to the advantages, and so depends on the same tensors.
    sources = ancestors([gradient], stop=tracked)
    reached = leaves(sources)
    if reached and value_loss is None:
        term = None  # with a leak, the sum's gradient is not that of the value loss alone
    losses = describe_losses(gradient.detach(), term, steps=steps, shape=_shape(values))
    if not reached:
        return LeakReport(verdict="no leak", values_used=values_used, losses=losses)
    of_critic = leaves(ancestors(value_list))
    head, trunk, other = _by_network(reached, of_critic, gradient, log_prob_list)
    cost = None
    if len(head) + len(trunk) == len(of_critic):  # the whole critic, as `_cost` assumes
        cost = _cost(policy_loss, value_list, term, losses.normalised)
    names = {id(tensor): name for name, tensor in _named(parameters)}
    return LeakReport(
        verdict="leak",
        head=_names_of(head, names),
        trunk=_names_of(trunk, names),
        other=_names_of(other, names),
        values_used=values_used,
        through_values=any(v.requires_grad and output(v) in sources for v in value_list),
        losses=losses,
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
    """Raises an AssertionError with the report unless the verdict of `check_leak` is "no leak"."""
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


def _by_network(
    reached: list[Tensor], of_critic: list[Tensor], gradient: Tensor, log_probs: list[Tensor]
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Divides the parameters that a leak reaches into head, trunk and those not of the critic.

    `of_critic` are the parameters that the values depend on; `gradient` is that of the policy loss
    with respect to the log-probabilities, with its graph. If the leak reaches head and trunk but
    cancels in one, as where the loss adds and subtracts the head's output, that one's list is empty
    (but the trunk's is not with PPO's ratio, which has a gradient there too).
    """
    critic = {id(leaf) for leaf in of_critic}  # by id, as == compares the elements of tensors
    policy = {id(leaf) for leaf in leaves(ancestors(log_probs))}
    head = [leaf for leaf in reached if id(leaf) in critic - policy]
    trunk = [leaf for leaf in reached if id(leaf) in critic & policy]
    other = [leaf for leaf in reached if id(leaf) not in critic]
    if not (head and trunk):
        return head, trunk, other
    # The leak's gradient is that of Σ log π · ∂L/∂log π with log π held constant.
    constant = torch.cat([tensor.detach().reshape(-1) for tensor in log_probs])
    leaked = flat_gradient((gradient * constant).sum(), [*head, *trunk])
    if leaked is not None:
        size = sum(leaf.numel() for leaf in head)
        in_head, in_trunk = float(leaked[:size].norm()), float(leaked[size:].norm())
        if in_head < CANCELS * in_trunk:
            head = []
        elif in_trunk < CANCELS * in_head:
            trunk = []
    return head, trunk, other


def _cost(
    policy_loss: Tensor, values: list[Tensor], term: ValueTerm | None, normalised: bool | None
) -> Cost | None:
    """Estimates the bias and slowdown caused by a leak that reaches all parameters of the critic.

    At the fixed point, the gradients of policy loss and value loss with respect to each value
    cancel. The gradient of the value loss is its curvature times the bias. So the bias is minus the
    gradient of the policy loss, divided by this curvature.

    `term` is the weighted value loss, `normalised` whether advantages are normalised. The cost is
    None if either is unknown (None, as with fewer than `FEWEST` steps), if the policy loss does not
    depend on the `values`, or if the value loss is linear in a step's error, as Huber's may be.
    """
    if term is None or normalised is None or not torch.equal(term.known, term.used):
        return None
    leaked = flat_gradient(policy_loss, values)
    if leaked is None:
        return None
    biases = -leaked[term.used] / term.curvature  # [steps used]
    bias, scatter = float(biases.mean()), float(term.errors.std())
    return Cost(
        # Normalised advantages have no mean, so only rounding is left of a constant bias, unless
        # the mean that was subtracted was detached.
        bias=0.0 if normalised and abs(bias) < EXACT * scatter else bias,
        bias_error=float(biases.std()) / sqrt(len(biases)),
        scatter=scatter,
        slowdown=None if normalised or not scatter else slowdown(bias / scatter),
    )


def _shape(tensors: Tensors) -> Sequence[int]:
    """Number of steps along each axis of `tensors`, to describe sums and means over steps.

    A list has the axes [tensors, steps per tensor], or [all steps] if its tensors differ in size.
    Axes of length 1 do not change the count and are dropped.
    """
    if isinstance(tensors, Tensor):
        shape = list(tensors.shape)
    else:
        sizes = [tensor.numel() for tensor in tensors]
        shape = [len(sizes), sizes[0]] if len(set(sizes)) == 1 else [sum(sizes)]
    return [size for size in shape if size > 1] or [1]


def _named(parameters: Parameters) -> Iterator[tuple[str, Tensor]]:
    """Yields parameters with their names; those passed without names are numbered."""
    if isinstance(parameters, nn.Module):
        yield from parameters.named_parameters()
    elif isinstance(parameters, Mapping):
        for part, module in parameters.items():
            yield from module.named_parameters(part)
    else:
        items = cast(Iterable[Tensor | tuple[str, Tensor]], parameters)
        for index, item in enumerate(items):
            yield (f"parameter {index}", item) if isinstance(item, Tensor) else item


def _names_of(part: list[Tensor], names: Mapping[int, str]) -> tuple[str, ...]:
    """Names of the parameters in `part`, ordered as in `names` (by `id`); shapes of the unnamed."""
    wanted = {id(leaf) for leaf in part}
    unnamed = [leaf for leaf in part if id(leaf) not in names]
    return (
        *(name for identity, name in names.items() if identity in wanted),
        *(f"a parameter of shape {list(leaf.shape)} that was not passed" for leaf in unnamed),
    )
