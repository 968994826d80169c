"""Runs that `paper/page/engine.js` trains in node are bit-identical to native ones."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from pwm.analysis.published import Published
from pwm.experiments import EXPERIMENTS
from pwm.runs.digests import digests_of
from pwm.runs.engines import make_trainer
from pwm.runs.fields import identity
from pwm.training.config import TrainConfig
from pwm.training.history import History
from pwm.training.loss_config import LossConfig
from tests.page.node import PAGE, needs_node, node, train
from tests.support.training import history_of
from tests.tools.pins import PINS, SETTINGS, digest, population

pytestmark = needs_node
PINNED = json.loads(PINS.read_text())
OFFERED = [name for name, run in SETTINGS.items() if not run.probe_episodes]
# Number of a published run by experiment: attached, detached, centred, carried, own critic start.
PUBLISHED = {
    "eplen15": 7,
    "candidates-usual": 100,
    "candidates-fixed": 5,
    "rules-carried-fixed": 3,
    "fourth-75-steps-fixed-point": 50,
}
SHORT = TrainConfig(num_episodes=3, log_every=2)
ODD_SEEDS = (2**32 - 1, 2**32, 2**32 + 1, 2**40 + 3, 2**53 - 1)


def test_every_pinned_setting_without_probes_has_its_pinned_digest() -> None:
    runs = {name: population(SETTINGS[name]) for name in OFFERED}
    trained = iter(train([run for each in runs.values() for run in each]))
    found = {}
    for name, members in runs.items():
        each = [next(trained) for _ in members]
        history = History.joined([one.history for one in each])
        parameters = torch.from_numpy(np.stack([one.parameters for one in each]))
        trainer: Any = SimpleNamespace(
            history=lambda history=history: history, parameters=parameters
        )
        found[name] = digest(trainer)
        assert [one.digest for one in each] == [f"{one:016x}" for one in digests_of(history)]
    assert found == {name: PINNED[name] for name in OFFERED}
    assert len(found) > 20


def test_streams_and_initial_parameters_are_those_of_numpy() -> None:
    runs = [replace(SHORT, seed=seed) for seed in (*range(150), *ODD_SEEDS)]
    native = make_trainer(runs)
    native.advance(SHORT.num_episodes)
    trained = train(runs)
    np.testing.assert_array_equal(
        [one.parameters.view(np.uint32) for one in trained],
        native.parameters.numpy().view(np.uint32),
    )
    history = native.history()
    assert [one.digest for one in trained] == [f"{one:016x}" for one in digests_of(history)]


def test_a_start_at_the_fixed_point_has_the_leaks_bias_only_if_the_leak_reaches_the_head() -> None:
    losses = [
        LossConfig(baseline="attached_head", lost_gradients="log_probs"),
        LossConfig(baseline="attached_trunk"),
        LossConfig(lost_gradients="values"),
    ]
    runs = [replace(SHORT, loss=loss, critic_start="fixed-point") for loss in losses]
    expected = [f"{digests_of(history_of([run]))[0]:016x}" for run in runs]
    assert [one.digest for one in train(runs)] == expected


def test_published_runs_have_their_published_digests() -> None:
    published = Published.read()
    runs = [EXPERIMENTS[name].runs()[number] for name, number in PUBLISHED.items()]
    expected = [
        f"{published.record(EXPERIMENTS[name]).digest[number]:016x}"
        for name, number in PUBLISHED.items()
    ]
    assert [one.digest for one in train(runs)] == expected


def test_windows_are_reported_in_order_as_they_are_in_the_history() -> None:
    windows, history = node(
        """
        const windows = [];
        const onWindow = (number, window) => windows.push([number, window]);
        const { history } = await engine.train(data, { onWindow });
        for (const name in history) history[name] = [...history[name]];
        return [windows, history];
        """,
        identity(replace(SHORT, num_episodes=25)),
    )
    assert history["episode"] == [*range(2, 25, 2), 25]
    expected = [
        [number, {name: curve[number] for name, curve in history.items()}]
        for number in range(len(history["episode"]))
    ]
    assert windows == expected


def test_training_lets_other_events_happen_and_can_be_stopped_and_started_again() -> None:
    stopped, windows, digest_, again = node(
        """
        const controller = new AbortController();
        let windows = 0, stopped = "not stopped";
        setTimeout(() => controller.abort("stop"), 30);
        const onWindow = () => windows++;
        const long = { ...data, num_episodes: 300000 };
        await engine.train(long, { signal: controller.signal, onWindow }).catch((reason) => {
          stopped = reason;
        });
        const first = await engine.train(data), second = await engine.train(data);
        return [stopped, windows, first.digest, second.digest];
        """,
        identity(SHORT),
    )
    assert stopped == "stop"
    assert 0 < windows < 150_000
    assert [digest_, again] == [train([SHORT])[0].digest] * 2


REFUSED = (
    ({"critic_wait": 1}, "critic_wait: there is no such option"),
    ({"loss": {"momentum": 1}}, "momentum: there is no such option"),
    ({"loss": {"baseline": "none"}}, 'baseline "none": expected one of attached, detached'),
    ({"task": {"stimulus_set": "pwm6"}}, 'stimulus_set "pwm6": expected one of pwm0'),
    ({"task": {"trial_length": 2.5}}, "trial_length 2.5: expected an integer"),
    ({"task": {"trial_length": 9, "episode_length": 8}}, "episode_length: expected at least"),
    ({"learning_rate": 0}, "learning_rate 0: expected a number above 0"),
    ({"critic_weight": "3"}, 'critic_weight "3": expected a number'),
    ({"critic_weight": None}, "critic_weight null: expected a number"),
    ({"probe_episodes": 2}, "probe_episodes: gradients are not measured here"),
    ({"num_episodes": 10, "episodes_per_update": 4}, "num_episodes: expected a multiple"),
    ({"optimizer": "adam", "loss": {"balance": "uncertainty"}}, "optimizer: expected rmsprop"),
    ({"loss": {"balance": "popart", "returns": "centred"}}, "returns: expected raw"),
    ({"loss": {"baseline": "detached", "leaking_targets": True}}, "leaking_targets: expected"),
    ({"critic_start": "none"}, 'critic_start "none": expected'),
    ({"critic_start": "mean", "task": {"reward": 0.1}}, "critic_start mean is computed here"),
    ({"critic_start": "fixed-point", "critic_weight": 0}, "critic_start fixed-point needs"),
)


def test_what_cannot_be_trained_is_refused_by_name() -> None:
    found = node(
        """
        const outcome = (config) =>
          engine.train(config).then(() => "trained", (error) => error.message);
        return Promise.all(data.map(async (each) => [engine.supports(each), await outcome(each)]));
        """,
        [config for config, _ in REFUSED],
    )
    for (_, named), (reason, refused) in zip(REFUSED, found, strict=True):
        assert reason.startswith(named)
        assert refused == reason


def test_an_option_that_is_new_in_python_is_refused_unless_it_has_its_default() -> None:
    found = node(
        """
        engine.about.defaults.novel = 1;
        return [{}, { novel: 1 }, { novel: 2 }].map((config) => engine.supports(config));
        """
    )
    assert found == [None, None, "novel 2: expected 1, as the page does not know this option"]


def test_base64_and_bytes_are_the_same_module() -> None:
    same = node(
        f"""
        const bytes = readFileSync({json.dumps(str(PAGE / "engine.wasm"))});
        const other = await loadEngine(bytes.toString("base64"));
        return (await other.train(data)).digest === (await engine.train(data)).digest;
        """,
        identity(SHORT),
    )
    assert same
