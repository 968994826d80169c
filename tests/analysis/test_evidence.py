"""The paper's experiments: each is loaded once, and the runs that are read are recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from pwm.analysis.evidence import Evidence
from pwm.core.errors import InputError
from pwm.experiments import chosen
from tests.support.outcomes import fill


def test_evidence_reads_each_experiment_once(tmp_path: Path) -> None:
    experiments = chosen(("eplen15", "held-out"), "smoke")
    evidence = Evidence(fill(tmp_path, experiments), "smoke")
    for experiment in experiments:
        runs = evidence.of(experiment.name)
        assert runs is evidence.of(experiment.name)
        assert runs.configs == experiment.runs()
    with pytest.raises(InputError, match="no-such-name"):
        evidence.of("no-such-name")


def test_evidence_records_what_is_read(tmp_path: Path) -> None:
    (experiment,) = chosen(("eplen15",), "smoke")
    evidence = Evidence(fill(tmp_path, [experiment]), "smoke")
    runs = evidence.of("eplen15")
    assert not evidence.read["eplen15"].any()
    _ = runs.at(seed=runs.axes["seed"][0]).learned
    assert 0 < evidence.read["eplen15"].sum() < experiment.num_runs
    evidence.read = {}
    _ = evidence.of("eplen15").reward
    assert evidence.read["eplen15"].all()
