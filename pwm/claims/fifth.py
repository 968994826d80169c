"""Claims about the fifth set of predictions in `paper/predictions.json`: other settings."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from pwm.analysis.elsewhere import BIAS, NOTHING
from pwm.analysis.estimates import interval
from pwm.analysis.fifth import fifth_cells, median, of_groups, the_cell
from pwm.analysis.fifth_statements import BOOTSTRAPPED, statements
from pwm.analysis.fourth import NEAR
from pwm.analysis.outcomes import Evidence
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import LAW, experiments_of, root_mean_square
from pwm.claims.claim import Band, Claim

FAILS = {
    "sgd-leak", "batch-leak", "normalised-leak", "normalised-light", "carried-leak",
    "later-detached", "later-gain",
}  # fmt: skip
"""Statements of the set that are wrong."""
SHOWN = {
    "adam-0.99-60": {"own": 5.0, "raw": 10.0, "centred": 100.0},
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
SLOWER, FASTER = (NEAR, inf), (0.0, 1 / NEAR)
OFF = {
    "fifth-adam-0.999-60-raw": SLOWER,
    "fifth-sgd-15-own": SLOWER,
    "fifth-batch-16-60-raw": SLOWER,
    "fifth-batch-256-15-light": SLOWER,
    "fifth-batch-256-15-own": FASTER,
    "fifth-normalised-15-light": SLOWER,
    "fifth-normalised-15-own": SLOWER,
}
"""Bands of slowdowns and times, over predicted, of which the law is wrong, by the claim's name."""
NEARLY = (1 / NEAR, NEAR)
ERRORS: dict[str, Band] = {LAW: (0.0, 0.6), NOTHING: (0.3, 3.0), BIAS: (0.3, 3.0)}
"""Bands of the root mean square error of log S, by account."""


def statement_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields a claim for each statement of the set."""
    for statement in statements(evidence):
        fails = statement.name in FAILS
        yield Claim(
            name=f"fifth-{statement.name}",
            says=statement.says + (", predicted wrongly" if fails else ", as predicted"),
            estimate=statement.estimate,
            band=statement.wrong_region if fails else statement.region,
            experiments=statement.experiments,
        )


def cell_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the slowdowns in the paper's table."""
    for condition, weights in SHOWN.items():
        for variant, weight in weights.items():
            cell = the_cell(evidence, condition, variant, weight)
            name, predicted = f"fifth-{condition}-{variant}", cell.predicted[LAW]
            low, high = OFF.get(name, NEARLY)
            yield Claim(
                name=name,
                says=f"{condition}, {variant}: slowdown at weight {weight:g}, predicted "
                f"{predicted:g}",
                estimate=interval(cell.least),
                band=(low * predicted, high * predicted),
                experiments=cell.experiments,
                digits=1,
            )


def light_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the times of the light critics in the paper's table."""
    times = predictions()["fifth"]["light"]
    for condition in SHOWN:
        if condition in times:
            name, predicted = f"fifth-{condition}-light", times[condition][LAW]
            low, high = OFF.get(name, NEARLY)
            yield Claim(
                name=name,
                says=f"{condition}: median episodes to learn with a light critic, predicted "
                f"{predicted:,.0f}",
                estimate=interval(median(evidence.of(name))),
                band=(low * predicted, high * predicted),
                experiments=(name,),
                digits=0,
            )


def error_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the errors of the law and of its rivals."""
    cells = fifth_cells(evidence)
    every = [cell for cell in cells if cell.predicted]
    bootstrapped = of_groups(cells, BOOTSTRAPPED, "own", "all")
    for account, kept in ((LAW, every), (NOTHING, every), (BIAS, bootstrapped)):
        yield Claim(
            name=f"fifth-error-{account.replace(' ', '-')}",
            says=f'fifth set, {len(kept)} cells: root mean square error of log S by "{account}"',
            estimate=interval(root_mean_square(kept, account)),
            band=ERRORS[account],
            experiments=experiments_of(kept),
        )


GROUPS = (statement_claims, cell_claims, light_claims, error_claims)
