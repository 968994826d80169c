"""Every experiment of the paper: the notes' grids, then those that answer the question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from pwm.core.agent import AgentConfig
from pwm.core.config import TrainConfig
from pwm.core.errors import require
from pwm.core.losses import LossConfig
from pwm.core.task import TaskConfig
from pwm.engines import EngineName
from pwm.runs.experiment import Experiment, Size


def _grid(*critic_weights: float) -> Mapping[str, Sequence[Any]]:
    """Critic weights by 96 seeds, enough to tell a success rate of 0.1 from one of 0.3."""
    return {"critic_weight": critic_weights, "seed": range(96)}


def _notes(episode_length: int, num_episodes: int, learning_rate: float = 0.005) -> TrainConfig:
    return TrainConfig(
        task=TaskConfig(stimulus_set="pwm5", trial_length=3, episode_length=episode_length),
        learning_rate=learning_rate,
        num_episodes=num_episodes,
        log_every=10,
    )


_AUXILIARY = _grid(0.05, 3.0, 10.0, 20.0)
_NOTES = (
    Experiment(
        name="eplen60",
        about="the notes' figure pwm5-eplen60-vweight_loss-REINFORCE-lrate_0.0050-1seed",
        base=_notes(60, 30_000),
        axes=_grid(2.0, 3.0, 4.0, 5.0),
        notes_seeds=1,
    ),
    Experiment(
        name="eplen15",
        about="the notes' figure pwm5-eplen15-vweight_loss-REINFORCE-lrate_0.0050-3seed",
        base=_notes(15, 10_000),
        axes=_grid(2.0, 3.0, 4.0, 5.0),
        notes_seeds=3,
    ),
    Experiment(
        name="eplen15-edge",
        about="lower weights than the notes tried, where learning begins at 15 steps",
        base=_notes(15, 10_000),
        axes=_grid(0.25, 0.5, 1.0, 1.5),
        notes_seeds=3,
    ),
    Experiment(
        name="lrate0.001",
        about="the notes' figure pwm5-vweight_loss-REINFORCE-lrate_0.0010-1seed",
        base=_notes(60, 10_000, 0.001),
        axes=_AUXILIARY,
        notes_seeds=1,
    ),
    Experiment(
        name="lrate0.005",
        about="a learning rate between the two of the notes' auxiliary figures",
        base=_notes(60, 10_000),
        axes=_AUXILIARY,
        notes_seeds=1,
    ),
    Experiment(
        name="lrate0.01",
        about="the notes' figure pwm5-vweight_loss-REINFORCE-lrate_0.0100-1seed",
        base=_notes(60, 10_000, 0.01),
        axes=_AUXILIARY,
        notes_seeds=1,
    ),
    Experiment(
        name="pwm0",
        about="the trivial task, which needs no memory",
        base=replace(
            _notes(60, 10_000),
            task=TaskConfig(stimulus_set="pwm0", trial_length=3, episode_length=60),
        ),
        axes=_grid(0.05, 3.0, 10.0, 15.0, 20.0),
        notes_seeds=1,
    ),
)
WEIGHTS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
FEW_WEIGHTS = (0.2, 1.0, 2.0, 5.0, 20.0, 100.0)
BOTH = ("attached", "detached")


def _answer(
    name: str,
    about: str,
    *,
    steps: int = 15,
    trial_length: int = 3,
    learning_rate: float = 0.001,
    num_episodes: int = 20_000,
    log_every: int = 100,
    probe_episodes: int = 0,
    weights: tuple[float, ...] = WEIGHTS,
    rates: tuple[float, ...] = (),
    agent: AgentConfig = AgentConfig(),  # noqa: B008, it is frozen
    loss: LossConfig = LossConfig(),  # noqa: B008
    **axes: tuple[Any, ...],
) -> Experiment:
    """The given axes, then critic weights, learning rates if any, and 24 seeds."""
    every = axes | {"critic_weight": weights} | ({"learning_rate": rates} if rates else {})
    return Experiment(
        name=name,
        about=about,
        base=TrainConfig(
            task=TaskConfig(stimulus_set="pwm5", trial_length=trial_length, episode_length=steps),
            agent=agent,
            loss=loss,
            learning_rate=learning_rate,
            num_episodes=num_episodes,
            log_every=log_every,
            probe_episodes=probe_episodes,
        ),
        axes=every | {"seed": range(24)},
    )


def _answers() -> Iterator[Experiment]:
    """Experiments of 24 seeds per cell, enough to tell a success rate of 0.3 from one of 0.7."""
    for rate, episodes in ((0.005, 10_000), (0.001, 20_000)):
        yield _answer(
            f"weight-{rate:g}",
            "how success depends on critic weight, episode length and baseline",
            learning_rate=rate,
            num_episodes=episodes,
            episode_length=(6, 15, 30, 60, 120),
            baseline=BOTH,
        )
    yield _answer(
        "held-out",
        "episode lengths and a learning rate used in no fit, predicted in advance",
        learning_rate=0.002,
        episode_length=(9, 24, 45, 90),
        baseline=BOTH,
    )
    for trial_length in (2, 4, 6):
        yield _answer(
            f"trial-length-{trial_length}",
            "shorter or longer trials, five per episode: the return keeps its variance",
            steps=5 * trial_length,
            trial_length=trial_length,
            baseline=BOTH,
        )
    yield _answer(
        "mean",
        "the policy loss as a mean over steps, which divides the leak by their number",
        weights=tuple(weight / 20 for weight in WEIGHTS),
        loss=LossConfig(policy_reduction="mean"),
        episode_length=(15, 60),
        baseline=BOTH,
    )
    yield _answer(
        "budget-lower",
        "weights below the lower edge, trained five times as long",
        num_episodes=100_000,
        weights=(0.5, 1.0),
    )
    yield _answer(
        "budget-upper",
        "weights above the upper edge, trained five times as long",
        steps=60,
        num_episodes=100_000,
        weights=(20.0, 50.0),
        loss=LossConfig(baseline="detached"),
    )
    yield _answer(
        "learning-rate",
        "learning rate by critic weight: where policies collapse to one action",
        num_episodes=10_000,
        weights=(0.2, 1.0, 5.0, 20.0, 100.0),
        episode_length=(15, 60),
        baseline=BOTH,
        rates=(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03),
    )
    yield _answer(
        "separate",
        "separate LSTMs for actor and critic, which then share no trunk",
        weights=FEW_WEIGHTS,
        agent=AgentConfig(separate_trunks=True),
        episode_length=(15, 60),
        baseline=BOTH,
    )
    yield _answer(
        "leak-parts",
        "the leak into the value head only, or into the trunk only",
        baseline=("attached_head", "attached_trunk"),
    )
    yield _answer(
        "by-hand",
        "a detached baseline raised by T / 2w times the entropy, as the leak raises it",
        weights=(5.0,),
        loss=LossConfig(baseline="detached"),
        optimism=tuple(15 / (2 * weight) for weight in WEIGHTS),
    )
    yield _answer(
        "entropy",
        "an entropy bonus, at the learning rate where policies collapse",
        learning_rate=0.005,
        num_episodes=10_000,
        weights=(0.2, 5.0),
        episode_length=(15, 60),
        baseline=BOTH,
        entropy_weight=(0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    )
    yield _answer(
        "carried",
        "the LSTM's state carried across the trials of an episode",
        weights=FEW_WEIGHTS,
        agent=AgentConfig(carry_state=True),
        baseline=BOTH,
    )
    yield _answer(
        "variants",
        "variants of the task: timeouts, fewer stimuli, more stimuli",
        weights=FEW_WEIGHTS,
        stimulus_set=("pwm0", "pwm5", "pwm7"),
        timeout=(False, True),
        baseline=BOTH,
    )
    yield _answer(
        "hidden-size",
        "smaller and larger networks",
        num_episodes=10_000,
        weights=FEW_WEIGHTS,
        hidden_size=(12, 24, 48, 96),
        baseline=BOTH,
    )
    yield _answer(
        "gradients",
        "the gradients in the trunk, below, within and above the working range",
        log_every=1000,
        probe_episodes=64,
        weights=(0.1, 1.0, 5.0, 20.0, 100.0),
        episode_length=(6, 15, 30, 60, 120),
        baseline=BOTH,
    )
    yield _answer(
        "lost",
        "gradients lost while an episode is collected, a bug in the notes' code",
        weights=FEW_WEIGHTS,
        lost_gradients=("none", "values", "log_probs"),
    )


_ALL = (*_NOTES, *_answers())
EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType({item.name: item for item in _ALL})
NOTES = tuple(item.name for item in _NOTES)
"""Experiments that reproduce the notes' figures, and their neighbours."""


def chosen(
    names: Sequence[str],
    size: Size = "paper",
    engine: EngineName | None = None,
    known: Mapping[str, Experiment] = EXPERIMENTS,
) -> tuple[Experiment, ...]:
    """The experiments with those names, or all if none is named.

    Args:
        names: of experiments.
        size: of each.
        engine: that trains them; by default each experiment's own.
        known: experiments to choose from, by name.
    Raises:
        InputError: no experiment has that name.
    """
    for name in names:
        require(name in known, "EXPERIMENT", name, "some of " + ", ".join(known))
    experiments = [known[name].sized(size) for name in names or known]
    return tuple(replace(item, engine=engine or item.engine) for item in experiments)
