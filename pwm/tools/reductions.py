"""Reductions and relative weight of the two losses, found from their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, prod

import torch
from torch import Tensor
from torch.autograd import grad

EXACT = 1e-3  # relative error below which a relation counts as exact in single precision
FEWEST = 4  # steps that tell a shift from a scale
UNKNOWN = "cannot tell"


@dataclass(frozen=True, kw_only=True)
class ValueTerm:
    """The value loss near the present values: a parabola in each step's value."""

    curvature: float
    """Second derivative with respect to a step's value: 2 / T for a mean squared error."""
    errors: Tensor
    """Value minus target at the steps where it is known."""
    known: Tensor
    """Whether a step's error is known, [steps]: not on the straight part of Huber's loss."""
    used: Tensor
    """Whether the loss depends on a step, [steps]."""

    @property
    def is_quadratic(self) -> bool:
        """Whether the error is known wherever the loss depends on a step."""
        return bool((self.known == self.used).all())


@dataclass(frozen=True, kw_only=True)
class PolicyTerm:
    """The policy loss near the present policy: -factor Σ advantage log π(a)."""

    factor: float | None
    """Factor c of an advantage as it enters the loss: 1 for a sum, 1/T for a mean."""
    slope: float | None
    """Factor of target minus value: c over the standard deviation that normalises advantages."""
    normalised: bool | None
    """Whether advantages are normalised: shifted and scaled."""


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Properties of the two losses, found from their gradients; None where they cannot be."""

    policy_loss: str | None = None
    """Coefficient and reduction."""
    value_loss: str | None = None
    """Coefficient and reduction of the squared error, the weight included."""
    normalised: bool | None = None
    """Whether advantages are normalised, so that a constant bias cancels in the policy loss."""
    weight: float | None = None
    """w of a mean squared error next to a summed policy loss: the units of this project."""
    weight_of_means: float | None = None
    """w of a mean squared error next to a mean policy loss."""
    weight_as_written: float | None = None
    """w of a mean squared error next to a mean policy loss, with the advantages as they enter it,
    normalised or not."""

    def rows(self) -> list[tuple[str, str]]:
        """Rows of a report: names, and findings in words."""
        advantages = weight = None
        if self.normalised is not None:
            cancels = "normalised, so that a constant bias cancels"
            advantages = cancels if self.normalised else "not normalised"
        if self.weight is not None and self.normalised:
            weight = f"{self.weight_of_means:.3g} in units of unnormalised advantages"
            if self.weight_as_written is not None:
                written = f"{self.weight_as_written:.3g} next to a mean policy loss, as written"
                weight = f"{written}; {weight}"
        elif self.weight is not None:
            weight = f"{self.weight:.3g} for a mean squared error next to a summed policy loss"
            weight += f"; {self.weight_of_means:.3g} next to a mean"
        return [
            ("policy loss", self.policy_loss or UNKNOWN),
            ("value loss", f"{self.value_loss}, of squared errors" if self.value_loss else UNKNOWN),
            ("advantages", advantages or UNKNOWN),
            ("weight", weight or UNKNOWN),
        ]


def flat_gradient(loss: Tensor, inputs: Sequence[Tensor], *, keep: bool = False) -> Tensor | None:
    """Gradient of a loss with respect to all inputs, flattened and concatenated.

    Args:
        loss: a scalar.
        inputs: tensors; the gradient is zero for those on which the loss does not depend.
        keep: whether the gradient is to be differentiated again.
    Returns:
        The gradient, [elements of all inputs]; None if the loss depends on none of them.
    """
    tracked = [tensor for tensor in inputs if tensor.requires_grad]
    if not tracked or not loss.requires_grad:
        return None
    gradients = grad(loss, tracked, retain_graph=True, create_graph=keep, allow_unused=True)
    found = {id(t): g for t, g in zip(tracked, gradients, strict=True) if g is not None}
    if not found:
        return None
    return torch.cat([found.get(id(t), torch.zeros_like(t)).reshape(-1) for t in inputs])


def value_term(loss: Tensor, values: Sequence[Tensor]) -> ValueTerm | None:
    """Curvature and errors of a value loss that is quadratic in some steps; None for any other.

    Where the curvature is k, the gradient is k times the error, so that the targets need not be
    known. The term of a step must not depend on the values of others. Steps with curvature are
    `known` (not those on the straight part of Huber's loss), and with any gradient `used`.
    """
    slope = flat_gradient(loss, values, keep=True)
    curvature = None if slope is None else flat_gradient(slope.sum(), values)
    if slope is None or curvature is None:
        return None
    slope = slope.detach()
    known = curvature > 0
    if not known.any():
        return None
    least, most = map(float, torch.aminmax(curvature[known]))
    if most - least > EXACT * most:
        return None
    middle = (least + most) / 2
    used = known | (slope != 0)
    return ValueTerm(curvature=middle, errors=slope[known] / middle, known=known, used=used)


def policy_term(pull: Tensor, value: ValueTerm | None) -> PolicyTerm:
    """Factors of the policy loss, from its gradient with respect to the log-probabilities.

    That gradient is minus the factor times the advantage. As a function of value minus target it is
    a line through the origin or, if advantages are normalised, a line with an intercept.

    Args:
        pull: the gradient, [steps].
        value: the value loss at the same steps, or None if unknown.
    """
    used = pull[pull != 0] if value is None else pull[value.used]
    if len(used) < FEWEST:
        return PolicyTerm(factor=None, slope=None, normalised=None)
    size = float(used.square().mean().sqrt())
    centred = abs(float(used.mean())) < EXACT * size
    factor = float(used.std()) if centred else None  # unknown if the mean is of a larger batch
    if value is not None and len(value.errors) >= FEWEST:
        points, centred_errors = pull[value.known], value.errors - value.errors.mean()
        slope = float((points * centred_errors).sum() / centred_errors.square().sum())
        shift = float(points.mean()) - slope * float(value.errors.mean())
        residual = points - slope * value.errors - shift
        if float(residual.square().mean().sqrt()) < EXACT * size:  # it is a line
            if abs(shift) < EXACT * size:
                return PolicyTerm(factor=slope, slope=slope, normalised=False)
            return PolicyTerm(factor=factor, slope=slope, normalised=True)
    return PolicyTerm(factor=factor, slope=None, normalised=True if centred else None)


def losses(
    pull: Tensor, value: ValueTerm | None, *, steps: int | None, shape: Sequence[int]
) -> Losses:
    """The reductions of the two losses and their relative weight.

    Args:
        pull: gradient of the policy loss with respect to the log-probabilities, [steps].
        value: the weighted value loss at the same steps, or None if unknown.
        steps: T, steps per episode; None for all steps that the losses depend on.
        shape: shape of the steps.
    """
    if value is not None and value.used.shape != pull.shape:
        value = None
    policy = policy_term(pull, value)
    used = int((pull != 0).sum()) if value is None else int(value.used.sum())
    if used != prod(shape):  # some steps are masked
        shape = (used,)
    named = None if policy.factor is None else reduction(policy.factor, shape)
    if value is None:
        return Losses(policy_loss=named, normalised=policy.normalised)
    ratio = None if policy.slope is None else value.curvature / policy.slope
    return Losses(
        policy_loss=named,
        value_loss=reduction(value.curvature / 2, shape),
        normalised=policy.normalised,
        weight=None if ratio is None else ratio * (used if steps is None else steps) / 2,
        weight_of_means=None if ratio is None else ratio / 2,
        weight_as_written=None if policy.factor is None else value.curvature / policy.factor / 2,
    )


def reduction(factor: float, shape: Sequence[int]) -> str:
    """The simplest description of a factor per step, for instance "0.5 × mean over 60 steps".

    Args:
        factor: factor of each step's term.
        shape: shape of the steps, one or two axes.
    """
    steps = prod(shape)
    named = {f"sum over {steps} steps": 1, f"mean over {steps} steps": steps}
    if len(shape) == 2:
        first, second = shape
        named[f"sum over the first axis ({first}), mean over the second ({second})"] = second
        named[f"mean over the first axis ({first}), sum over the second ({second})"] = first
    coefficients = {name: factor * size for name, size in named.items()}

    def oddness(name: str) -> tuple[bool, float]:
        """Sort key: whether the coefficient is neither 1 nor ½, then its distance from 1."""
        usual = any(abs(coefficients[name] / usual - 1) < 0.02 for usual in (1, 0.5))
        return not usual, abs(log(abs(coefficients[name])))

    best = min(coefficients, key=oddness)
    coefficient = coefficients[best]
    return best if abs(coefficient - 1) < 0.02 else f"{coefficient:.3g} × {best}"
