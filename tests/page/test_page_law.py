"""The page's `law.js` and `statistics.js` compute the laws and statistics of Python."""

from __future__ import annotations

import itertools
import json
import subprocess
from typing import Any

import numpy as np
import pytest

from pwm.analysis.climb import Setting, climb_slowdown
from pwm.analysis.estimates import success_rate
from pwm.analysis.learning import STANDARD_ERRORS, learned, times_to_learn
from pwm.analysis.levels import reward_levels
from pwm.analysis.sampling import most_wrong
from pwm.analysis.theory import mean_return, noise_weight, slowdown, value_floor
from pwm.analysis.times import median_time
from pwm.core.leak import critic_bias, start_entropy
from pwm.core.task import TaskConfig
from pwm.page.assembly import joined
from pwm.training.history import METRICS, History
from tests.page.node import NODE, needs_node

pytestmark = needs_node
SETTINGS = [
    Setting(
        steps=trials * trial_length,
        critic_weight=weight,
        start=start,
        trial_length=trial_length,
        learning_rate=rate,
        hidden_size=units,
        reward=reward,
        attached=attached,
    )
    for trials, trial_length, weight, start, rate, units, reward, attached in (
        (5, 3, 0.1, 0.0, 0.001, 24, 1.0, False),
        (20, 3, 10.0, 0.0, 0.001, 24, 1.0, False),
        (20, 3, 30.0, 15.75, 0.001, 24, 1.0, False),
        (40, 3, 100.0, 0.0, 0.0005, 24, 1.0, False),
        (7, 3, 5.0, 0.0, 0.002, 24, 1.0, True),
        (5, 8, 3.0, 2.0, 0.0015, 48, 1.0, True),
        (5, 2, 1.0, 0.0, 0.001, 12, 10.0, False),
    )
]


def run(module: str, body: str, data: object) -> Any:
    """Runs the body of a function in node, after a module of the page; returns its result."""
    program = f"""
        {joined(module)}
        const data = JSON.parse(require("node:fs").readFileSync(0));
        console.log(JSON.stringify((() => {{ {body} }})()));
    """
    done = subprocess.run(
        [str(NODE), "-e", program],
        input=json.dumps(data),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def law(body: str, data: object) -> Any:
    return run("law.js", f"return data.map((each) => {{ {body} }});", data)


def statistics(body: str, data: object) -> Any:
    return run("statistics.js", f"return data.map((each) => {{ {body} }});", data)


def test_the_leak_and_the_floor_are_those_of_the_theory() -> None:
    cases = list(itertools.product((6, 60, 240), (2, 3), (0.02, 1.0, 100.0), ("sum", "mean")))
    ours = law(
        """
        const [steps, length, weight, reduction] = each;
        const trials = Math.floor(steps / length);
        return [
          startEntropy(length), criticBias(steps, 0.7, weight, reduction),
          meanReturn(0.3, trials, 2),
          valueFloor(0.6, trials), valueFloor(0.6, trials, true), slowdown(weight, 0.5),
          noiseWeight(steps, length, { reduction, reward: 0.1 }),
        ];
        """,
        cases,
    )
    theirs = [
        [
            start_entropy(length),
            critic_bias(steps, 0.7, weight, reduction),  # type: ignore[arg-type]
            mean_return(0.3, steps // length, 2),
            value_floor(0.6, steps // length),
            value_floor(0.6, steps // length, True),
            slowdown(weight, 0.5),
            noise_weight(steps, length, reduction, reward=0.1),  # type: ignore[arg-type]
        ]
        for steps, length, weight, reduction in cases
    ]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_the_law_of_the_climb_is_that_of_python() -> None:
    names = ("steps", "start", "reward", "attached")
    data = [
        {name: getattr(setting, name) for name in names}
        | {"weight": setting.critic_weight, "trialLength": setting.trial_length}
        | {"learningRate": setting.learning_rate, "hiddenSize": setting.hidden_size}
        for setting in SETTINGS
    ]
    ours = law("return climbSlowdown(each);", data)
    np.testing.assert_allclose(ours, [climb_slowdown(setting) for setting in SETTINGS], rtol=1e-9)


def test_intervals_and_medians_are_those_of_python() -> None:
    counts = [(0, 24), (1, 24), (12, 24), (24, 24), (95, 96), (1, 1)]
    theirs = [success_rate(np.arange(total) < count)[2:] for count, total in counts]
    np.testing.assert_allclose(statistics("return wilson(...each);", counts), theirs, rtol=1e-12)
    samples = [[3.0, 1.0, 2.0], [4.0, 1.0, 3.0, 2.0], [5.0]]
    middles = [float(median_time(np.array(sample))) for sample in samples]
    assert statistics("return quartiles(each)[1];", samples) == middles


def test_bounds_on_wrong_runs_are_those_of_python() -> None:
    cases = [
        (44_160, 300, 0),
        (44_160, 300, 2),
        (1000, 30, 1),
        (50, 50, 3),
        (42_336, 1, 0),
        (5, 1, 1),
    ]
    assert statistics("return mostWrong(...each);", cases) == [most_wrong(*case) for case in cases]


def test_a_sample_has_no_run_twice_depends_on_its_seed_and_is_even() -> None:
    samples = statistics("return randomSample(40, 10, each);", list(range(2000)))
    assert all(len(set(sample)) == 10 and max(sample) < 40 for sample in samples)
    assert len({tuple(sample) for sample in samples}) == len(samples)
    counts = np.bincount(np.ravel(samples), minlength=40)  # 500 is expected
    assert counts.min() > 400
    assert counts.max() < 600
    assert sorted(statistics("return randomSample(7, 9, each);", [4])[0]) == list(range(7))


@pytest.mark.parametrize(("log_every", "windows"), [(10, 120), (100, 31), (1000, 4), (70, 11)])
def test_learning_is_judged_as_in_python(log_every: int, windows: int) -> None:
    task = TaskConfig(episode_length=15)
    episode = np.arange(1, windows + 1) * log_every
    random = np.random.default_rng(windows)
    level = random.uniform(0.5, 0.8, (30, 1)) + random.normal(0, 0.1, (30, windows))
    reward = np.clip(level, 0, 1).astype(np.float32)
    history = History(episode, *(reward if name == "reward" else 0 * reward for name in METRICS))
    levels = reward_levels(task.stimulus_set)._asdict()
    ours = statistics(
        f"return learning(each, {json.dumps(levels)}, {task.num_trials}, {STANDARD_ERRORS});",
        [{"episode": episode.tolist(), "reward": one.tolist()} for one in reward],
    )
    assert [one["learned"] for one in ours] == learned(history, task).tolist()
    times = [None if np.isinf(time) else time for time in times_to_learn(history, task)]
    assert [one["time"] for one in ours] == times
    assert 0 < sum(one["learned"] for one in ours) < len(ours)
