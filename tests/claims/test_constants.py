"""Numbers in the paper that need no runs, and the published file of all numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pwm.claims import grids
from pwm.claims.constants import quoted
from pwm.claims.every import claims
from pwm.experiments import EXPERIMENTS
from pwm.io.repository import published
from tests.claims.worlds import MadeUp

COMMAND = "run `python -m pwm.claims` to write paper/numbers.json"


def test_published_constants_are_the_current_ones() -> None:
    written = json.loads(published("numbers.json").read_text())
    old = {name for name, number in quoted().items() if written.get(name, number) != number}
    assert not old, f"{COMMAND}: {old}"


def test_published_claims_are_still_made() -> None:
    written = json.loads(published("numbers.json").read_text())
    made = {f"claim.{claim.name}" for claim in claims(MadeUp())}
    assert not written.keys() - made - quoted().keys(), COMMAND


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("theory.bias-long-lowest", "659"),  # 60 log(3) / (2 0.05)
        ("theory.floor-long-solved", "33.25"),
        ("theory.noise-15", "6.5"),
        ("convert.notes-long-mse", "0.08"),  # 5 / 60
        ("criterion.short", "0.664"),
        ("setting.episode-middle", "30"),
        ("setting.methods", "25"),
        ("setting.rule-conditions", "12"),
        ("library.cleanrl-ppo-long", "3.3"),  # 2 100 / 60
        ("library.cleanrl-ppo-here", "15"),  # 0.5 60 / 2
        ("theory.mean-60", "5.25"),
        ("setting.episodes-more", "100,000"),
        ("task.uniform", "1/3"),
        ("prediction.third-24", "1.20"),
    ],
)
def test_some_constants_by_hand(name: str, text: str) -> None:
    assert quoted()[name]["text"] == text


def test_experiments_are_described_in_a_line() -> None:
    assert quoted()["experiment.eplen15"]["text"] == (
        "weights 2, 3, 4, 5; 96 seeds; 10,000 episodes; 15 steps; learning rate 0.005"
    )
    assert quoted()["experiment.held-out"]["text"] == (
        "steps 9, 24, 45, 90; baselines attached, detached; 13 weights from 0.02 to 100; "
        "24 seeds; 20,000 episodes; learning rate 0.002"
    )
    assert quoted()["experiment.fourth-trial-8"]["text"] == (  # what is not the default is printed
        "24 seeds; 20,000 episodes; 40 steps; learning rate 0.001; trial length 8; "
        "baseline detached"
    )
    assert quoted()["experiment.rules-reward"]["text"] == (
        "rewards 0.1, 10; 24 seeds; 8,000 episodes; 60 steps; learning rate 0.002; "
        "baseline detached"
    )


def test_runs_are_counted_as_named_as_trained_and_as_different() -> None:
    runs = {run for each in EXPERIMENTS.values() for run in each.runs()}
    named = sum(each.num_runs for each in EXPERIMENTS.values())
    assert quoted()["compute.runs"]["value"] == named
    assert quoted()["compute.different"]["value"] == len(runs)
    assert len(runs) < quoted()["compute.trained"]["value"] < named
    logged: dict[str, Any] = {"seed": 0, "log_every": 1, "probe_episodes": 0, "probe_at": ()}
    assert quoted()["compute.settings"]["value"] == len({replace(run, **logged) for run in runs})


def test_an_axis_without_a_name_in_print_goes_by_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = {"hold_reward": (0.0, 0.1), "seed": (0, 1)}
    added = replace(EXPERIMENTS["eplen15"], name="added", axes=axes)
    monkeypatch.setattr(grids, "EXPERIMENTS", {**EXPERIMENTS, "added": added})
    text = quoted()["experiment.added"]["text"]
    assert text.startswith("hold reward 0, 0.1; 2 seeds; ")
