"""The runs that a claim rests on: all that its value depends on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from pwm.analysis.estimates import Estimate
from pwm.analysis.evidence import Evidence
from pwm.analysis.published import Published
from pwm.claims import resting
from pwm.claims.claim import Claim
from pwm.claims.resting import runs_behind
from pwm.experiments import EXPERIMENTS

SOURCE = Published.read()
ONE, TWO = "start-mean-trial-2", "fourth-above"


def claim(name: str, value: float, *experiments: str) -> Claim:
    return Claim(
        name=name, says="it", estimate=Estimate(value), band=(0, 1), experiments=experiments
    )


def group(evidence: Evidence) -> Iterator[Claim]:
    """Yields claims that read runs in different ways."""
    every = evidence.of(TWO)
    light = every.at(critic_weight=every.weights[0])
    yield claim("first", light.time.mean(), TWO)
    shared = evidence.of(ONE).time.mean()
    yield claim("both", shared + light.at(seed=0).time.mean(), ONE, TWO)
    yield claim("shared", shared + light.at(seed=1).time.mean(), ONE, TWO)
    yield claim("own", every.at(seed=3).time.mean(), TWO)
    yield claim("of nothing", 0.5, TWO)


@pytest.fixture(autouse=True)
def one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resting, "GROUPS", (group,))


def chosen(**values: object) -> list[bool]:
    """Whether each run of the experiment `TWO` has the given values."""
    runs = EXPERIMENTS[TWO].runs()
    return [all(vars(run)[name] == value for name, value in values.items()) for run in runs]


LIGHT = EXPERIMENTS[TWO].axes["critic_weight"][0]


def test_runs_are_those_read_for_the_claim() -> None:
    for name, expected in (
        ("first", {TWO: chosen(critic_weight=LIGHT)}),
        ("both", {ONE: [True] * 24, TWO: chosen(critic_weight=LIGHT, seed=0)}),
        ("own", {TWO: chosen(seed=3)}),
        ("of nothing", {}),
    ):
        found, runs = runs_behind(name, SOURCE)
        assert found.name == name
        assert {name: selected.tolist() for name, selected in runs.items()} == expected, name


def test_runs_read_before_count_if_the_value_depends_on_them() -> None:
    _, runs = runs_behind("shared", SOURCE)
    assert runs[ONE].all()
    assert runs[TWO].tolist() == chosen(critic_weight=LIGHT)  # more than it needs, and no less


def test_runs_read_out_of_sight_give_whole_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(evidence: Evidence) -> Iterator[Claim]:
        unseen = Evidence(evidence.source).of(ONE).time
        yield claim("hidden", float(np.mean(unseen)), ONE)

    monkeypatch.setattr(resting, "GROUPS", (hidden,))
    _, runs = runs_behind("hidden", SOURCE)
    assert runs[ONE].all()


def test_an_unknown_claim_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="nosuch"):
        runs_behind("nosuch", SOURCE)
