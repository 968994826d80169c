"""Speed of training in WebAssembly, in node, relative to native code on one core.

    python -m tests.tools.page_speed

Both take turns, round after round, and ratios are taken within a round. Times are those of the
processor, so that other programs on the machine matter less. They leave out compilation.
"""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median

from tqdm import trange

from pwm.core.agent import AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.task import TaskConfig
from pwm.engines import make_trainer
from pwm.runs.fields import identity
from tests.page.node import node

ROUNDS = 7
EPISODES = 10_000
BASE = TrainConfig(num_episodes=EPISODES)
SETTINGS = {
    "60 steps, the notes' setting": BASE,
    "15 steps": replace(BASE, task=TaskConfig(episode_length=15)),
    "60 steps, carried state": replace(BASE, agent=AgentConfig(carry_state=True)),
}
IN_NODE = """
    for (const config of data) await engine.train(config);  // until all is compiled
    const times = [];
    for (const config of data) {
      const started = process.cpuUsage().user;
      await engine.train(config);
      times.push((process.cpuUsage().user - started) / 1e6);
    }
    return times;
"""


def native_seconds(run: TrainConfig) -> float:
    """Processor time of training a run natively, in seconds."""
    trainer = make_trainer([run])
    started = time.process_time()
    trainer.advance(run.num_episodes)
    return time.process_time() - started


def main() -> None:
    """Runs the command."""
    rounds = []
    for _ in trange(ROUNDS, unit=" rounds", leave=False):
        in_node = node(IN_NODE, [identity(run) for run in SETTINGS.values()])
        rounds.append((in_node, [native_seconds(run) for run in SETTINGS.values()]))
    for place, name in enumerate(SETTINGS):
        pairs = [(in_node[place], native[place]) for in_node, native in rounds]
        wasm, native = (1e6 / EPISODES * min(column) for column in zip(*pairs, strict=True))
        ratio = median(native / wasm for wasm, native in pairs)
        print(
            f"{name}: {wasm:.1f} µs per episode in WebAssembly, {native:.1f} native, at best; "
            f"{ratio:.2f} of the native speed, by the median of {ROUNDS} rounds"
        )


if __name__ == "__main__":
    main()
