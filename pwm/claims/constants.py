"""Numbers in the paper that are not claims: settings, closed forms, predictions, conversions.

The notes are the public notes that this study began with. Episode lengths are in steps. Runs are
read only for `foreign_numbers`; constants that were once fitted to runs are not fitted again.
"""

from __future__ import annotations

import math
from statistics import median

from pwm.analysis.climb import SHARE
from pwm.analysis.conventions import CONVENTIONS, convert_weight
from pwm.analysis.learning import FINAL_EPISODES, STANDARD_ERRORS, reward_to_learn
from pwm.analysis.levels import reward_levels
from pwm.analysis.predictions import fitted_law, predictions
from pwm.analysis.rules import CONDITIONS, HELD_OUT, METHODS
from pwm.analysis.starts import MEAN_RETURN
from pwm.analysis.theory import mean_return, noise_weight, value_floor
from pwm.claims.claim import Number, number, unrounded
from pwm.claims.climb import ARRIVED, LATE
from pwm.claims.fifth_numbers import fifth_numbers
from pwm.claims.foreign import foreign_numbers
from pwm.claims.grids import grids
from pwm.claims.leak import TREND
from pwm.claims.predictions import SECOND_ERROR, THIRD_ERROR
from pwm.claims.rules import SOLVING
from pwm.core.agent import AgentConfig
from pwm.core.leak import critic_bias
from pwm.core.task import TaskConfig
from pwm.experiments import EXPERIMENTS
from pwm.training.config import TrainConfig
from pwm.training.loss_config import LossConfig

NOTES_WEIGHT = 5  # the notes' critic weight at which long episodes are learned
HEAVY = 100.0  # recommended critic weight, for a summed policy loss
QUOTED_LIBRARIES = ("stable-baselines3-a2c", "cleanrl-ppo", "rllib-ppo", "rllib-a3c")
LONG, SHORT = TaskConfig(episode_length=60), TaskConfig(episode_length=15)


def quoted() -> dict[str, Number]:
    """Numbers that are not claims, by name: here, `fifth_numbers`, `foreign_numbers`, `grids`."""
    settings = _task() | _training() | _protocol()
    results = _theory() | _predictions() | _conversions()
    return settings | results | fifth_numbers() | foreign_numbers() | grids()


def _task() -> dict[str, Number]:
    """Numbers of the task, with its reward levels, and the criterion for having learned.

    A reward level is the fraction of trials in which a reference policy is rewarded.
    """
    lengths = EXPERIMENTS["weight-0.001"].axes["episode_length"]
    held_out_lengths = EXPERIMENTS["held-out"].axes["episode_length"]
    levels = reward_levels(LONG.stimulus_set)
    return {
        "notes.weight-long": number(NOTES_WEIGHT),
        "setting.episode-long": number(LONG.episode_length),
        "setting.episode-short": number(SHORT.episode_length),
        "setting.episode-least": number(min(lengths)),
        "setting.episode-middle": number(median(lengths)),
        "setting.episode-most": number(max(lengths)),
        "setting.episode-hardest": number(max(EXPERIMENTS["limits"].axes["episode_length"])),
        "setting.trials-long": number(LONG.num_trials),
        "setting.trials-short": number(SHORT.num_trials),
        "setting.pairs": number(LONG.num_pairs),
        "setting.trial-length": number(LONG.trial_length),
        **{f"setting.steps-{steps}": number(steps) for steps in lengths},
        **{f"setting.held-out-{steps}": number(steps) for steps in held_out_lengths},
        "task.uniform": number(levels.uniform, text="1/3"),
        "task.one-sided": number(levels.one_sided, 1),
        "task.memoryless": number(levels.memoryless, 3),
        "task.solved": number(levels.solved),
        "criterion.long": number(reward_to_learn(LONG, FINAL_EPISODES), 3),
        "criterion.short": number(reward_to_learn(SHORT, FINAL_EPISODES), 3),
        "setting.final-episodes": number(FINAL_EPISODES),
        "setting.standard-errors": number(STANDARD_ERRORS, text="four"),
    }


def _training() -> dict[str, Number]:
    """Hidden size, optimiser constants, the heavy weight, rates, and numbers of episodes."""
    notes = EXPERIMENTS["eplen60"].base
    slow = EXPERIMENTS["weight-0.001"].base
    held_out = EXPERIMENTS["held-out"].base
    learning_rates = EXPERIMENTS["centred-learning-rate"].axes["learning_rate"]
    tracking_rates = EXPERIMENTS["tracking"].axes["tracking_rate"]
    return {
        "setting.hidden-size": number(AgentConfig().hidden_size),
        "setting.epsilon": number(TrainConfig.epsilon, text="10⁻⁸"),
        "setting.smoothing": number(TrainConfig.square_decay, 2),
        "setting.heavy": number(HEAVY),
        "setting.learning-rate": number(notes.learning_rate, 3),
        "setting.learning-rate-between": number(held_out.learning_rate, 3),
        "setting.learning-rate-slow": number(slow.learning_rate, 3),
        **{f"setting.rate-{rate:g}": unrounded(rate) for rate in learning_rates},
        "setting.tracking-rate": number(LossConfig().tracking_rate, 1),
        **{f"setting.tracking-{rate:g}": unrounded(rate) for rate in tracking_rates},
        "setting.episodes-long": number(notes.num_episodes),
        "setting.episodes-short": number(EXPERIMENTS["eplen15"].base.num_episodes),
        "setting.episodes-slow": number(slow.num_episodes),
        "setting.episodes-more": number(EXPERIMENTS["budget-lower"].base.num_episodes),
        "setting.episodes-rules": number(EXPERIMENTS["rules-length-popart"].base.num_episodes),
    }


