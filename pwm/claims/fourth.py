"""Claims about the fourth set of predictions in `paper/predictions.json`.

A cell is the runs of one condition (a setting), variant (the critic's start, returns or leak) and
weight. Its slowdown S is its median time to learn over that of a light detached critic that starts
at the mean return. Accounts of S are the law of the climb (`pwm.analysis.climb`) and its rivals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf

from pwm.analysis.estimates import Estimate, interval
from pwm.analysis.evidence import Evidence
from pwm.analysis.fourth_predictions import (
    MOST,
    NEAR,
    fourth_cells,
    of_variants,
    refuted_if,
    right_if,
)
from pwm.analysis.rivals import RIVALS
from pwm.analysis.slowdowns import (
    LAW,
    by_middle,
    experiments_of,
    leaving_one_out,
    root_mean_square,
)
from pwm.analysis.statements import Statement
from pwm.claims.claim import Band, Claim, slug

FAILS: Mapping[str, Band] = {"noise": (-inf, MOST)}
"""Bands of the measured number, by name of a wrong statement."""
ERRORS: Mapping[str, Band] = {
    **dict.fromkeys((LAW, "law finished", "law middle"), (0.0, 0.5)),
    **dict.fromkeys(RIVALS, (0.2, 3.0)),
}
"""Bands of the root mean square error of log S, by account. That of the law is also computed over
only those cells in which at least half of the seeds ever learned ("finished"), and for times to
the middle, not the end, of the first 500 episodes that meet the criterion ("middle")."""
MARGIN = (0.0, 3.0)  # band of a rival's error minus the law's
VARIANTS: Mapping[str, tuple[str, ...]] = {
    **{variant: (variant,) for variant in ("raw", "mean", "centred", "attached")},
    "above": ("start 7.5", "start 9"),
}
"""Variants whose cells a claim counts together, by their name in the claim."""
LEAST_RIGHT = 0.6  # smallest fraction of cells that must be within a factor of `NEAR` of the law


def statement_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields a claim for each statement of the set, and one about those that are not sure."""
    judged = [*right_if(evidence), *refuted_if(evidence)]
    for statement in judged:
        yield statement_claim("fourth", statement, FAILS.get(statement.name))
    yield unsure_claim("fourth", judged)


def statement_claim(prefix: str, statement: Statement, wrong: Band | None) -> Claim:
    """The claim that a statement is right or, if `wrong` is given, that it is wrong.

    Its name begins with `prefix`. Its band is `wrong` or, if this is None, the statement's region;
    `Statement.otherwise` does not count.
    """
    return Claim(
        name=f"{prefix}-{statement.name}",
        says=statement.says + (", predicted wrongly" if wrong else ", as predicted"),
        estimate=statement.estimate,
        band=wrong or statement.region,
        experiments=statement.experiments,
    )


def unsure_claim(prefix: str, judged: Sequence[Statement]) -> Claim:
    """The claim that a few of a set's right statements are not sure (`Statement.unsure`)."""
    return Claim(
        name=f"{prefix}-unsure",
        says=f"{prefix} set: statements, of {len(judged)}, that are right but whose interval "
        "leaves the right region",
        estimate=Estimate(sum(statement.unsure for statement in judged)),
        band=(1, len(judged) / 4),  # some are not sure, but most are
        experiments=experiments_of(judged),
        digits=0,
    )


def error_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the errors of the law and of its rivals."""
    cells = of_variants(fourth_cells(evidence), "raw", "mean")
    experiments = experiments_of(cells)
    errors = {account: root_mean_square(cells, account) for account in (LAW, *RIVALS)}
    errors["law finished"] = root_mean_square([cell for cell in cells if cell.finished])
    errors["law middle"] = root_mean_square(by_middle(cells))
    for account, error in errors.items():
        yield Claim(
            name=f"fourth-error-{slug(account)}",
            says=f'fourth set, raw and mean: root mean square error of log S by "{account}"',
            estimate=interval(error),
            band=ERRORS[account],
            experiments=experiments,
        )
    for rival in RIVALS:
        says = f'fourth set, raw and mean: error of "{rival}" less that of the law'
        yield Claim(
            name=f"fourth-margin-{slug(rival)}",
            says=says,
            estimate=interval(errors[rival] - errors[LAW]),
            band=MARGIN,
            experiments=experiments,
        )
        yield Claim(
            name=f"fourth-margin-{slug(rival)}-left-out",
            says=f"{says}, and the range if any one condition is left out",
            estimate=leaving_one_out(cells, rival, LAW),
            band=MARGIN,
            experiments=experiments,
        )
    centred = of_variants(fourth_cells(evidence), "centred")
    for account in (LAW, "saturation"):  # "saturation" predicts that centred critics are not slowed
        yield Claim(
            name=f"fourth-centred-error-{slug(account)}",
            says=f'fourth set, centred: root mean square error of log S by "{account}"',
            estimate=interval(root_mean_square(centred, account)),
            band=(0.0, 0.7),
            experiments=experiments_of(centred),
        )


def cell_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims about the number of cells that the law, or a rival, predicts well.

    A cell is unfinished if fewer than half of its seeds ever learned; only a lower bound of its
    slowdown is known, and a prediction is good if it is at least this bound over `NEAR`.
    """
    for name, variants in VARIANTS.items():
        cells = of_variants(fourth_cells(evidence), *variants)
        yield Claim(
            name=f"fourth-cells-{name}",
            says=f"fourth set, {name}: cells, of {len(cells)}, within a factor of {NEAR} of the "
            "law",
            estimate=Estimate(sum(cell.right(NEAR) for cell in cells)),
            band=(LEAST_RIGHT * len(cells), float(len(cells))),
            experiments=experiments_of(cells),
            digits=0,
        )
    cells = of_variants(fourth_cells(evidence), "raw", "mean")
    most = MOST * len(cells)
    counts = {name: sum(cell.right(NEAR, name) for cell in cells) for name in (LAW, *RIVALS)}
    counts["unfinished"] = sum(cell.right(NEAR) and not cell.finished for cell in cells)
    for name, count in counts.items():
        account = "the law, unfinished" if name == "unfinished" else f'"{name}"'
        yield Claim(
            name=f"fourth-right-{slug(name)}",
            says=f"fourth set, raw and mean: cells, of {len(cells)}, within a factor of {NEAR} of "
            f"{account}",
            estimate=Estimate(count),
            band=(most, len(cells)) if name == LAW else (1, most),
            experiments=experiments_of(cells),
            digits=0,
        )


GROUPS = (statement_claims, error_claims, cell_claims)
