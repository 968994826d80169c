"""Selection of runs with early probes, by the critic's start."""

from __future__ import annotations

import numpy as np
import pytest

from pwm.analysis.early_probes import STARTS, probe_after, probed_runs, probes
from pwm.experiments.start import EARLY
from tests.claims.worlds import MadeUp


@pytest.mark.parametrize("start", STARTS)
def test_probes_are_of_the_runs_that_start_there(start: str) -> None:
    runs = probed_runs(MadeUp(), start, 60, 10.0)
    base = runs.base
    assert base.critic_start == ("mean" if start == "mean" else 0.0)
    assert base.loss.returns == ("centred" if start == "centred" else "raw")
    assert (base.task.episode_length, base.critic_weight) == (60, 10.0)
    course = probes(runs, "saturated")
    assert course.shape == (24, len(EARLY))
    assert (runs.history.probed == EARLY).all()
    assert (probe_after(runs, "saturated", 200) == course[:, EARLY.index(200)]).all()
    assert np.isfinite(course).all()
