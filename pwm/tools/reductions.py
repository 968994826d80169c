"""Finds how policy and value loss are reduced (sum or mean) and weighted, from their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, prod

import torch
from torch import Tensor
from torch.autograd import grad

EXACT = 1e-3  # relative error below which a relation counts as exact in single precision
FEWEST = 4  # steps, to fit a line or compute a standard deviation
UNKNOWN = "cannot tell"


@dataclass(frozen=True, kw_only=True)
class ValueTerm:
    """The value loss near the current values, as a quadratic function of each step's value."""

    curvature: float
    """Second derivative with respect to a step's value: 2 / T for a mean squared error."""
    errors: Tensor
    """Value minus target, [known steps]."""
    known: Tensor
    """Whether a step's error is known, [steps]; it is not on the linear part of Huber's loss."""
    used: Tensor
    """Whether the loss depends on the value of a step, [steps]."""


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Properties of the two losses, found from their gradients; None if unknown."""

    policy_loss: str | None = None
    """Coefficient and reduction, as described by `describe_reduction`."""
    value_loss: str | None = None
    """Coefficient, weight included, and reduction of the squared errors."""
    normalised: bool | None = None
    """Whether advantages are normalised. A constant bias then cancels in the policy loss, unless
    the mean that is subtracted was detached."""
    weight: float | None = None
    """Critic weight w for a mean squared error and a summed policy loss, as in this project."""
    weight_of_means: float | None = None
    """The same for a mean policy loss; both weights are in units of unnormalised advantages."""
    weight_as_written: float | None = None
    """The same for a mean policy loss of the advantages as they are, normalised or not."""

    def rows(self) -> dict[str, str]:
        """Findings in words, by name."""
        advantages = {None: UNKNOWN, True: "normalised", False: "not normalised"}
        return {
            "policy loss": self.policy_loss or UNKNOWN,
            "value loss": f"{self.value_loss}, of squared errors" if self.value_loss else UNKNOWN,
            "advantages": advantages[self.normalised],
            "weight": self._weight_text(),
        }

    def _weight_text(self) -> str:
        """The critic weight in words; if advantages are normalised, for a mean policy loss only."""
        if self.weight is None:  # otherwise, `normalised` and `weight_of_means` are known too
            return UNKNOWN
        if not self.normalised:
            summed = f"{self.weight:.3g} for a mean squared error next to a summed policy loss"
            return f"{summed}; {self.weight_of_means:.3g} next to a mean"
        unnormalised = f"{self.weight_of_means:.3g} in units of unnormalised advantages"
        if self.weight_as_written is None:
            return unnormalised
        written = f"{self.weight_as_written:.3g} next to a mean policy loss, as written"
        return f"{written}; {unnormalised}"


def flat_gradient(loss: Tensor, inputs: Sequence[Tensor], *, graph: bool = False) -> Tensor | None:
    """Gradient of a scalar with respect to all inputs, flattened and concatenated: [elements].

    It is zero for an input that no gradient reaches, and None if there are only such inputs. The
    loss keeps its graph; with `graph`, the gradient has one too.
    """
    tracked = [tensor for tensor in inputs if tensor.requires_grad]
    if not tracked or not loss.requires_grad:
        return None
    gradients = grad(loss, tracked, retain_graph=True, create_graph=graph, allow_unused=True)
    if all(gradient is None for gradient in gradients):
        return None
    by_id = {id(tensor): gradient for tensor, gradient in zip(tracked, gradients, strict=True)}
    parts = []
    for tensor in inputs:
        gradient = by_id.get(id(tensor))
        parts.append(torch.zeros_like(tensor) if gradient is None else gradient)
    return torch.cat([part.reshape(-1) for part in parts])


def value_term(loss: Tensor, values: Sequence[Tensor]) -> ValueTerm | None:
    """Curvature and errors of a loss that is quadratic in at least some values; otherwise None.

    If the second derivative with respect to a value is k, the first is k times the error, so
    the targets need not be known. If k differs between these values, the result is None too. It is
    assumed that the term of a step does not depend on the values of other steps.
    """
    slope = flat_gradient(loss, values, graph=True)
    if slope is None:
        return None
    curvature = flat_gradient(slope.sum(), values)
    if curvature is None or not (curvature > 0).any():
        return None
    slope, known = slope.detach(), curvature > 0
    least, most = float(curvature[known].min()), float(curvature[known].max())
    if most - least > EXACT * most:
        return None
    middle = (least + most) / 2
    used = known | (slope != 0)  # on the linear part of Huber's loss, only the slope is not zero
    return ValueTerm(curvature=middle, errors=slope[known] / middle, known=known, used=used)


def policy_factors(
    gradient: Tensor, term: ValueTerm | None
) -> tuple[float | None, float | None, bool | None]:
    """Factors in the policy loss, -c Σ advantage log π(a), and whether advantages are normalised.

    The gradient with respect to the log-probabilities is -c times the advantages. As a function of
    value minus target, it is a line through the origin or, if advantages are normalised (shifted
    and scaled), a line with an intercept.

    Args:
        gradient: the gradient, [steps].
        term: the value loss at the same steps, or None if unknown.
    Returns:
        The factor of an advantage: c, which is 1 for a sum and 1/T for a mean.
        The factor of target minus value: c, divided by the standard deviation of the advantages if
        they are normalised.
        Whether advantages are normalised. Those only shifted count as normalised, those only scaled
        do not; their scale is then part of c. Each of the three is None if unknown.
    """
    used = gradient[gradient != 0] if term is None else gradient[term.used]
    if len(used) < FEWEST:
        return None, None, None
    rms = float(used.square().mean().sqrt())
    centred = abs(float(used.mean())) < EXACT * rms
    # Advantages that were normalised over these n steps have mean 0 and standard deviation 1 (where
    # it is the population's, the factor comes out too large by sqrt(n / (n - 1))).
    advantage_factor = float(used.std()) if centred else None
    if term is not None and len(term.errors) >= FEWEST:
        slope, intercept, residual = _fitted_line(term.errors, gradient[term.known])
        if residual < EXACT * rms:  # the points lie on the line
            if abs(intercept) < EXACT * rms:
                return slope, slope, False
            return advantage_factor, slope, True
    # The errors are unknown, or the advantages are not linear in them.
    return advantage_factor, None, (True if centred else None)


def _fitted_line(x: Tensor, y: Tensor) -> tuple[float, float, float]:
    """Slope, intercept and r.m.s. residual of the least-squares line; nan if x is constant."""
    deviations = x - x.mean()
    slope = float((y * deviations).sum() / deviations.square().sum())
    intercept = float(y.mean()) - slope * float(x.mean())
    residuals = y - slope * x - intercept
    return slope, intercept, float(residuals.square().mean().sqrt())


def describe_losses(
    gradient: Tensor, term: ValueTerm | None, *, steps: int | None, shape: Sequence[int]
) -> Losses:
    """Describes the reductions of the two losses and their relative weight.

    `gradient` and `term` are as in `policy_factors`; `term` includes the critic weight. `steps` is
    T, steps per episode, or None for all steps that the losses depend on. `shape` has the number of
    steps along each axis.
    """
    if term is not None and term.used.shape != gradient.shape:
        term = None  # the values are not those of the steps with log-probabilities
    advantage_factor, error_factor, normalised = policy_factors(gradient, term)
    used = int((gradient != 0).sum() if term is None else term.used.sum())  # number of steps
    if used != prod(shape):  # some steps are masked
        shape = (used,)
    policy_loss = None if advantage_factor is None else describe_reduction(advantage_factor, shape)
    if term is None:
        return Losses(policy_loss=policy_loss, normalised=normalised)
    square_factor = term.curvature / 2  # of each step's squared error: w / T for a mean
    weight_of_means = None if error_factor is None else square_factor / error_factor
    return Losses(
        policy_loss=policy_loss,
        value_loss=describe_reduction(square_factor, shape),
        normalised=normalised,
        weight=None if weight_of_means is None else weight_of_means * (steps or used),
        weight_of_means=weight_of_means,
        weight_as_written=None if advantage_factor is None else square_factor / advantage_factor,
    )


def describe_reduction(factor: float, shape: Sequence[int]) -> str:
    """Describes a factor per step as a coefficient and a reduction: "0.5 × mean over 60 steps".

    Chooses the reduction for which the coefficient is about 1 or 0.5, or else closest to 1. `shape`
    has the number of steps along each axis; of two axes, one may be summed and the other averaged.
    """
    steps = prod(shape)
    # A reduction with coefficient 1 gives each step's term the factor 1 / divisor.
    divisors = {f"sum over {steps} steps": 1, f"mean over {steps} steps": steps}
    if len(shape) == 2:
        first, second = shape
        divisors[f"sum over the first axis ({first}), mean over the second ({second})"] = second
        divisors[f"mean over the first axis ({first}), sum over the second ({second})"] = first
    candidates = [(factor * divisor, name) for name, divisor in divisors.items()]

    def preference(candidate: tuple[float, str]) -> tuple[bool, float]:
        """Sort key: coefficients within 2% of 1 or ½ first, then the smallest |log coefficient|."""
        coefficient, _ = candidate
        is_usual = any(abs(coefficient / usual - 1) < 0.02 for usual in (1, 0.5))
        return not is_usual, abs(log(abs(coefficient)))

    coefficient, best = min(candidates, key=preference)
    return best if abs(coefficient - 1) < 0.02 else f"{coefficient:.3g} × {best}"
