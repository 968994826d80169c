"""The predictions about other people's code: the measured numbers, and the verdicts.

The statements are those of `external` in `paper/predictions.json`, in order. Measured numbers are
arrays [1 + resamples]: for the seeds as they are, then for each resample of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from pwm.analysis.estimates import interval, resampled_means, resampled_medians
from pwm.analysis.external import AgentSetting, Baseline, Loop, Loops, LoopSetting
from pwm.analysis.predictions import predictions
from pwm.analysis.statements import Statement, predicted_statement

Array = NDArray[np.float64]


def agent_statements(times: Mapping[AgentSetting, Array]) -> Iterator[Statement]:
    """Yields the statements about the agents, given the times to learn of each setting's seeds."""
    a2c = AgentSetting("A2C", "separate", "raw", 0.5)
    ppo = AgentSetting("RecurrentPPO", "separate", "raw", 0.5)
    shared = AgentSetting("A2C", "shared", "raw", 0.5)
    centred = shared._replace(returns="centred")

    def slowdown(setting: AgentSetting, weight: float) -> Array:
        """Median time at a weight over that at the setting's own weight."""
        return _time_ratio(times[setting._replace(vf_coef=weight)], times[setting])

    def success(setting: AgentSetting, weight: float) -> Array:
        """Fraction of seeds that learned at a weight."""
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
        "centring-separate": _largest_factor([_time_ratio(times[ppo], times[ppo_centred])]),
    }
    yield from _statements("agents", measured)


def loop_statements(loops: Loops) -> Iterator[Statement]:
    """Yields the statements about the loops."""
    yield from _statements("loops", _tutorial(loops) | _reinforce(loops) | _a3c(loops))


def _statements(part: str, measured: Mapping[str, Array]) -> Iterator[Statement]:
    """Yields the statements of a part of the predictions, given their measured numbers by name."""
    for name, said in predictions()["external"][part].items():
        yield predicted_statement(name, said, interval(measured[name]))


@dataclass(frozen=True)
class Pair:
    """Attached and detached runs of a loop at one weight."""

    loops: Loops
    loop: Loop
    weight: float

    def values(self, baseline: Baseline, field: str) -> Array:
        """A field of the outcomes of each seed: [S]."""
        return self.loops.values(LoopSetting(self.loop, baseline, self.weight), field)

    def attached_mean(self, field: str) -> Array:
        """Mean over the attached seeds of a field."""
        return resampled_means(self.values("attached", field))

    def difference(self, field: str) -> Array:
        """Mean of a field, attached minus detached."""
        return self.attached_mean(field) - resampled_means(self.values("detached", field))

    @property
    def slowdown(self) -> Array:
        """Ratio of median times, attached over detached."""
        return _time_ratio(self.values("attached", "time"), self.values("detached", "time"))

    @property
    def lost_success(self) -> Array:
        """Fraction of seeds that learned, detached minus attached."""
        attached, detached = (
            resampled_means(np.isfinite(self.values(baseline, "time")))
            for baseline in ("attached", "detached")
        )
        return detached - attached

    @property
    def median_error(self) -> Array:
        """Median error of the attached critics."""
        return resampled_medians(self.values("attached", "error"))

    @property
    def error_ratio(self) -> Array:
        """Mean error of the attached critics over the predicted H / w."""
        predicted = resampled_means(self.values("attached", "entropy") / self.weight)
        return self.attached_mean("error") / predicted


def _pairs(loops: Loops, loop: Loop, weights: Sequence[float]) -> dict[float, Pair]:
    """The runs of a loop by weight."""
    return {weight: Pair(loops, loop, weight) for weight in weights}


