"""`python -m pwm.claims`: every number that the paper claims, with its interval and its band.

The band is where the number must lie for the sentence about it to be true; it follows from the
sentence, not from the number. `--check` fails if one has left its band. The numbers are written
to `paper/numbers.json`, which is all that the paper's text can quote.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pwm.cli import errors_in_one_line, parse
from pwm.edges import lower_edge, resampled_edges, upper_edge
from pwm.engines import Engine
from pwm.experiments import WEIGHTS, chosen
from pwm.files import write_json
from pwm.grid import Size
from pwm.outcomes import Outcomes, outcomes
from pwm.quoted import predictions, quoted
from pwm.stats import Estimate, SuccessRate, rate_difference, success_rate
from pwm.store import Store
from pwm.theory import critic_bias, value_floor

NUMBERS = Path(__file__).resolve().parent.parent / "paper" / "numbers.json"
LEFT = 1  # exit status: a claim has left its band
LOW_WEIGHTS = (0.02, 0.05, 0.1)
MIDDLE_WEIGHTS = (2.0, 3.0, 5.0)
FACTOR = 2.0  # within which a predicted edge counts as right


@dataclass(frozen=True)
class Claim:
    """A number, and where it must lie."""

    name: str
    says: str
    """What follows from the number being in its band."""
    estimate: Estimate
    low: float
    """Least value with which the sentence is true."""
    high: float
    experiments: tuple[str, ...]
    digits: int = 2

    @property
    def holds(self) -> bool:
        """Whether the number is in its band."""
        return self.low <= self.estimate.value <= self.high

    @property
    def text(self) -> str:
        """As the paper prints it."""
        value, low, high = (f"{part:,.{self.digits}f}" for part in self.estimate)
        return value if math.isnan(self.estimate.low) else f"{value} [{low}, {high}]"


class Evidence:
    """Outcomes of experiments, read once each.

    Args:
        store: holds all runs.
        size: of the experiments.
        engine: what trained them.
    """

    def __init__(self, store: Store, size: Size = "paper", engine: Engine = "fused") -> None:
        self._store, self._size, self._engine = store, size, engine
        self._kept: dict[str, Outcomes] = {}

    def of(self, name: str) -> Outcomes:
        """Outcomes of the experiment of that name."""
        if name not in self._kept:
            (experiment,) = chosen((name,), self._size, self._engine)
            self._kept[name] = outcomes(experiment, self._store)
        return self._kept[name]


def _rate(learned: NDArray[np.bool_]) -> SuccessRate:
    return success_rate(int(learned.sum()), learned.size)


def _as_estimate(rate: SuccessRate) -> Estimate:
    return Estimate(rate.rate, rate.low, rate.high)


def _at_weights(part: Outcomes, weights: Sequence[float]) -> NDArray[np.bool_]:
    return np.stack([part.at(critic_weight=weight).learned for weight in weights])


def _of_seeds(
    one: NDArray[np.bool_], other: NDArray[np.bool_], random: np.random.Generator
) -> Estimate:
    """Difference of two rates over conditions [C, S] of the same seeds, which are resampled."""
    gain = one.mean(axis=0) - other.mean(axis=0)
    chosen = random.integers(len(gain), size=(2000, len(gain)))
    low, high = np.quantile(gain[chosen].mean(axis=1), [0.025, 0.975])
    return Estimate(float(gain.mean()), float(low), float(high))


def _median(values: NDArray[np.float64], tail: float) -> Estimate:
    """Median, with quantiles that leave out a tail at either end."""
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan)
    low, middle, high = np.quantile(values, [tail, 0.5, 1 - tail])
    return Estimate(float(middle), float(low), float(high))


def theory_claims(evidence: Evidence) -> Iterator[Claim]:
    """The critic's bias and floor against their closed forms."""
    for name, steps in (("eplen15", 15), ("eplen60", 60)):
        runs = evidence.of(name)
        solved = runs.reward > 0.99
        ratio = runs.value_loss[solved] / value_floor(1.0, steps // 3)
        yield Claim(
            f"claim.floor-{steps}",
            "solved seeds settle at the floor under the value loss (median, quartiles)",
            _median(ratio, 0.25),
            0.9,
            1.2,
            (name,),
        )
    for name in ("weight-0.005", "weight-0.001"):
        attached = evidence.of(name).at(loss__baseline="attached")
        yield Claim(
            f"claim.bias-{name.removeprefix('weight-')}",
            "measured bias over cTH/2w, median over cells with weights from 1 on (5% to 95%)",
            _median(_bias_ratios(attached), 0.05),
            0.9,
            1.1,
            (name,),
        )
        detached = evidence.of(name).at(loss__baseline="detached")
        worst = float(np.max(np.abs(np.mean(detached.critic_bias, axis=-1))))
        yield Claim(
            f"claim.no-bias-{name.removeprefix('weight-')}",
            "largest mean bias of any detached cell, in rewards",
            Estimate(worst, math.nan, math.nan),
            0,
            1,
            (name,),
        )


def _bias_ratios(attached: Outcomes) -> NDArray[np.float64]:
    """Measured over predicted bias of each cell of episode length and weight that explores."""
    ratios = []
    for steps in attached.axes["task.episode_length"]:
        for weight in attached.weights:
            cell = attached.at(task__episode_length=steps, critic_weight=weight)
            entropy = float(cell.entropy.mean())
            if weight >= 1 and entropy > 0.01:
                ratios.append(float(cell.critic_bias.mean()) / critic_bias(steps, entropy, weight))
    return np.array(ratios)


def lower_edges(evidence: Evidence) -> dict[str, NDArray[np.float64]]:
    """The lower edge in every condition and its resamples, by what `predictions.json` calls it."""
    found = {}
    by_steps = evidence.of("weight-0.005").at(loss__baseline="attached")
    for steps in by_steps.axes["task.episode_length"]:
        part = by_steps.at(task__episode_length=steps)
        found[f"steps {steps}"] = (part.weights, part.learned)
    for length in (2, 4, 6):
        part = evidence.of(f"trial-length-{length}").at(loss__baseline="attached")
        few = [weight for weight in part.weights if weight <= 20]  # below the upper edge
        found[f"trial length {length}"] = (tuple(few), _at_weights(part, few))
    part = evidence.of("mean").at(loss__baseline="attached", task__episode_length=15)
    found["mean, 15 steps"] = (part.weights, part.learned)
    return {
        name: resampled_edges(weights, learned, np.random.default_rng(0))
        for name, (weights, learned) in found.items()
    }


def edge_claims(evidence: Evidence) -> Iterator[Claim]:
    """Where the lower edge lies, and what sets it."""
    edges = lower_edges(evidence)
    predicted = predictions()["lower_edge"]
    experiments = ("weight-0.005", "trial-length-2", "trial-length-4", "trial-length-6", "mean")
    for name, values in edges.items():
        low, high = np.quantile(values[1:], [0.025, 0.975])
        expected = predicted.get(name)
        least, most = (expected / FACTOR, expected * FACTOR) if expected else (0.0, math.inf)
        yield Claim(
            "claim.edge-" + name.replace(",", "").replace(" ", "-"),
            f"lower edge at {name}" + (f", predicted {expected}" if expected else ""),
            Estimate(float(values[0]), float(low), float(high)),
            least,
            most,
            experiments,
        )
    for name, of, sizes, of_law in (
        ("exponent-steps", [f"steps {n}" for n in (6, 15, 30, 60, 120)], (6, 15, 30, 60, 120), 1),
        ("exponent-trial", [f"trial length {n}" for n in (2, 4, 6)], (2, 4, 6), 1),
    ):
        logs = np.log([edges[part] for part in of])  # (conditions, 1 + resamples)
        slopes = np.polyfit(np.log(sizes), logs, 1)[0]
        low, high = np.quantile(slopes[1:], [0.025, 0.975])
        yield Claim(
            f"claim.{name}",
            "the edge rises as this power of the length; a fixed bias says 1, a fixed weight 0",
            Estimate(float(slopes[0]), float(low), float(high)),
            of_law - 0.35,
            of_law + 0.35,
            experiments,
        )


def detaching_claims(evidence: Evidence) -> Iterator[Claim]:
    """What detaching does, and what it leaves."""
    for name in ("weight-0.005", "weight-0.001"):
        rate = name.removeprefix("weight-")
        for steps in (6, 15, 30, 60, 120):
            runs = evidence.of(name).at(task__episode_length=steps)
            low, middle = (
                {
                    baseline: _at_weights(runs.at(loss__baseline=baseline), weights)
                    for baseline in ("attached", "detached")
                }
                for weights in (LOW_WEIGHTS, MIDDLE_WEIGHTS)
            )
            random = np.random.default_rng(0)
            yield Claim(
                f"claim.trend-{steps}-{rate}",
                "detached, weights from 2 to 5 gain this much over weights up to 0.1",
                _of_seeds(middle["detached"], low["detached"], random),
                -0.3,
                0.3,
                (name,),
            )
            attached = _as_estimate(_rate(low["attached"]))
            yield Claim(
                f"claim.low-attached-{steps}-{rate}",
                "attached, this fraction learns at weights up to 0.1",
                attached,
                0,
                0.05,
                (name,),
            )
            detached = _as_estimate(_rate(low["detached"]))
            yield Claim(
                f"claim.low-detached-{steps}-{rate}",
                "detached, this fraction learns at weights up to 0.1",
                detached,
                0.1,
                1,
                (name,),
            )


def upper_claims(evidence: Evidence) -> Iterator[Claim]:
    """The upper edge: where it is, and that it is one of speed."""
    for steps in (60, 120):
        part = evidence.of("weight-0.001").at(task__episode_length=steps, loss__baseline="detached")
        yield Claim(
            f"claim.upper-{steps}",
            f"detached, the upper edge at {steps} steps and learning rate 0.001",
            upper_edge(part.weights, part.learned, np.random.default_rng(0)),
            0.2,
            50,
            ("weight-0.001",),
            1,
        )
    before = evidence.of("weight-0.001").at(task__episode_length=60, loss__baseline="detached")
    for weight in (20.0, 50.0):
        few, many = (
            _rate(part.at(critic_weight=weight).learned)
            for part in (before, evidence.of("budget-upper"))
        )
        yield Claim(
            f"claim.upper-budget-{weight:g}",
            "above the upper edge five times the episodes bring this fraction of seeds there",
            _as_estimate(many),
            0.8,
            1,
            ("budget-upper",),
        )
        yield Claim(
            f"claim.upper-gain-{weight:g}",
            "which is so much more than before",
            rate_difference(many, few),
            0.2,
            1,
            ("budget-upper", "weight-0.001"),
        )
    attached = evidence.of("weight-0.001").at(task__episode_length=15, loss__baseline="attached")
    for weight, least in ((1.0, 0.5), (0.5, 0.0)):
        many = _rate(evidence.of("budget-lower").at(critic_weight=weight).learned)
        yield Claim(
            f"claim.lower-budget-{weight:g}",
            "below the lower edge five times the episodes bring this fraction of seeds there",
            _as_estimate(many),
            least,
            1,
            ("budget-lower",),
        )
        yield Claim(
            f"claim.lower-before-{weight:g}",
            "of which so many had learned in the shorter budget",
            _as_estimate(_rate(attached.at(critic_weight=weight).learned)),
            0,
            0.2,
            ("weight-0.001",),
        )


def place_claims(evidence: Evidence) -> Iterator[Claim]:
    """Where the leak acts."""
    parts = evidence.of("leak-parts")
    for baseline in ("attached_head", "attached_trunk"):
        part = parts.at(loss__baseline=baseline)
        name = baseline.removeprefix("attached_")
        yield Claim(
            f"claim.low-{name}",
            f"the leak let into the {name} alone: this fraction learns at weights up to 0.1",
            _as_estimate(_rate(_at_weights(part, LOW_WEIGHTS))),
            0,
            1,
            ("leak-parts",),
        )
        few = [weight for weight in part.weights if weight <= 20]
        yield Claim(
            f"claim.edge-{name}",
            f"the lower edge with the leak let into the {name} alone",
            lower_edge(few, _at_weights(part, few), np.random.default_rng(0)),
            0,
            math.inf,
            ("leak-parts",),
        )
    for name, runs, weights in (
        ("attached", evidence.of("weight-0.001").at(
            task__episode_length=15, loss__baseline="attached"), WEIGHTS),
        ("by-hand", evidence.of("by-hand").at(critic_weight=5.0), WEIGHTS),
    ):  # fmt: skip
        few = [weight for weight in weights if weight <= 20]
        learned = runs.learned[: len(few)]
        yield Claim(
            f"claim.edge-{name}",
            f"the lower edge, {name}, at 15 steps and learning rate 0.001",
            lower_edge(few, learned, np.random.default_rng(0)),
            0,
            math.inf,
            ("weight-0.001", "by-hand"),
        )
    for steps in (15, 60):
        separate = evidence.of("separate").at(task__episode_length=steps)
        for baseline in ("attached", "detached"):
            part = separate.at(loss__baseline=baseline)
            for weight in (0.2, 100.0):
                yield Claim(
                    f"claim.separate-{baseline}-{steps}-{weight:g}",
                    f"separate LSTMs, {baseline}: fraction that learns at weight {weight:g}",
                    _as_estimate(_rate(part.at(critic_weight=weight).learned)),
                    0,
                    1 if baseline == "detached" or weight > 1 else 0.2,
                    ("separate",),
                )


def other_claims(evidence: Evidence) -> Iterator[Claim]:
    """Collapse, bonus, other settings, the notes' bugs."""
    grid = evidence.of("learning-rate").at(loss__baseline="detached")
    for steps in (15, 60):
        for rate in (0.001, 0.01):
            part = grid.at(task__episode_length=steps, learning_rate=rate)
            yield Claim(
                f"claim.collapsed-{steps}-{rate:g}",
                f"detached, {steps} steps, learning rate {rate:g}: fraction that collapses",
                _as_estimate(_rate(part.collapsed)),
                0,
                0.1 if rate < 0.01 else 1,
                ("learning-rate",),
            )
    bonus = evidence.of("entropy").at(
        task__episode_length=60, loss__baseline="detached", critic_weight=5.0
    )
    rates = [_rate(row) for row in bonus.learned]
    best = int(np.argmax([rate.successes for rate in rates]))
    yield Claim(
        "claim.bonus-weight",
        "best weight of an entropy bonus at 60 steps and learning rate 0.005",
        Estimate(bonus.axes["loss.entropy_weight"][best], math.nan, math.nan),
        0.01,
        2,
        ("entropy",),
    )
    yield Claim(
        "claim.bonus-gain",
        "what that bonus adds to success; chosen as the best of six, so it flatters",
        rate_difference(rates[best], rates[0]),
        0.2,
        1,
        ("entropy",),
    )
    for value in ("values", "log_probs"):
        lost = evidence.of("lost").at(loss__lost_gradients=value)
        yield Claim(
            f"claim.lost-{value.replace('_', '-')}",
            f"the {value} lose their gradient: fraction of seeds that learn at any weight",
            _as_estimate(_rate(lost.learned)),
            0,
            1,
            ("lost",),
        )
    runs = evidence.of("eplen60")
    chances = [float(runs.at(critic_weight=weight).learned.mean()) for weight in runs.weights]
    pattern = chances[-1] * math.prod(1 - chance for chance in chances[:-1])
    yield Claim(
        "claim.luck",
        "chance that of one seed at each weight only that at weight 5 learns, as in the notes",
        Estimate(pattern, math.nan, math.nan),
        0.02,
        0.5,
        ("eplen60",),
    )


def claims(evidence: Evidence) -> Iterator[Claim]:
    """All claims."""
    for group in (
        theory_claims,
        edge_claims,
        detaching_claims,
        upper_claims,
        place_claims,
        other_claims,
    ):
        yield from group(evidence)


def numbers(found: Sequence[Claim]) -> dict[str, Mapping[str, Any]]:
    """What the paper may quote, by name."""
    ours = {
        claim.name: {
            "text": claim.text,
            "value": f"{claim.estimate.value:,.{claim.digits}f}",
        }
        for claim in found
    }
    return dict(sorted({**quoted(), **ours}.items()))


@dataclass(frozen=True)
class Arguments:
    """Flags of `python -m pwm.claims`."""

    results: Path = Path("results")
    """Folder that histories are kept in."""
    out: Path = NUMBERS
    """File of the numbers that the paper quotes."""
    check: bool = False
    """Write nothing, and fail if a claim has left its band."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and ends the program."""
    arguments = parse(
        Arguments,
        "python -m pwm.claims",
        "Computes every number that the paper claims from the stored runs.",
        argv,
    )
    with errors_in_one_line():
        evidence = Evidence(Store(arguments.results))
        found = list(tqdm(claims(evidence), unit=" claims", file=sys.stderr, leave=False))
        if not arguments.check:
            write_json(arguments.out, numbers(found))
    for claim in found:
        band = f"in [{claim.low:g}, {claim.high:g}]"
        verdict = band if claim.holds else "NOT " + band
        print(f"{claim.name:36} {claim.text:24} {verdict:24} {claim.says}")
    left = sum(not claim.holds for claim in found)
    print(f"{len(found) - left} of {len(found)} claims are in their bands.")
    sys.exit(LEFT if arguments.check and left else 0)


if __name__ == "__main__":
    main()
