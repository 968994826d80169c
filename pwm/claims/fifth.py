"""Claims about the fifth set of predictions in `paper/predictions.json`: other settings.

A condition is a setting, such as another optimiser, and a number of steps; a variant is the
critic's start, its returns and the kind of leak (`pwm.experiments.fifth`); a cell is the runs of
one condition, variant and weight. The slowdown S of a cell is its median time to learn over that of
the condition's light detached critic. The accounts that predict S are the law of
`pwm.analysis.elsewhere` and its rivals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf

from pwm.analysis.elsewhere import BIAS, NOTHING
from pwm.analysis.estimates import Estimate, interval, mean, rate
from pwm.analysis.evidence import Evidence
from pwm.analysis.fifth_cells import fifth_cells, median_times, of_groups, the_cell
from pwm.analysis.fifth_predictions import TARGETS, statements
from pwm.analysis.fourth_predictions import MOST, NEAR
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import (
    LAW,
    by_middle,
    experiments_of,
    fraction_right,
    root_mean_square,
)
from pwm.claims.claim import Band, Claim, slug
from pwm.claims.fourth import statement_claim, unsure_claim

FAILS: Mapping[str, Band] = {
    "sgd-leak": (1.5, inf),
    "batch-leak": (0.0, 2.44),
    "normalised-leak": (0.0, 0.75),
    "normalised-light": (0.0, 0.75),
    "carried-leak": (0.0, 1.65),
    "later-detached": (-0.3, 0.3),
    "later-gain": (-1.0, 0.0),
}
"""Bands of the measured number, by name of a wrong statement; each borders on its right range."""
MOSTLY = 0.6  # least fraction of right statements for which the paper can say "most are right"
SHOWN: Mapping[str, Mapping[str, float]] = {
    "adam-0.99-60": {"own": 5.0, "raw": 10.0},
    "adam-0.999-60": {"own": 5.0, "raw": 10.0, "centred": 100.0},
    "sgd-15": {"own": 2.0, "raw": 30.0},
    "discount-60": {"own": 10.0, "raw": 30.0},
    "gae-60": {"own": 10.0, "all": 10.0, "raw": 10.0},
    "td-60": {"own": 20.0, "all": 20.0, "raw": 30.0},
    "trial-60": {"own": 10.0, "raw": 30.0},
    "batch-16-60": {"own": 5.0, "raw": 10.0},
    "batch-256-15": {"own": 2.0, "raw": 10.0},
    "normalised-15": {"own": 1.0, "raw": 10.0},
    "huber-15": {"raw": 10.0},
}
"""Weights of the cells in the paper's table, by condition and variant."""
NEARLY, SLOWER, FASTER = (1 / NEAR, NEAR), (NEAR, inf), (0.0, 1 / NEAR)
"""Ranges of the ratio of a measured slowdown or time to the law's prediction."""
OFF: Mapping[str, Band] = {
    "fifth-adam-0.999-60-raw": SLOWER,
    "fifth-sgd-15-own": SLOWER,
    "fifth-batch-16-60-raw": SLOWER,
    "fifth-batch-256-15-light": SLOWER,
    "fifth-batch-256-15-own": FASTER,
    "fifth-normalised-15-light": SLOWER,
    "fifth-normalised-15-own": SLOWER,
}
"""Range of that ratio for each claim about a wrong prediction; for all others, it is `NEARLY`."""
ERRORS: Mapping[str, Band] = {LAW: (0.0, 0.4), NOTHING: (0.4, 3.0), BIAS: (0.0, 0.4)}
"""Bands of the root mean square error of log S, by account."""
LATER_GAINS: Mapping[float, Band] = {0.05: (0.2, 1.0), 2.0: (-0.3, 0.0)}
"""Bands of the reward gained by detaching in the notes' later setting, by weight."""


