"""Digests of histories and parameters that the fused engine must compute on every machine.

    python -m tests.tools.pins            prints the digests of this code
    python -m tests.tools.pins --write    pins them

After a change that is meant to alter histories, pin them again, raise `SEMANTICS` in
`pwm/training/config.py`, and give the reason in the commit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from pwm.core.agent import AgentConfig
from pwm.core.task import TaskConfig
from pwm.training.config import TrainConfig
from pwm.training.loss_config import LossConfig
from pwm.training.trainer import Trainer
from tests.support.training import trained

PINS = Path(__file__).parents[1] / "fused" / "pins.json"
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
    "scheduled": replace(BASE, probe_episodes=5, probe_at=(0, 1, 10, 100)),
    "diverged": replace(BASE, learning_rate=1e30),
    "centred_clipped": replace(
        BASE,
        loss=LossConfig(
            baseline="detached", returns="centred", tracking_rate=0.03, clip_gradient=1.0
        ),
    ),
    "normalised_fixed_point": replace(
        BASE, loss=LossConfig(normalise_advantages=True), critic_start="fixed-point"
    ),
    "stop_trunk_centred": replace(BASE, loss=LossConfig(balance="stop-trunk", returns="centred")),
    "per_loss_clipped": replace(BASE, loss=LossConfig(balance="per-loss", clip_gradient=1.0)),
    "equal_standardised": replace(
        BASE, loss=LossConfig(balance="equal", returns="standardised", normalise_advantages=True)
    ),
    "pcgrad_separate_slow_trunk": replace(
        BASE,
        trunk_rate=0.25,
        agent=AgentConfig(hidden_size=10, separate_trunks=True),
        loss=LossConfig(balance="pcgrad"),
    ),
    "uncertainty_mean_start": replace(
        BASE, loss=LossConfig(balance="uncertainty", baseline="detached"), critic_start="mean"
    ),
    "popart_reward": replace(
        BASE,
        task=TaskConfig(episode_length=15, reward=2.5),
        loss=LossConfig(balance="popart", baseline="detached"),
    ),
    "adam_per_loss_slow_trunk": replace(
        BASE,
        optimizer="adam",
        square_decay=0.999,
        trunk_rate=0.25,
        loss=LossConfig(balance="per-loss", clip_gradient=1.0),
    ),
    "sgd_huber": replace(BASE, optimizer="sgd", loss=LossConfig(value_loss="huber")),
    "four_per_update_adam_popart": replace(
        BASE,
        optimizer="adam",
        momentum_decay=0.5,
        epsilon=1e-3,
        episodes_per_update=4,
        loss=LossConfig(balance="popart", baseline="detached"),
    ),
    "five_per_update_equal": replace(
        BASE,
        square_decay=0.9,
        episodes_per_update=5,
        loss=LossConfig(balance="equal", returns="standardised"),
    ),
    "lambda_returns_standardised": replace(
        BASE,
        loss=LossConfig(
            baseline="detached", returns="standardised", trace_decay=0.8, return_horizon="trial"
        ),
    ),
    "leaking_targets": replace(
        BASE,
        loss=LossConfig(
            baseline="attached",
            policy_reduction="mean",
            discount=0.9,
            trace_decay=0.0,
            leaking_targets=True,
            normalise_advantages=True,
        ),
    ),
    "return_scale_carried": replace(
        BASE,
        task=TaskConfig(episode_length=15, hold_reward=0.1),
        agent=AgentConfig(hidden_size=10, carry_state=True),
        loss=LossConfig(balance="return-scale", discount=0.9),
    ),
}


def digest(trainer: Trainer) -> str:
    """SHA-256 of a population's history and parameters."""
    content = hashlib.sha256()
    for array in (*trainer.history().arrays().values(), trainer.parameters.detach().numpy()):
        # The bits of a NaN depend on the machine.
        one_nan = np.where(np.isnan(array), np.nan, array).astype(array.dtype)
        content.update(one_nan.astype(array.dtype.newbyteorder("<")).tobytes())
    return content.hexdigest()


def population(run: TrainConfig) -> list[TrainConfig]:
    """Three replicas of a setting, with different seeds and two critic weights."""
    return [
        replace(run, seed=seed, critic_weight=weight)
        for seed, weight in ((0, 3.0), (1, 0.25), (2, 3.0))
    ]


def digests() -> dict[str, str]:
    """Digest of a trained population of each setting, by the setting's name."""
    return {name: digest(trained(population(run))) for name, run in SETTINGS.items()}


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.tools.pins", description="Prints the digests of the fused engine."
    )
    parser.add_argument("--write", action="store_true", help=f"pin them in tests/fused/{PINS.name}")
    arguments = parser.parse_args()
    text = json.dumps(digests(), indent=2)
    if arguments.write:
        PINS.write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
