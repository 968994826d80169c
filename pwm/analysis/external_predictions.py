"""Predictions about other people's code: the measured numbers, and the verdicts.

The statements are those under `external` in `paper/predictions.json`, in order; each says which
weights its number is for. Measured numbers are arrays [1 + resamples]: for the original seeds, then
for each resample of them.

In the loops, both losses are sums over steps. H is the policy's entropy, w the weight of the value
loss, and δ the value minus the target. If one optimiser minimises both losses, the leak (the policy
loss's gradient with respect to the values) raises a value above its target by H / w where the value
loss is ½ δ² ("a3c-textbook"), and by H / (2 w) where it is δ² (REINFORCE, were its advantages not
normalised). The Huber loss of TensorFlow's tutorial is ½ δ² up to |δ| = 1, and its gradient is
limited to [-1, 1]: if H / w > 1, it cannot balance the leak, and the values climb without end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from pwm.analysis.estimates import interval, median_ratios, resampled_means, resampled_medians
from pwm.analysis.external import AgentSetting, Array, Baseline, Loop, Loops, LoopSetting
from pwm.analysis.predictions import predictions
from pwm.analysis.statements import Statement, predicted_statement


def agent_statements(times: Mapping[AgentSetting, Array]) -> Iterator[Statement]:
    """Yields the statements about the agents, given each setting's times to learn, [S]."""
    a2c = AgentSetting("A2C", "separate", "raw", vf_coef=0.5)
    ppo = AgentSetting("RecurrentPPO", "separate", "raw", vf_coef=0.5)
    shared = AgentSetting("A2C", "shared", "raw", vf_coef=0.5)
    centred = shared._replace(returns="centred")

    def slowdown(setting: AgentSetting, weight: float) -> Array:
        """Median time with another weight, over that with the libraries' usual weight, 0.5."""
        return median_ratios(times[setting._replace(vf_coef=weight)], times[setting])

    def success(setting: AgentSetting, weight: float) -> Array:
        """Fraction of seeds that learned with another weight."""
        return resampled_means(np.isfinite(times[setting._replace(vf_coef=weight)]))

    unclipped = [setting._replace(max_grad_norm=inf) for setting in (a2c, ppo)]
    heavy_a2c, heavy_ppo = slowdown(a2c, 50.0), slowdown(ppo, 50.0)
    ppo_centred = ppo._replace(returns="centred")
    measured = {
        "no-lower-edge": _largest_factor([slowdown(a2c, 0.005), slowdown(ppo, 0.005)]),
        "without-clipping": _largest_factor([slowdown(setting, 50.0) for setting in unclipped]),
        "clipping": np.minimum(heavy_a2c, heavy_ppo),
        "clipping-parameters": heavy_ppo / heavy_a2c,
        "upper-edge": success(shared, 0.05) - success(shared, 5.0),
        "centred": success(centred, 0.05) - success(centred, 50.0),
        "normalised": success(shared._replace(returns="normalised"), 5.0) - success(centred, 5.0),
        "centring-separate": _largest_factor([median_ratios(times[ppo], times[ppo_centred])]),
    }
    yield from _statements("agents", measured)


def loop_statements(loops: Loops) -> Iterator[Statement]:
    """Yields the statements about the loops, given the outcomes of their runs."""
    yield from _statements("loops", _tutorial(loops) | _reinforce(loops) | _a3c(loops))


def _statements(kind: str, measured: Mapping[str, Array]) -> Iterator[Statement]:
    """Yields the statements about "agents" or "loops", given each statement's measured number."""
    for name, entry in predictions()["external"][kind].items():
        yield predicted_statement(name, entry, interval(measured[name]))


@dataclass(frozen=True)
class Pair:
    """Attached and detached runs of a loop at one weight."""

    loops: Loops
    loop: Loop
    weight: float

    def values(self, baseline: Baseline, field: str) -> Array:
        """Field `field` of `LoopOutcome` for each seed: [S]."""
        return self.loops.values(LoopSetting(self.loop, baseline, self.weight), field)

    def mean(self, baseline: Baseline, field: str) -> Array:
        """Mean over seeds of the field `field` of `LoopOutcome`."""
        return resampled_means(self.values(baseline, field))

    def difference(self, field: str) -> Array:
        """Mean over seeds of the field `field`, attached minus detached."""
        return self.mean("attached", field) - self.mean("detached", field)

    @property
    def slowdown(self) -> Array:
        """Ratio of median times to learn, attached over detached."""
        return median_ratios(self.values("attached", "time"), self.values("detached", "time"))

    @property
    def lost_success(self) -> Array:
        """Fraction of seeds that learned, detached minus attached."""
        attached = resampled_means(np.isfinite(self.values("attached", "time")))
        detached = resampled_means(np.isfinite(self.values("detached", "time")))
        return detached - attached

    @property
    def median_error(self) -> Array:
        """Median over the attached seeds of the error δ; in the tutorial, δ limited to [-1, 1]."""
        return resampled_medians(self.values("attached", "error"))

    @property
    def error_ratio(self) -> Array:
        """Mean error over the predicted H / w, attached ("tutorial" and "a3c-textbook" only)."""
        predicted = resampled_means(self.values("attached", "entropy") / self.weight)
        return self.mean("attached", "error") / predicted

    @property
    def bias_ratio(self) -> Array:
        """Bias of the values, attached minus detached, over the predicted b ("a3c-textbook" only).

        A target contains c times the bootstrap value (c is the field `bootstrap`), and so c times
        its bias: b = H / w + c b, and b = (H / w) / (1 - c).
        """
        entropy, bootstrap = self.mean("attached", "entropy"), self.mean("attached", "bootstrap")
        return self.difference("bias") / (entropy / self.weight / (1 - bootstrap))


