"""Numbers that the paper quotes and that no run decides: settings, closed forms, predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import linear_regression
from typing import Any

from pwm.analysis.conventions import CONVENTIONS, convert_weight, weight_of_library
from pwm.analysis.learning import FINAL_EPISODES, STANDARD_ERRORS, reward_to_learn
from pwm.analysis.theory import critic_bias, noise_weight, slowdown, value_floor
from pwm.core.agent import AgentConfig
from pwm.core.task import TaskConfig, reward_levels
from pwm.core.update import EPSILON, SMOOTHING
from pwm.experiments import EXPERIMENTS, WEIGHTS
from pwm.runs.experiment import Experiment

Number = Mapping[str, Any]
"""How a number is printed (`text`), and what it is (`value`)."""


def quoted() -> dict[str, Number]:
    """All of them by name."""
    long, short = TaskConfig(episode_length=60), TaskConfig(episode_length=15)
    levels = reward_levels("pwm5")
    base = EXPERIMENTS["eplen60"].base
    probed = EXPERIMENTS["gradients"].base
    first, law = predictions()["lower_edge"], predictions()["third"]

    def number(value: float, digits: int | str = 0) -> Number:
        text = digits if isinstance(digits, str) else f"{value:,.{digits}f}"
        return {"text": text, "value": value}

    numbers = {
        "compute.cores": number(2),
        "compute.time": {"text": "about 40 minutes"},
        "compute.runs": number(sum(item.num_runs for item in EXPERIMENTS.values())),
        "library.default-weight": number(CONVENTIONS["stable-baselines3-a2c"].default_weight, 1),
        "notes.exploded-value-loss": number(20_000),
        "notes.seeds-short": number(3, "three"),
        "notes.weights": {"text": "2, 3, 4 and 5"},
        "notes.weight-long": number(5),
        "notes.weight-lowest": number(0.05, 2),
        "notes.weight-short-least": number(2),
        "notes.weight-short-most": number(5),
        "setting.confidence": number(0.95, "95%"),
        "setting.seeds": number(len(EXPERIMENTS["eplen15"].axes["seed"])),
        "setting.seeds-answer": number(len(EXPERIMENTS["mean"].axes["seed"])),
        "setting.episode-long": number(long.episode_length),
        "setting.episode-short": number(short.episode_length),
        "setting.episode-least": number(6),
        "setting.episode-most": number(120),
        "setting.trials-long": number(long.num_trials),
        "setting.trials-short": number(short.num_trials),
        "setting.episodes-long": number(base.num_episodes),
        "setting.episodes-short": number(EXPERIMENTS["eplen15"].base.num_episodes),
        "setting.episodes-slow": number(EXPERIMENTS["weight-0.001"].base.num_episodes),
        "setting.episodes-more": number(EXPERIMENTS["budget-lower"].base.num_episodes),
        "setting.final-episodes": number(FINAL_EPISODES),
        "setting.epsilon": number(EPSILON, "10⁻⁸"),
        "setting.smoothing": number(SMOOTHING, 2),
        "setting.learning-rate": number(base.learning_rate, 3),
        "setting.learning-rate-slow": number(0.001, 3),
        "setting.hidden-size": number(AgentConfig().hidden_size),
        "setting.pairs": number(long.num_pairs),
        "setting.trial-length": number(long.trial_length),
        "setting.standard-errors": number(STANDARD_ERRORS, "four"),
        "criterion.long": number(reward_to_learn(long, FINAL_EPISODES), 3),
        "criterion.short": number(reward_to_learn(short, FINAL_EPISODES), 3),
        "task.uniform": number(levels.uniform, "1/3"),
        "task.one-sided": number(levels.one_sided, 1),
        "task.memoryless": number(levels.memoryless, 3),
        "task.solved": number(levels.solved),
        "theory.bias-long-lowest": number(critic_bias(60, math.log(3), 0.05)),
        "prediction.noise-constant": number(law["noise_constant"], 1),
        "prediction.share-weight": number(law["share_weight"]),
        "prediction.third-error": number(0.1, 1),
        "setting.five": number(5),
        "setting.learning-rate-between": number(EXPERIMENTS["held-out"].base.learning_rate, 3),
        "theory.exponent-sharing": number(_sharing_exponent(law["share_weight"]), 2),
        "prediction.trend": number(0.3, 1),
        "prediction.second-error": number(0.15, 2),
        "prediction.third-upper-45": number(law["upper_edge"]["steps 45"]),
        "prediction.third-upper-90": number(law["upper_edge"]["steps 90"]),
        "setting.episode-middle": number(30),
        "setting.probe-episodes": number(probed.probe_episodes),
        "setting.probe-every": number(probed.log_every),
        "prediction.per-step": number(predictions()["lower_edge_per_step"], 3),
    }
    for name, steps in (("long", 60), ("short", 15)):
        half, solved = (value_floor(success, steps // 3) for success in (0.5, 1.0))
        numbers[f"theory.floor-{name}-half"] = number(half, 2)
        numbers[f"theory.floor-{name}-solved"] = number(solved, 2)
        default = weight_of_library(0.5, steps, library="stable-baselines3-a2c")
        numbers[f"convert.library-{name}-sum"] = number(default, "7.5" if steps == 15 else 0)
    for steps in (6, 15, 30, 60, 120):
        numbers[f"setting.steps-{steps}"] = number(steps)
        if steps != 30:
            numbers[f"theory.noise-{steps}"] = number(noise_weight(steps, 3), 1)
        if steps <= 30:
            best = law["noise_constant"] * noise_weight(steps, 3)
            numbers[f"theory.best-{steps}"] = number(best, 1)
    for length in (2, 4, 6):
        best = law["noise_constant"] * noise_weight(5 * length, length)
        numbers[f"theory.best-trial-{length}"] = number(best, 1)
        edge = first[f"trial length {length}"]
        numbers[f"prediction.first-trial-{length}"] = number(edge, 2)
    for steps in (6, 30, 120):
        numbers[f"prediction.first-{steps}"] = number(first[f"steps {steps}"], 2)
    numbers["prediction.first-mean"] = number(first["mean, 15 steps"], 2)
    for steps in EXPERIMENTS["held-out"].axes["episode_length"]:
        numbers[f"setting.held-out-{steps}"] = number(steps)
    for steps in (9, 24, 45):
        edge = law["lower_edge"][f"steps {steps}"]
        numbers[f"prediction.third-{steps}"] = number(edge, 2)
    for experiment in EXPERIMENTS.values():
        numbers[f"experiment.{experiment.name}"] = {"text": _described(experiment)}
    for name, weight, steps in (("long", 5, 60), ("short", 2, 15), ("short-most", 5, 15)):
        for factor, library in (("mse", "stable-baselines3-a2c"), ("half", "cleanrl-ppo")):
            converted = convert_weight(weight, steps, to=library)
            numbers[f"convert.notes-{name}-{factor}"] = number(converted, 2)
    return numbers


AXES = {
    "episode_length": "steps",
    "stimulus_set": "tasks",
    "timeout": "timeouts",
    "hidden_size": "units",
    "baseline": "baselines",
    "entropy_weight": "weights of the bonus",
    "optimism": "biases by hand",
    "lost_gradients": "kinds of loss",
    "critic_weight": "weights",
    "learning_rate": "learning rates",
    "seed": "seeds",
}
"""What the values of an axis are called."""
LISTED = 5  # values of an axis; of more, the ends


def _described(experiment: Experiment) -> str:
    """An experiment in a line: what is varied, and what is fixed."""
    base, varied = experiment.base, []
    for field, values in experiment.axes.items():
        many = len(values) > LISTED
        shown = f"{len(values)}" if field == "seed" or many else ""
        if field != "seed":
            ends = [str(value).replace("_", " ") for value in (values[0], values[-1])]
            span = f" from {ends[0]} to {ends[1]}" if many else ""
            listed = ", ".join(str(value).replace("_", " ") for value in values)
            shown += f" {AXES[field]}{span}" if many else f"{AXES[field]} {listed}"
            varied.append(shown.strip())
        else:
            varied.append(f"{shown} {AXES[field]}")
    fixed = [f"{base.num_episodes:,} episodes"]
    if "episode_length" not in experiment.axes:
        fixed.append(f"{base.task.episode_length} steps")
    if "learning_rate" not in experiment.axes:
        fixed.append(f"learning rate {base.learning_rate:g}")
    return "; ".join([*varied, *fixed])


def _sharing_exponent(share: float) -> float:
    """Slope of the logarithm of the slowdown by a heavy critic against that of its weight."""
    weights = [weight for weight in WEIGHTS if weight >= 5]
    return linear_regression(
        [math.log(weight) for weight in weights],
        [math.log(slowdown(critic=weight / share)) for weight in weights],
    ).slope
