"""Fourth set of predictions: the law still gives the published numbers, and the verdicts."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from pwm.analysis.climb import Setting, climb_slowdown
from pwm.analysis.fourth_predictions import fourth_cells, of_variants, refuted_if, right_if
from pwm.analysis.predictions import predictions
from pwm.analysis.rivals import rival_slowdowns
from pwm.analysis.theory import noise_weight, slowdown
from pwm.experiments.fourth import CONDITIONS
from tests.claims.worlds import MadeUp, World

pytestmark = pytest.mark.usefixtures("few_resamples")
PREDICTED = predictions()["fourth"]["slowdown"]
CELLS = [(condition, name) for condition, cells in PREDICTED.items() for name in cells]


def setting(condition: str, variant: str, weight: float) -> Setting:
    """Climb setting of a cell, named as in `paper/predictions.json`."""
    fields: dict[str, Any] = dict(CONDITIONS.get(condition, {"episode_length": 60}))
    fields["steps"] = fields.pop("episode_length")
    attached = variant in ("attached", "fixed-point")
    whole = Setting(**fields, critic_weight=weight, attached=attached)
    if variant.startswith("start"):
        return replace(whole, start=float(variant.removeprefix("start ")))
    return whole if variant in ("raw", "attached") else replace(whole, start=whole.fixed_point)


@pytest.mark.parametrize(("condition", "name"), CELLS)
def test_the_published_predictions_are_those_of_the_law_and_its_rivals(
    condition: str, name: str
) -> None:
    variant, weight = name.replace(",", "").rsplit(" ", 1)
    one = setting(condition, variant, float(weight))
    if variant == "fixed-point":  # with nothing fitted
        noise = noise_weight(one.steps, one.trial_length)
        accounts = {"law": slowdown(noise / one.critic_weight)}
    else:
        accounts = {"law": climb_slowdown(one)}
        if not one.attached:
            accounts |= rival_slowdowns(one)
    assert PREDICTED[condition][name] == {
        account: float(f"{value:.3g}") for account, value in accounts.items()
    }


def test_every_predicted_cell_is_measured() -> None:
    cells = fourth_cells(MadeUp())
    predicted = [cell for cell in cells if cell.predicted]
    assert len(predicted) == len(CELLS)
    assert {cell.condition for cell in cells} == set(CONDITIONS) | {"above"}
    assert len(of_variants(cells, "raw", "mean")) == 4 * (len(CONDITIONS) - 1)
    (heavy,) = (
        cell
        for cell in cells
        if (cell.condition, cell.variant, cell.weight) == ("75-steps", "raw", 10.0)
    )
    assert heavy.predicted == PREDICTED["75-steps"]["raw 10"]
    assert heavy.runs.base.task.episode_length == 75
    assert heavy.light.base.critic_start == "mean"


def verdicts(world: World) -> dict[str, bool]:
    evidence = MadeUp(world)
    statements = itertools.chain(right_if(evidence), refuted_if(evidence))
    return {statement.name: statement.right for statement in statements}


def test_in_a_world_of_the_law_it_is_right_and_not_refuted() -> None:
    found = verdicts(World())
    assert not found.pop("noise")  # wrong in this world, as in the measured runs
    assert all(found.values()), found


@pytest.mark.parametrize(
    ("world", "wrong"),
    [
        (World(far=0.0), {"reward-0.1", "reward-10", "law-cells"}),
        (World(recentred=False), {"centred"}),
        (World(carried=0.4), {"carried"}),
        (World(above=0.0), {"above"}),
        (World(rates=0.5), {"rates"}),
    ],
)
def test_verdicts_notice_what_is_otherwise(world: World, wrong: set[str]) -> None:
    found = verdicts(world)
    assert wrong <= {name for name, right in found.items() if not right}