def _tutorial(loops: Loops) -> dict[str, Array]:
    """Measured numbers of the statements about TensorFlow's tutorial, by name."""
    at = _pairs(loops, "tutorial", (0.1, 0.3, 1.0, 3.0, 10.0))
    light = (at[0.1], at[0.3])
    return {
        "tutorial-bias": _geometric_mean([at[weight].error_ratio for weight in (1.0, 3.0, 10.0)]),
        "tutorial-climb": np.min([pair.median_error for pair in light], axis=0),
        "tutorial-lower-edge": np.min([pair.lost_success for pair in light], axis=0),
        "tutorial-default": at[1.0].slowdown,
        "tutorial-heavy": np.maximum(at[3.0].slowdown, at[10.0].slowdown),
        "tutorial-no-upper-edge": _heavy_slowdown(at),
    }


def _reinforce(loops: Loops) -> dict[str, Array]:
    """Measured numbers of the statements about TF-Agents' REINFORCE, by name."""
    at = _pairs(loops, "reinforce", (0.02, 0.2, 2.0))
    # Size of the leak's bias over H / 2w, its size if advantages were not normalised.
    biases = []
    for weight in (0.02, 0.2):
        unnormalised = at[weight].attached_mean("entropy") / (2 * weight)
        biases.append(np.abs(at[weight].difference("error")) / unnormalised)
    slowdowns = np.array([pair.slowdown for pair in at.values()])
    with np.errstate(divide="ignore"):
        farthest_from_1 = np.abs(np.log(slowdowns)).argmax(axis=0)
    return {
        "reinforce-bias": np.max(biases, axis=0),
        "reinforce-slowdown": np.take_along_axis(slowdowns, farthest_from_1[None], axis=0)[0],
    }


def _a3c(loops: Loops) -> dict[str, Array]:
    """Measured numbers of the statements about both variants of A3C, by name."""
    at = _pairs(loops, "a3c", (0.1, 1.0, 10.0))
    textbook = _pairs(loops, "a3c-textbook", (0.1, 0.3, 1.0, 3.0, 10.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = at[0.1].median_error / at[10.0].median_error
        # Errors of opposite sign are infinitely far apart.
        factor = np.where(ratio > 0, np.maximum(ratio, 1 / ratio), inf)
    errors = [textbook[weight].error_ratio for weight in (0.3, 1.0, 3.0, 10.0)]
    biases = [_bias_ratio(textbook[weight]) for weight in (1.0, 3.0, 10.0)]
    return {
        "a3c-weight": factor,
        "a3c-slowdown": at[1.0].slowdown,
        "textbook-error": _geometric_mean(errors),
        "textbook-bias": _geometric_mean(biases),
        "textbook-light": textbook[0.1].slowdown,
        "textbook-heavy": np.maximum(textbook[3.0].slowdown, textbook[10.0].slowdown),
        "textbook-upper-edge": _heavy_slowdown(textbook),
    }


def _bias_ratio(pair: Pair) -> Array:
    """Bias of the values, attached minus detached, over the predicted H / w / (1 - bootstrap)."""
    predicted = pair.attached_mean("entropy") / pair.weight / (1 - pair.attached_mean("bootstrap"))
    return pair.difference("bias") / predicted


def _heavy_slowdown(at: Mapping[float, Pair]) -> Array:
    """Median time of detached runs at weight 10 over that at weight 0.1."""
    return _time_ratio(at[10.0].values("detached", "time"), at[0.1].values("detached", "time"))


def _time_ratio(times: Array, other: Array) -> Array:
    """Ratio of two median times of S seeds each: [1 + resamples]; nan where neither is finite.

    A median time is infinite if fewer than half of the seeds learned.
    """
    with np.errstate(invalid="ignore"):
        return resampled_medians(times) / resampled_medians(other)


def _largest_factor(ratios: Sequence[Array]) -> Array:
    """The largest factor between 1 and any of the ratios, in either direction."""
    return np.asarray(np.max([np.maximum(ratio, 1 / ratio) for ratio in ratios], axis=0))


def _geometric_mean(ratios: Sequence[Array]) -> Array:
    """Geometric mean of ratios; 0 where one is negative."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.exp(np.mean(np.log(np.maximum(ratios, 0)), axis=0)))
