"""The page in real browsers: its views, training and checks, used as a person would."""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from pwm.analysis.estimates import success_rate
from pwm.analysis.sampling import most_wrong
from pwm.core.task import TaskConfig
from pwm.page.content import Runs
from pwm.training.config import TrainConfig
from pwm.training.loss_config import LossConfig
from tests.page.node import PAGE
from tests.support.browser import PROGRAMS, Browser, browser, missing

SECONDS = 120.0  # for a run, on a busy machine
RIGHT = "\ue014"
SHORT = {
    "attached": {"baseline": "attached", "returns": "raw", "carry_state": False},
    "detached": {"baseline": "detached", "returns": "raw", "carry_state": False},
    "centred": {"baseline": "detached", "returns": "centred", "carry_state": False},
    "carried": {"baseline": "detached", "returns": "centred", "carry_state": True},
}

CENTRED = TrainConfig(
    task=TaskConfig(episode_length=120), loss=LossConfig(returns="centred"), learning_rate=0.005
)


@dataclass
class Pages:
    """A browser, and the addresses of the page as published and altered."""

    tab: Browser
    published: str
    altered: str
    """With a wrong digest for the run `wrong`."""
    wrong: int

    def open(self, address: str) -> Browser:
        self.tab.log.clear()
        self.tab.open("about:blank")
        self.tab.open(address)
        self.tab.wait("document.body.dataset.ready === 'true'", SECONDS)
        return self.tab


def altered(run: int) -> str:
    """The page with one bit of a run's published digest changed."""
    text = (PAGE / "index.html").read_text()
    content = text.split('id="columns">')[1].split("</script>")[0]
    columns = bytearray(b64decode(content))
    columns[8 * run + 7] ^= 1
    return text.replace(content, b64encode(columns).decode())


def shortest(runs: Runs, **fields: Any) -> int:
    """Number of the quickest run with those fields, among runs without probes."""
    numbers = [
        number
        for number, run in enumerate(runs.configs)
        if {name: getattr(part, name) for name in fields for part in (run.loss, run.agent)
            if hasattr(part, name)} == fields
        and not run.probe_episodes
    ]  # fmt: skip
    return min(numbers, key=lambda number: _cost(runs.configs[number]))


def _cost(run: TrainConfig) -> int:
    return run.num_episodes * run.task.num_steps * run.agent.hidden_size


@pytest.fixture(scope="module", params=PROGRAMS)
def pages(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    published_runs: Runs,
) -> Iterator[Pages]:
    name: str = request.param
    if lacking := missing(name):
        pytest.skip(f"NOT SHOWN: there is no {lacking} here")
    folder = tmp_path_factory.mktemp(name)
    wrong = shortest(published_runs, **SHORT["detached"])
    (folder / "altered.html").write_text(altered(wrong))
    (folder / "profile").mkdir()
    with browser(name, folder / "profile") as tab:
        tab.resize(1200, 900)
        published = (PAGE / "index.html").as_uri()
        yield Pages(tab, published, (folder / "altered.html").as_uri(), wrong)


def table(tab: Browser) -> list[list[str]]:
    rows = "[...document.querySelectorAll('#numbers tbody tr')]"
    cells: list[list[str]] = tab.ask(
        f"{rows}.map((row) => [...row.cells].map((c) => c.textContent))"
    )
    return cells


def test_the_page_loads_from_disk_without_errors_and_asks_nobody(
    pages: Pages, published_runs: Runs
) -> None:
    tab = pages.open(pages.published)
    assert tab.log == []
    assert f"{len(published_runs.configs):,} of them" in tab.text(".lead")
    assert {address.partition(":")[0] for address in tab.requests} <= {
        "file",
        "data",
        "about",
        "blob",
    }


def test_a_condition_is_chosen_by_its_controls_and_has_its_published_outcomes(
    pages: Pages, published_runs: Runs
) -> None:
    tab = pages.open(pages.published)
    tab.choose("#view-colour", "baseline")
    tab.choose("#view-panels", "none")
    tab.choose("#field-learning_rate", "0.005")
    tab.choose("#field-returns", "centred")
    tab.choose("#field-episode_length", "120")
    expected = dict[tuple[str, float], dict[int, bool]]()
    for run, outcome in zip(published_runs.configs, published_runs.outcomes, strict=True):
        if (run.learning_rate, run.num_episodes, run.loss.returns) == (0.005, 10_000, "centred"):
            usual = replace(CENTRED, critic_weight=run.critic_weight, seed=run.seed)
            usual = replace(usual, loss=replace(CENTRED.loss, baseline=run.loss.baseline))
            if replace(run, log_every=usual.log_every) == usual:
                seeds = expected.setdefault((run.loss.baseline, run.critic_weight), {})
                seeds[run.seed] = bool(outcome["learned"])
    rows = []
    for (baseline, weight), seeds in sorted(expected.items()):
        rate = success_rate(np.array(list(seeds.values())))
        numbers = [f"{value:.2f}" for value in rate[2:]]
        shown = f"{weight:,g}"
        rows.append([baseline, shown, str(rate.total), str(rate.successes), *numbers])
    assert len(rows) >= 8
    assert [row[:7] for row in table(tab)] == rows
    address = tab.ask("location.href")
    assert [row[:7] for row in table(pages.open(address))] == rows  # the link keeps the choice
    tab.click("#series-0")
    hidden = table(tab)
    assert {row[0] for row in hidden} == {"detached"}
    assert table(pages.open(tab.ask("location.href"))) == hidden


