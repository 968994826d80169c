"""Speed of training in WebAssembly, in node and in browsers, relative to native code on one core.

    python -m tests.tools.page_speed

In each round, all of them train in turn, and ratios are taken within a round. The browsers run the
page's own worker. Times are wall-clock times without compilation: run nothing else meanwhile.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tqdm import trange

from pwm.core.agent import AgentConfig
from pwm.core.task import TaskConfig
from pwm.runs.engines import make_trainer
from pwm.runs.fields import identity
from pwm.training.config import TrainConfig
from tests.page.node import NODE, PAGE, node
from tests.support.browser import PROGRAMS, Browser, browser, missing

ROUNDS = 7
EPISODES = 10_000
BASE = TrainConfig(num_episodes=EPISODES)
SETTINGS = {
    "60 steps, the notes' setting": BASE,
    "15 steps": replace(BASE, task=TaskConfig(episode_length=15)),
    "60 steps, carried state": replace(BASE, agent=AgentConfig(carry_state=True)),
}
TIMED = """
    const times = [];
    for (const config of data) {
      const started = performance.now();
      await engine.train(config);
      times.push((performance.now() - started) / 1e3);
    }
    return times;
"""
IN_NODE = "for (const config of data) await engine.train(config);  // until compiled" + TIMED
WORKER = """
    globalThis.engine = (() => {
      const text = (id) => document.getElementById(id).textContent;
      const source = new Blob([text("engine"), text("worker")], { type: "text/javascript" });
      const worker = new Worker(URL.createObjectURL(source));
      worker.postMessage({ bytes: Uint8Array.from(atob(text("module")), (c) => c.charCodeAt(0)) });
      const train = (config) => new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => {
          if (data.error) reject(new Error(data.error));
          if (data.result) resolve(data.result);
        };
        worker.postMessage({ config });
      });
      return { train };
    })()
"""
Contestant = Callable[[Sequence[TrainConfig]], list[float]]
"""Trains runs, one after another; returns the seconds that each takes."""


def in_native_code(runs: Sequence[TrainConfig]) -> list[float]:
    """Trains each run with the fused engine; returns the seconds that each takes."""
    times = []
    for run in runs:
        trainer = make_trainer([run])
        started = time.perf_counter()
        trainer.advance(run.num_episodes)
        times.append(time.perf_counter() - started)
    return times


def in_node(runs: Sequence[TrainConfig]) -> list[float]:
    """Trains each run in node; returns the seconds that each takes."""
    times: list[float] = node(IN_NODE, [identity(run) for run in runs])
    return times


def in_browser(tab: Browser) -> Contestant:
    """Loads the page in a browser; returns a function that trains runs there.

    The function's first call also compiles.
    """
    tab.open((PAGE / "index.html").as_uri())
    tab.ask(f"{WORKER}, true")

    def seconds(runs: Sequence[TrainConfig]) -> list[float]:
        """Trains each run in the browser; returns the seconds that each takes."""
        data = json.dumps([identity(run) for run in runs])
        times: list[float] = tab.ask(f"(async (data) => {{ {TIMED} }})({data})")
        return times

    return seconds


def main() -> None:
    """Runs the command."""
    runs = list(SETTINGS.values())
    with ExitStack() as opened:
        contestants: dict[str, Contestant] = {"native": in_native_code}
        if NODE is not None:
            contestants["node"] = in_node
        for name in PROGRAMS:
            if not missing(name):
                folder = Path(opened.enter_context(TemporaryDirectory()))
                contestants[name] = in_browser(opened.enter_context(browser(name, folder)))
        for train in contestants.values():
            train(runs)  # until all is compiled
        rounds = [
            {name: train(runs) for name, train in contestants.items()}
            for _ in trange(ROUNDS, unit=" rounds", leave=False)
        ]
    for index, setting in enumerate(SETTINGS):
        for name in contestants:
            times = [1e6 / EPISODES * each[name][index] for each in rounds]
            ratio = median(each["native"][index] / each[name][index] for each in rounds)
            print(f"{setting}: {name}: {min(times):.1f} µs per episode at best, ", end="")
            print(f"{ratio:.2f} of the native speed by the median of {ROUNDS} rounds")


if __name__ == "__main__":
    main()