def _pairs(loops: Loops, loop: Loop) -> dict[float, Pair]:
    """Attached and detached runs of one loop, by weight."""
    weights = [setting.weight for setting in loops.settings if setting.loop == loop]
    return {weight: Pair(loops, loop, weight) for weight in weights}


def _tutorial(loops: Loops) -> dict[str, Array]:
    """Measured numbers for the statements about TensorFlow's tutorial, by statement name."""
    at = _pairs(loops, "tutorial")
    light = (at[0.1], at[0.3])  # H / w > 1: if the values climb, the error stays near 1
    return {
        "tutorial-bias": _geometric_mean([at[weight].error_ratio for weight in (1.0, 3.0, 10.0)]),
        "tutorial-climb": np.min([pair.median_error for pair in light], axis=0),
        "tutorial-lower-edge": np.min([pair.lost_success for pair in light], axis=0),
        "tutorial-default": at[1.0].slowdown,
        "tutorial-heavy": np.maximum(at[3.0].slowdown, at[10.0].slowdown),
        "tutorial-no-upper-edge": _heavy_slowdown(at),
    }


def _reinforce(loops: Loops) -> dict[str, Array]:
    """Measured numbers for the statements about TF-Agents' REINFORCE, by statement name."""
    at = _pairs(loops, "reinforce")
    bias_ratios = []
    for weight in (0.02, 0.2):
        bias_if_unnormalised = at[weight].mean("attached", "entropy") / (2 * weight)
        bias_ratios.append(np.abs(at[weight].difference("error")) / bias_if_unnormalised)
    slowdowns = np.array([pair.slowdown for pair in at.values()])  # (weights, 1 + resamples)
    with np.errstate(divide="ignore"):
        farthest_from_1 = np.abs(np.log(slowdowns)).argmax(axis=0)  # index of a weight
    return {
        "reinforce-bias": np.max(bias_ratios, axis=0),
        "reinforce-slowdown": np.take_along_axis(slowdowns, farthest_from_1[None], axis=0)[0],
    }


def _a3c(loops: Loops) -> dict[str, Array]:
    """Measured numbers for A3C, with two optimisers or one ("a3c-textbook"), by statement name."""
    at = _pairs(loops, "a3c")
    textbook = _pairs(loops, "a3c-textbook")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = at[0.1].median_error / at[10.0].median_error
        # Errors of opposite sign are infinitely far apart.
        factor = np.where(ratio > 0, np.maximum(ratio, 1 / ratio), inf)
    error_ratios = [textbook[weight].error_ratio for weight in (0.3, 1.0, 3.0, 10.0)]
    bias_ratios = [textbook[weight].bias_ratio for weight in (1.0, 3.0, 10.0)]
    return {
        "a3c-weight": factor,
        "a3c-slowdown": at[1.0].slowdown,
        "textbook-error": _geometric_mean(error_ratios),
        "textbook-bias": _geometric_mean(bias_ratios),
        "textbook-light": textbook[0.1].slowdown,
        "textbook-heavy": np.maximum(textbook[3.0].slowdown, textbook[10.0].slowdown),
        "textbook-upper-edge": _heavy_slowdown(textbook),
    }


def _heavy_slowdown(at: Mapping[float, Pair]) -> Array:
    """Median time of detached runs at weight 10 over that at weight 0.1."""
    return median_ratios(at[10.0].values("detached", "time"), at[0.1].values("detached", "time"))


def _largest_factor(ratios: Sequence[Array]) -> Array:
    """Largest of all ratios and their inverses."""
    return np.asarray(np.max([np.maximum(ratio, 1 / ratio) for ratio in ratios], axis=0))


def _geometric_mean(ratios: Sequence[Array]) -> Array:
    """Geometric mean of ratios; 0, which refutes its statement, where a ratio is negative."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.exp(np.mean(np.log(np.maximum(ratios, 0)), axis=0)))