def test_every_figure_of_the_paper_is_a_link_that_shows_runs(pages: Pages) -> None:
    tab = pages.open(pages.published)
    shown = []
    for number in range(tab.ask("document.querySelectorAll('#figures a').length")):
        before = tab.text("#shown"), tab.ask("location.hash")
        tab.ask(f"document.querySelectorAll('#figures a')[{number}].click()")
        if number:  # the page opens with the first
            tab.wait(f"location.hash !== {json.dumps(before[1])}")
        shown.append((tab.ask("location.hash"), len(table(tab))))
    assert min(rows for _, rows in shown) >= 4
    assert len({address for address, _ in shown}) == len(shown) > 10
    assert tab.log == []


def test_points_are_reached_by_keyboard_and_lead_to_their_runs(pages: Pages) -> None:
    tab = pages.open(pages.published)
    tab.wait("document.querySelector('#charts').ariaBusy === 'false'")
    tab.ask("document.querySelector('#charts svg').focus()")
    tab.press(RIGHT, RIGHT, "\ue007")
    reached = tab.text("#reached")
    assert "critic weight w" in reached
    assert "of 24 seeds" in reached
    tab.click(".seed")
    tab.wait("document.activeElement.id === 'check'")
    assert "seed 0." in tab.text("#check-words")


@pytest.mark.parametrize("kind", SHORT)
def test_a_run_trained_again_has_its_published_digest(
    pages: Pages, published_runs: Runs, kind: str
) -> None:
    number = shortest(published_runs, **SHORT[kind])
    tab = pages.open(pages.published)
    tab.fill("#check-number", str(number))
    tab.click("#check-start")
    tab.wait("document.querySelector('#check-result .sign') !== null", SECONDS)
    assert tab.ask("document.querySelector('#check-result .sign').className") == "sign same"
    assert tab.text("#check-result").count(f"{published_runs.digests[number]:016x}") == 2


def test_an_altered_digest_is_reported_as_different(pages: Pages, published_runs: Runs) -> None:
    tab = pages.open(pages.altered)
    tab.fill("#check-number", str(pages.wrong))
    tab.click("#check-start")
    tab.wait("document.querySelector('#check-result .sign') !== null", SECONDS)
    assert tab.ask("document.querySelector('#check-result .sign').className") == "sign different"
    digest = int(published_runs.digests[pages.wrong])
    assert f"Trained here {digest:016x}, published {digest ^ 1:016x}" in tab.text("#check-result")


def test_a_random_sample_bounds_how_many_runs_differ(pages: Pages) -> None:
    tab = pages.open(pages.published)
    tab.fill("#audit-count", "2")
    tab.fill("#audit-seed", "1")
    tab.click("#audit-start")
    tab.wait("document.querySelector('#audit-result .sign') !== null", 4 * SECONDS)
    told = tab.text("#audit-result")
    total = int(told.split("% of the ")[1].split(" runs")[0].replace(",", ""))
    assert "2 of 2 runs are the same, bit for bit." in told
    assert f"at most {100 * most_wrong(total, 2, 0) / total:.3g}% of the" in told


def test_training_is_stopped_and_started_again(pages: Pages) -> None:
    tab = pages.open(pages.published)
    tab.fill("#train-episode_length", "15")
    tab.fill("#train-num_episodes", "1000000")
    tab.click("#train-start")
    tab.wait("document.querySelector('#train-progress').textContent.includes('episode')", SECONDS)
    tab.click("#train-stop")
    tab.wait("document.querySelector('#train-progress').textContent.includes('stopped')", SECONDS)
    stopped = tab.text("#train-progress")
    time.sleep(0.5)
    assert (tab.text("#train-progress"), tab.text("#train-result")) == (stopped, "")
    tab.fill("#train-num_episodes", "10000")
    tab.click("#train-start")
    tab.wait("document.querySelectorAll('#train-result .sign').length === 2", SECONDS)
    signs = "[...document.querySelectorAll('#train-result .sign')].map((each) => each.className)"
    assert tab.ask(signs) == ["sign same", "sign same"]
    assert tab.ask("document.querySelectorAll('#train-charts .curve').length") == 6


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("critic_weight", "heavy", "Critic weight w heavy: expected a number."),
        ("episode_length", "2", "episode_length: expected at least one whole trial."),
    ],
)
def test_bad_input_is_named_and_nothing_is_trained(
    pages: Pages, field: str, text: str, told: str
) -> None:
    tab = pages.open(pages.published)
    tab.fill(f"#train-{field}", text)
    tab.click("#train-start")
    assert tab.text("#train-error") == told
    assert tab.ask("document.activeElement.id") == f"train-{field}"
    assert tab.text("#train-progress") == ""
