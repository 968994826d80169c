"""Experiments of the first study: critic weights, with and without the leak (`pwm.core.leak`).

Runs learn in a working range of critic weights, from its lower to its upper edge.
"""

from __future__ import annotations

from collections.abc import Iterator

from pwm.experiments.grids import FEW_WEIGHTS, LENGTHS, TRIAL_LENGTHS, WEIGHTS, grid
from pwm.runs.experiment import Experiment


def leak_experiments() -> Iterator[Experiment]:
    """Yields experiments with the leak (the policy loss also trains the critic), or without it."""
    for rate, episodes in ((0.005, 10_000), (0.001, 20_000)):
        yield grid(
            f"weight-{rate:g}",
            "how success depends on critic weight, episode length and baseline",
            learning_rate=rate,
            num_episodes=episodes,
            episode_length=LENGTHS,
        )
    yield grid(
        "held-out",
        "episode lengths and a learning rate used in no fit, predicted in advance",
        learning_rate=0.002,
        episode_length=(9, 24, 45, 90),
    )
    for trial_length in TRIAL_LENGTHS:
        yield grid(
            f"trial-length-{trial_length}",
            "shorter or longer trials, five per episode: the return keeps its variance",
            episode_length=5 * trial_length,
            trial_length=trial_length,
        )
    yield grid(
        "mean",
        "the policy loss as a mean over steps, which divides the leak by their number",
        weights=tuple(weight / 20 for weight in WEIGHTS),  # 20 lies between the two episode lengths
        policy_reduction="mean",
        episode_length=(15, 60),
    )
    yield grid(
        "budget-lower",
        "weights below the lower edge, trained five times as long",
        num_episodes=100_000,
        weights=(0.5, 1.0),
        baseline="attached",
    )
    yield grid(
        "budget-upper",
        "weights above the upper edge, trained five times as long",
        episode_length=60,
        num_episodes=100_000,
        weights=(20.0, 50.0),
        baseline="detached",
    )
    yield grid(
        "learning-rate",
        "learning rate by critic weight: where policies collapse to one action",
        num_episodes=10_000,
        weights=(0.2, 1.0, 5.0, 20.0, 100.0),
        episode_length=(15, 60),
        learning_rate=(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03),
    )
    yield grid(
        "separate",
        "separate LSTMs for actor and critic, which then share no trunk",
        weights=FEW_WEIGHTS,
        separate_trunks=True,
        episode_length=(15, 60),
    )
    yield grid(
        "leak-parts",
        "the leak into the value head only, or into the trunk only",
        baseline=("attached_head", "attached_trunk"),
    )
    yield grid(
        "by-hand",
        "a detached baseline raised by T / 2w times the entropy, as the leak raises it",
        weights=(5.0,),
        baseline="detached",
        optimism=tuple(15 / (2 * weight) for weight in WEIGHTS),  # T is 15 steps
    )
    yield grid(
        "entropy",
        "an entropy bonus, at the learning rate where policies collapse",
        learning_rate=0.005,
        num_episodes=10_000,
        weights=(0.2, 5.0),
        episode_length=(15, 60),
        baseline=("attached", "detached"),
        entropy_weight=(0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    )
    yield grid(
        "carried",
        "the LSTM's state carried across the trials of an episode",
        weights=FEW_WEIGHTS,
        carry_state=True,
    )
    yield grid(
        "variants",
        "variants of the task: timeouts, fewer stimuli, more stimuli",
        weights=FEW_WEIGHTS,
        stimulus_set=("pwm0", "pwm5", "pwm7"),
        timeout=(False, True),
    )
    yield grid(
        "hidden-size",
        "smaller and larger networks",
        num_episodes=10_000,
        weights=FEW_WEIGHTS,
        hidden_size=(12, 24, 48, 96),
    )
    yield grid(
        "gradients",
        "the gradients in the trunk, below, within and above the working range",
        log_every=1000,
        probe_episodes=64,
        weights=(0.1, 1.0, 5.0, 20.0, 100.0),
        episode_length=LENGTHS,
    )
    yield grid(
        "lost",
        "gradients lost while an episode is collected, a bug in the notes' code",
        weights=FEW_WEIGHTS,
        lost_gradients=("none", "values", "log_probs"),
        baseline="attached",
    )