def _protocol() -> dict[str, Number]:
    """Numbers of seeds, probes, methods and conditions, distances, levels, and computing time.

    Distances are those of the critic's start from the mean return; levels are of the final reward.
    """
    probed = EXPERIMENTS["gradients"].base
    # A start above the mean has the distance of one below: 10.5 that of 0, of another experiment.
    distances = {abs(start - MEAN_RETURN) for start in EXPERIMENTS["distance"].axes["critic_start"]}
    fourth_set = predictions()["fourth"]["slowdown"].values()  # cells by condition
    return {
        "compute.cores": number(2),
        "compute.time": {"text": "45 to 80 minutes"},  # on these cores, as in README.md
        "setting.confidence": number(0.95, text="95%"),
        "setting.seeds": number(len(EXPERIMENTS["eplen15"].axes["seed"])),  # of the notes' grids
        "setting.seeds-answer": number(len(EXPERIMENTS["mean"].axes["seed"])),  # of most others
        "setting.fourth-cells": number(sum(len(cells) for cells in fourth_set)),
        **{f"setting.distance-{distance:g}": unrounded(distance) for distance in distances},
        "setting.probe-arrived": number(ARRIVED),
        "setting.probe-late": number(LATE),
        "setting.probe-episodes": number(probed.probe_episodes),
        "setting.probe-every": number(probed.log_every),
        **{f"setting.level-{level:g}": unrounded(level) for level in SOLVING},
        "setting.prediction-sets": number(6),  # first (unnamed in its file) to fifth, `external`
        "setting.methods": number(len(METHODS)),
        "setting.rule-conditions": number(len(CONDITIONS) - len(HELD_OUT)),  # ranked ones
    }


def _theory() -> dict[str, Number]:
    """Values of closed forms, and the constant fitted in the law of the climb.

    In the keys, "noise" is the critic weight at which the leak's bias equals the return's standard
    deviation, "share" the fitted constant (`pwm.analysis.climb`), and "mean" the mean return, of a
    policy that is rewarded in half of the trials unless its key says "uniform".
    """
    # Of a uniform policy (three actions), at the lowest critic weight in the notes.
    largest_bias = critic_bias(LONG.episode_length, entropy=math.log(3), critic_weight=0.05)
    entries = {
        "theory.bias-long-lowest": number(largest_bias),
        "theory.floor-long-half": number(value_floor(0.5, LONG.num_trials), 2),
        "theory.floor-long-solved": number(value_floor(1.0, LONG.num_trials), 2),
        "theory.share": number(SHARE, 3),
        "theory.mean-60-uniform": number(mean_return(1 / 3, LONG.num_trials), 1),
    }
    for steps in (6, 15, 60):
        num_trials = steps // LONG.trial_length
        entries[f"theory.noise-{steps}"] = number(noise_weight(steps, LONG.trial_length), 1)
        entries[f"theory.mean-{steps}"] = number(mean_return(0.5, num_trials), 2)
    return entries


def _predictions() -> dict[str, Number]:
    """Predictions made before the runs (`paper/predictions.json`), and their tolerances.

    An edge is a critic weight at which success is half of its plateau (`pwm.analysis.edges`). The
    first set, at the file's top level, has lower edges of attached runs. `per-step` is such an edge
    over c T (c is 1 for a summed policy loss, 1/T for a mean); `first-mean` is one for a mean. The
    third set also has upper edges of detached runs (`upper`). `trend`, `second-error` and
    `third-error` are tolerances; `noise-constant` is the third set's factor on the noise weight.
    """
    first, third, law = predictions()["lower_edge"], predictions()["third"], fitted_law()
    entries = {
        "prediction.per-step": number(predictions()["lower_edge_per_step"], 3),
        "prediction.trend": number(TREND, 1),
        "prediction.second-error": number(SECOND_ERROR, 2),
        "prediction.third-error": number(THIRD_ERROR, 1),
        "prediction.noise-constant": number(law.noise_constant, 1),
        "prediction.first-mean": number(first["mean, 15 steps"], 2),
        "prediction.third-upper-45": number(third["upper_edge"]["steps 45"]),
        "prediction.third-upper-90": number(third["upper_edge"]["steps 90"]),
    }
    for steps in (6, 30, 120):
        entries[f"prediction.first-{steps}"] = number(first[f"steps {steps}"], 2)
    for length in (2, 4, 6):
        entries[f"prediction.first-trial-{length}"] = number(first[f"trial length {length}"], 2)
    for steps in (9, 24, 45):
        entries[f"prediction.third-{steps}"] = number(third["lower_edge"][f"steps {steps}"], 2)
    return entries


def _conversions() -> dict[str, Number]:
    """The paper's weights in libraries' units, and libraries' default weights in both units.

    Conversions are for updates on one episode of 60 steps. In the paper's units, which are the
    notes', the policy loss is a sum over steps and the value loss the mean squared error.
    """
    steps = LONG.episode_length  # per update
    squared = "stable-baselines3-a2c"  # its value loss is the mean squared error
    half = "cleanrl-ppo"  # its value loss is half the mean squared error
    entries = {
        "library.default-weight": number(CONVENTIONS[squared].weight, 1),
        "convert.notes-long-mse": number(convert_weight(NOTES_WEIGHT, steps, to=squared), 2),
        "convert.notes-long-half": number(convert_weight(NOTES_WEIGHT, steps, to=half), 2),
    }
    for library in QUOTED_LIBRARIES:
        default = CONVENTIONS[library].weight
        converted = convert_weight(default, steps, source=library, to="notes")
        entries |= {
            f"library.{library}-default": number(default, 1),
            f"library.{library}-here": number(converted),
            f"library.{library}-long": number(convert_weight(HEAVY, steps, to=library), 1),
        }
    return entries
