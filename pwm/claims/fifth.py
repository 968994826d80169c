"""Claims about the fifth set of predictions in `paper/predictions.json`: other settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from math import inf, sqrt

import numpy as np

from pwm.analysis.elsewhere import BIAS, NOTHING, SIGNAL_TO_NOISE, TIMES, law_edge
from pwm.analysis.estimates import Estimate, interval, mean
from pwm.analysis.fifth_cells import fifth_cells, median_times, of_groups, the_cell
from pwm.analysis.fifth_predictions import BOOTSTRAPPED, statements
from pwm.analysis.fourth_predictions import NEAR
from pwm.analysis.outcomes import Evidence
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import LAW, experiments_of, root_mean_square
from pwm.analysis.theory import noise_weight
from pwm.claims.claim import Band, Claim
from pwm.claims.grids import Number, number
from pwm.core.config import TrainConfig
from pwm.experiments import EXPERIMENTS
from pwm.experiments.fifth import BATCHES
from pwm.runs.fields import replaced

FAILS: Mapping[str, Band] = {
    "sgd-leak": (1.5, inf),
    "batch-leak": (0.0, 2.44),
    "normalised-leak": (0.0, 0.75),
    "normalised-light": (0.0, 0.75),
    "carried-leak": (0.0, 1.65),
    "later-detached": (-0.3, 0.3),
    "later-gain": (-1.0, 0.0),
}
"""Bands of the numbers that the set predicted wrongly, by statement."""
SHOWN = {
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
SLOWER, FASTER = (NEAR, inf), (0.0, 1 / NEAR)  # bands of measured over predicted
OFF = {
    "fifth-adam-0.999-60-raw": SLOWER,
    "fifth-sgd-15-own": SLOWER,
    "fifth-batch-16-60-raw": SLOWER,
    "fifth-batch-256-15-light": SLOWER,
    "fifth-batch-256-15-own": FASTER,
    "fifth-normalised-15-light": SLOWER,
    "fifth-normalised-15-own": SLOWER,
}
"""Bands, over predicted, of slowdowns and times that the law predicts wrongly, by claim."""
NEARLY = (1 / NEAR, NEAR)  # band of the others
ERRORS: dict[str, Band] = {LAW: (0.0, 0.4), NOTHING: (0.4, 3.0), BIAS: (0.0, 0.4)}
"""Bands of the root mean square error of log S, by account."""


def statement_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields a claim for each statement of the set."""
    for statement in statements(evidence):
        yield Claim(
            name=f"fifth-{statement.name}",
            says=statement.says
            + (", predicted wrongly" if statement.name in FAILS else ", as predicted"),
            estimate=statement.estimate,
            band=FAILS.get(statement.name, statement.region),
            experiments=statement.experiments,
        )


