"""What became of the runs of an experiment, by the values of its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.grid import Experiment
from pwm.history import History
from pwm.plan import plan
from pwm.stats import final_mean, final_reward, final_value_loss, learned, times_to_learn
from pwm.store import Store
from pwm.task import TaskConfig
from pwm.train import TrainConfig

COLLAPSED = 1e-3  # nats, mean over steps: a policy that no longer explores


@dataclass(frozen=True)
class Outcomes:
    """Runs of an experiment; S seeds last, before them the axes in the experiment's order."""

    axes: Mapping[str, tuple[Any, ...]]
    base: TrainConfig
    learned: NDArray[np.bool_]
    reward: NDArray[np.float64]
    """Of the last 500 episodes, as the next three."""
    value_loss: NDArray[np.float64]
    entropy: NDArray[np.float64]
    critic_bias: NDArray[np.float64]
    collapsed: NDArray[np.bool_]
    """Whether the policy ends deterministic and the task is not learned."""
    collapse: NDArray[np.float64]
    """Episode by which the policy was first deterministic, whatever came later; inf if never."""
    time: NDArray[np.float64]
    """Episodes until the last 500 first met the criterion; inf if they never did."""
    courses: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """Of runs with diagnostics, all that was logged, by name, with a last axis of windows."""

    def at(self, **values: Any) -> Outcomes:
        """The runs with some axes at a value; `__` stands for a dot."""
        wanted = {name.replace("__", "."): value for name, value in values.items()}
        places = tuple(
            axis.index(wanted[name]) if name in wanted else slice(None)
            for name, axis in self.axes.items()
        )
        assert set(wanted) <= set(self.axes)
        axes = {name: axis for name, axis in self.axes.items() if name not in wanted}
        arrays = {name: getattr(self, name)[places] for name in ARRAYS}
        courses = {name: course[places] for name, course in self.courses.items()}
        return Outcomes(axes, self.base, **arrays, courses=courses)

    @property
    def weights(self) -> tuple[float, ...]:
        """Critic weights."""
        return self.axes["critic_weight"]

    def rate(self) -> NDArray[np.float64]:
        """Fraction of seeds that learned, by the axes left."""
        return np.asarray(self.learned.mean(axis=-1))


ARRAYS = (
    *("learned", "reward", "value_loss", "entropy"),
    *("critic_bias", "collapsed", "collapse", "time"),
)


def outcomes(experiment: Experiment, store: Store) -> Outcomes:
    """What became of an experiment's stored runs.

    Raises:
        InputError: a run is missing.
    """
    parts, courses = [], []
    for shard in plan(experiment):
        history = store.gather([shard])
        parts.append(_of_history(history, shard.setting.task))
        if history.diagnostics:
            courses.append(history.curves)
    shape = tuple(len(values) for values in experiment.axes.values())

    def joined(pieces: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
        whole = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        return {name: array.reshape(*shape, *array.shape[1:]) for name, array in whole.items()}

    return Outcomes(
        experiment.axes,
        experiment.base,
        **joined(parts),
        courses=joined(courses) if courses else {},
    )


def _of_history(history: History, task: TaskConfig) -> dict[str, NDArray[Any]]:
    success, times = learned(history, task), times_to_learn(history, task)
    entropy = final_mean(history, history.entropy)
    deterministic = history.entropy < COLLAPSED
    collapse = np.where(
        deterministic.any(axis=1), history.episode[deterministic.argmax(axis=1)], np.inf
    )
    with np.errstate(over="ignore"):
        return {
            "collapse": collapse,
            "learned": success,
            "reward": final_reward(history),
            "value_loss": final_value_loss(history),
            "entropy": entropy,
            "critic_bias": final_mean(history, history.critic_bias),
            "collapsed": (entropy < COLLAPSED) & ~success,
            "time": np.where(times.learned, times.episode, np.inf),
        }