def statement_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields a claim for each statement of the set."""
    for statement in statements(evidence):
        yield statement_claim("fifth", statement, FAILS.get(statement.name))


def right_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the numbers of right statements, and of unsure ones among these."""
    judged = list(statements(evidence))
    yield Claim(
        name="fifth-right",
        says=f"fifth set: statements, of {len(judged)}, that are right",
        estimate=Estimate(sum(statement.right for statement in judged)),
        band=(MOSTLY * len(judged), len(judged) - len(FAILS)),  # the paper says which fail
        experiments=experiments_of(judged),
        digits=0,
    )
    yield unsure_claim("fifth", judged)


def cell_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the slowdowns, or lower bounds of them, in the paper's table."""
    for condition, weights in SHOWN.items():
        for variant, weight in weights.items():
            name = f"fifth-{condition}-{variant}"
            cell = the_cell(evidence, condition, variant, weight)
            predicted = cell.predicted[LAW]
            verdict = ", wrongly" if name in OFF else ""
            yield Claim(
                name=name,
                says=f"{condition}, {variant}, weight {weight:g}: slowdown, predicted to be "
                f"{predicted:g}{verdict}",
                estimate=cell.estimate,
                band=_band(name, predicted),
                experiments=cell.experiments,
                digits=1,
            )


def light_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the light critics' times to learn in the paper's table."""
    times = predictions()["fifth"]["light"]
    for condition in SHOWN:
        if condition in times:  # the law predicts no times for SGD
            name, predicted = f"fifth-{condition}-light", times[condition][LAW]
            verdict = ", wrongly" if name in OFF else ""
            yield Claim(
                name=name,
                says=f"{condition}, light: median episodes to learn, predicted to be "
                f"{predicted:,.0f}{verdict}",
                estimate=interval(median_times(evidence.of(name))),
                band=_band(name, predicted),
                experiments=(name,),
                digits=0,
            )


def _band(name: str, predicted: float) -> Band:
    """Band of a measured slowdown or time, from its claim's name and the law's prediction."""
    low, high = OFF.get(name, NEARLY)
    return low * predicted, high * predicted


def reward_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about carried states: success at weight 100, and reward gained by detaching."""
    carried = "fifth-carried-60-centred"
    yield Claim(
        name="carried-centred-100-long",
        says="state carried, centred, weight 100, 60 steps: success after 40,000 episodes at "
        "learning rate 0.001",
        estimate=rate(evidence.of(carried).at(critic_weight=100.0).learned),
        band=(0.01, 0.5),  # some, but fewer than half
        experiments=(carried,),
    )
    names = ("later-detached", "later-attached")  # the state is carried here, too
    for weight, band in LATER_GAINS.items():
        detached, attached = (evidence.of(name).at(critic_weight=weight).reward for name in names)
        yield Claim(
            name=f"fifth-later-reward-{weight:g}",
            says=f"notes' later setting, weight {weight:g}: reward detached less that attached",
            estimate=mean(detached - attached),
            band=band,
            experiments=names,
        )


def error_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about each account's error on its cells, and the fraction near the law's."""
    cells = fifth_cells(evidence)
    middle = by_middle(cells)  # times to the middle, not the end, of the window of 500 episodes
    accounts = [(slug(account), account, cells) for account in ERRORS]
    for name, account, scored in (*accounts, ("law-middle", LAW, middle)):
        predicted = [cell for cell in scored if account in cell.predicted]
        yield Claim(
            name=f"fifth-error-{name}",
            says=f'fifth set, {len(predicted)} cells: root mean square error of log S by "{name}"',
            estimate=interval(root_mean_square(predicted, account)),
            band=ERRORS[account],
            experiments=experiments_of(predicted),
        )
    targets = of_groups(middle, TARGETS)
    yield Claim(
        name="fifth-targets-middle",
        says=f"other returns, by the window's middle: fraction of {len(targets)} cells within "
        f"a factor of {NEAR} of the law",
        estimate=fraction_right(targets, NEAR),
        band=(MOST, 1 - 1 / len(targets)),  # most, as predicted, but not all
        experiments=experiments_of(targets),
    )


GROUPS = (statement_claims, right_claims, cell_claims, light_claims, reward_claims, error_claims)