def right_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields a claim about the number of statements that are right."""
    found = list(statements(evidence))
    yield Claim(
        name="fifth-right",
        says=f"fifth set: statements, of {len(found)}, that are right",
        estimate=Estimate(sum(statement.right for statement in found)),
        band=(0.6 * len(found), len(found) - len(FAILS)),
        experiments=tuple(dict.fromkeys(name for each in found for name in each.experiments)),
        digits=0,
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
                estimate=interval(median_times(evidence.of(name))),
                band=(low * predicted, high * predicted),
                experiments=(name,),
                digits=0,
            )


def reward_claims(evidence: Evidence) -> Iterator[Claim]:
    """Yields the reward gained by detaching in the notes' later setting, below the criterion."""
    names = ("later-detached", "later-attached")
    lightest, two = (
        np.subtract(*(evidence.of(name).at(critic_weight=weight).reward for name in names))
        for weight in (0.05, 2.0)
    )
    for weight, gained, band in ((0.05, lightest, (0.2, 1.0)), (2.0, two, (-0.3, 0.0))):
        yield Claim(
            name=f"fifth-later-reward-{weight:g}",
            says=f"notes' later setting, weight {weight:g}: reward detached less that attached",
            estimate=mean(gained),
            band=band,
            experiments=names,
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


def _averaged(weight: float, steps: int, batch: int) -> float:
    """Slowdown by the leak with `batch` episodes per update, from signal and noise alone."""
    bias = noise_weight(steps, 3) / weight
    return sqrt(1 + bias**2 / (1 + batch * SIGNAL_TO_NOISE))


def _cell_numbers(condition: str, variant: str, weight: float) -> dict[str, Number]:
    """The weight of a cell in the paper's table, its predicted slowdown, and the law's edge."""
    cell, said = f"fifth-{condition}-{variant}", predictions()["fifth"]["slowdown"]
    (name,) = (each for each in said if each.startswith(cell) and f"{weight:g}" in said[each])
    light = EXPERIMENTS[f"fifth-{condition}-light"]
    found = {
        f"prediction.{cell}": number(said[name][f"{weight:g}"][LAW], 1),
        f"setting.{cell}": number(weight, text=f"{weight:g}"),
    }
    if not condition.startswith("sgd"):
        lightest = replace(light.base, critic_weight=light.axes["critic_weight"][0])
        found[f"prediction.{cell}-edge"] = _edge(EXPERIMENTS[name].base, lightest)
    return found


@cache
def _edge(run: TrainConfig, light: TrainConfig) -> Number:
    """The weight by `law_edge`, as a number of the paper."""
    weight = law_edge(run, light)
    return number(weight, text=f"{weight:.1f}" if weight < 10 else f"{weight:.0f}")


def fifth_numbers() -> dict[str, Number]:
    """Settings of the fifth set, and its predictions for the cells in the paper's table."""
    fifth = predictions()["fifth"]
    found = {
        "setting.fifth-statements": number(len(fifth["statements"])),
        "setting.fifth-cells": number(sum(map(len, fifth["slowdown"].values()))),
        "setting.fifth-near": number(NEAR, 1),
        "setting.batch-least": number(min(BATCHES)),
        "setting.batch-most": number(max(BATCHES)),
        "setting.batch-16": number(16),
        "setting.fifth-carried": number(10),
        "setting.later-lightest": number(0.05, 2),
        "setting.seeds-later": number(len(EXPERIMENTS["later-attached"].axes["seed"])),
        "theory.batch-leak": number(_averaged(2.0, 15, max(BATCHES)), 1),
    }
    for name, statement in fifth["statements"].items():
        low, high = statement["right"]
        within = f"{low:g} to {high:g}" if None not in (low, high) else ""
        text = within or (f"at most {high:g}" if low is None else f"at least {low:g}")
        found[f"prediction.fifth-right-{name}"] = {"text": text}
    for group in ("adam-0.99", "adam-0.999"):
        decay = EXPERIMENTS[f"fifth-{group}-15-light"].base.square_decay
        found[f"setting.{group}"] = number(decay, text=f"{decay:g}")
    for group in ("discount", "gae", "td"):
        loss = EXPERIMENTS[f"fifth-{group}-15-light"].base.loss
        found[f"setting.{group}-discount"] = number(loss.discount, text=f"{loss.discount:g}")
        found[f"setting.{group}-decay"] = number(loss.trace_decay, text=f"{loss.trace_decay:g}")
    for condition, weights in SHOWN.items():
        name = f"fifth-{condition}-light"
        if condition in fifth["light"]:
            found[f"prediction.{name}"] = number(fifth["light"][condition][LAW])
        for variant, weight in weights.items():
            found |= _cell_numbers(condition, variant, weight)
    plain = EXPERIMENTS["start-mean"].base
    for steps in TIMES:
        light = replaced(plain, {"episode_length": steps, "critic_weight": 0.1})
        own = replaced(light, {"baseline": "attached", "critic_start": "fixed-point"})
        raw = replace(light, critic_start=0.0)
        found[f"theory.edge-own-{steps}"] = _edge(own, light)
        found[f"theory.edge-raw-{steps}"] = _edge(raw, light)
        found[f"theory.time-{steps}"] = number(TIMES[steps])
    return found


GROUPS = (statement_claims, right_claims, cell_claims, light_claims, reward_claims, error_claims)
