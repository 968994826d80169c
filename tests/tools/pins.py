"""Digests of what the fused engine computes in some settings; all machines have the same.

`python -m tests.tools.pins` prints them. To pin them anew after a change to what is computed, write
that over `tests/digests.json`, raise `SEMANTICS`, and say in the commit why.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np

from pwm.core.agent import AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.losses import LossConfig
from pwm.core.task import TaskConfig
from pwm.core.trainer import Trainer
from tests.support.training import trained

BASE = TrainConfig(
    task=TaskConfig(episode_length=15),
    agent=AgentConfig(hidden_size=10),
    num_episodes=100,
    log_every=7,
)
SETTINGS = {
    "notes": replace(BASE, task=TaskConfig(), agent=AgentConfig()),
    "large": replace(BASE, task=TaskConfig(episode_length=240), agent=AgentConfig(hidden_size=64)),
    "attached_mean": replace(BASE, loss=LossConfig(baseline="attached", policy_reduction="mean")),
    "detached_sum": replace(BASE, loss=LossConfig(baseline="detached")),
    "discount_entropy": replace(
        BASE,
        loss=LossConfig(
            baseline="detached", policy_reduction="mean", discount=0.8, entropy_weight=0.2
        ),
    ),
    "carried": replace(BASE, agent=AgentConfig(hidden_size=10, carry_state=True)),
    "separate_trunks": replace(BASE, agent=AgentConfig(hidden_size=10, separate_trunks=True)),
    "carried_timeout_separate": replace(
        BASE,
        task=TaskConfig(episode_length=20, timeout=True, hold_reward=0.1),
        agent=AgentConfig(hidden_size=33, carry_state=True, separate_trunks=True),
    ),
    "timeout": replace(BASE, task=TaskConfig(episode_length=60, timeout=True)),
    "pwm0_long_trials": replace(
        BASE, task=TaskConfig(stimulus_set="pwm0", trial_length=7, episode_length=30)
    ),
    "one_unit_two_steps": replace(
        BASE,
        task=TaskConfig(stimulus_set="pwm0", trial_length=2, episode_length=2),
        agent=AgentConfig(hidden_size=1),
    ),
    "probed": replace(BASE, log_every=50, probe_episodes=5),
    "diverged": replace(BASE, learning_rate=1e30),
}


def digest(trainer: Trainer) -> str:
    """SHA-256 of a population's history and parameters."""
    content = hashlib.sha256()
    for array in (*trainer.history().arrays().values(), trainer.parameters.detach().numpy()):
        # How a NaN is written down depends on the machine.
        one_nan = np.where(np.isnan(array), np.nan, array).astype(array.dtype)
        content.update(one_nan.astype(array.dtype.newbyteorder("<")).tobytes())
    return content.hexdigest()


def population(run: TrainConfig) -> list[TrainConfig]:
    """Three seeds of a setting, under two critic weights."""
    return [
        replace(run, seed=seed, critic_weight=weight)
        for seed, weight in ((0, 3.0), (1, 0.25), (2, 3.0))
    ]


def digests() -> dict[str, str]:
    """A digest of each setting."""
    return {name: digest(trained(population(run))) for name, run in SETTINGS.items()}


if __name__ == "__main__":
    print(json.dumps(digests(), indent=2))
