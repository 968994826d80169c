"""Numbers about the fifth set of predictions that need no runs: settings, predictions and edges.

A cell is the runs of one condition, variant and weight (`pwm.claims.fifth`); the paper's table has
those in `SHOWN`. The leak is the policy loss's gradient with respect to the values of an attached
critic, which it biases. The law is that of `pwm.analysis.elsewhere`; its edge is the critic weight
at which learning takes twice as long as with the light critic of the same condition.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import sqrt

from pwm.analysis.elsewhere import SIGNAL_TO_NOISE, TIMES, law_edge
from pwm.analysis.fifth_predictions import CARRIED_WEIGHT
from pwm.analysis.fourth_predictions import NEAR
from pwm.analysis.predictions import predictions
from pwm.analysis.slowdowns import LAW
from pwm.analysis.starts import LIGHT
from pwm.analysis.theory import noise_weight
from pwm.claims.claim import Number, number, unrounded
from pwm.claims.fifth import SHOWN
from pwm.experiments import EXPERIMENTS
from pwm.experiments.fifth import BATCHES, GROUPS
from pwm.runs.fields import replaced
from pwm.training.config import TrainConfig


def fifth_numbers() -> dict[str, Number]:
    """Returns the numbers of the fifth set of predictions that need no runs, by name."""
    entries = _settings() | _right_ranges() | _first_studies()
    light = predictions()["fifth"]["light"]
    for condition, weights in SHOWN.items():
        if condition in light:
            entries[f"prediction.fifth-{condition}-light"] = number(light[condition][LAW])
        for variant, weight in weights.items():
            entries |= _cell(condition, variant, weight)
    return entries


def _settings() -> dict[str, Number]:
    """Size and settings of the set, and the predicted slowdown by the leak in large batches."""
    fifth = predictions()["fifth"]
    later = EXPERIMENTS["later-attached"]  # the set's runs in the notes' later setting
    return {
        "setting.fifth-statements": number(len(fifth["statements"])),
        "setting.fifth-cells": number(sum(len(cells) for cells in fifth["slowdown"].values())),
        "setting.fifth-near": number(NEAR, 1),
        "setting.batch-most": number(max(BATCHES)),
        "setting.batch-16": number(GROUPS["batch-16"]["episodes_per_update"]),
        "setting.fifth-carried": unrounded(CARRIED_WEIGHT),  # not in `SHOWN`: unpredicted
        "setting.later-lightest": number(min(later.axes["critic_weight"]), 2),
        "setting.seeds-later": number(len(later.axes["seed"])),
        "setting.adam-0.99": unrounded(TrainConfig.square_decay),
        "setting.adam-0.999": unrounded(GROUPS["adam-0.999"]["square_decay"]),
        "setting.discount-discount": unrounded(GROUPS["discount"]["discount"]),
        "setting.gae-decay": unrounded(GROUPS["gae"]["trace_decay"]),
        "theory.batch-leak": number(_batch_slowdown(), 1),
    }


def _batch_slowdown() -> float:
    """Slowdown caused by the leak at weight 2 and 15 steps, with the largest batch of episodes.

    Unlike the law's prediction for that cell, it ignores that RMSprop's first steps are longer.
    RMSprop divides the mean gradient μ by the root mean square, sqrt(μ² + (1 + b²) s² / batch),
    where s is the standard deviation of one episode's gradient without the leak, and b the leak's
    bias over the return's standard deviation. The slowdown is this root over the root at b = 0:
    sqrt(1 + b² / (1 + batch μ² / s²)).
    """
    bias = noise_weight(steps=15, trial_length=3) / 2.0
    return sqrt(1 + bias**2 / (1 + max(BATCHES) * SIGNAL_TO_NOISE))  # the constant is μ² / s²


def _right_ranges() -> dict[str, Number]:
    """For each statement, the range of its measured number in which it is right, in words."""
    entries: dict[str, Number] = {}
    for name, statement in predictions()["fifth"]["statements"].items():
        low, high = statement["right"]
        if low is None:
            text = f"at most {high:g}"
        elif high is None:
            text = f"at least {low:g}"
        else:
            text = f"{low:g} to {high:g}"
        entries[f"prediction.fifth-right-{name}"] = {"text": text}
    return entries


def _cell(condition: str, variant: str, weight: float) -> dict[str, Number]:
    """Weight, predicted slowdown and, except for SGD, edge of a cell in the paper's table."""
    name = f"fifth-{condition}-{variant}"
    slowdowns = predictions()["fifth"]["slowdown"]  # by experiment, then weight, then account
    # A weight with its own start (`pwm.experiments.fifth.STARTS`) has its own experiment.
    experiment = name if name in slowdowns else f"{name}-{weight:g}"
    entries = {
        f"prediction.{name}": number(slowdowns[experiment][f"{weight:g}"][LAW], 1),
        f"setting.{name}": unrounded(weight),
    }
    if not condition.startswith("sgd"):  # the law has no edge for SGD
        light = EXPERIMENTS[f"fifth-{condition}-light"]
        light_run = replace(light.base, critic_weight=light.axes["critic_weight"][0])  # only one
        entries[f"prediction.{name}-edge"] = _edge(EXPERIMENTS[experiment].base, light_run)
    return entries


def _first_studies() -> dict[str, Number]:
    """For comparison, in the first studies: the law's edges and light critics' measured times."""
    entries: dict[str, Number] = {}
    for steps, time in TIMES.items():
        fields = {"episode_length": steps, "critic_weight": LIGHT}
        light = replaced(EXPERIMENTS["start-mean"].base, fields)
        attached = replaced(light, {"baseline": "attached", "critic_start": "fixed-point"})
        from_zero = replace(light, critic_start=0.0)
        entries[f"theory.edge-own-{steps}"] = _edge(attached, light)
        entries[f"theory.edge-raw-{steps}"] = _edge(from_zero, light)
        entries[f"theory.time-{steps}"] = number(time)
    return entries


@cache
def _edge(run: TrainConfig, light: TrainConfig) -> Number:
    """The law's edge (`law_edge`), printed with one decimal place if it is below 10."""
    weight = law_edge(run, light)
    return number(weight, digits=1 if weight < 10 else 0)
