"""What became of the runs of an experiment, by the values of its axes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pwm.grid import Experiment
from pwm.plan import plan
from pwm.stats import final_reward, final_value_loss, learned
from pwm.store import Store
from pwm.task import TaskConfig
from pwm.train import History, TrainConfig

COLLAPSED = 1e-3  # nats, mean over steps: a policy that no longer explores


@dataclass(frozen=True)
class Outcomes:
    """Runs of an experiment; S seeds last, before them the axes in the experiment's order."""

    axes: Mapping[str, tuple[Any, ...]]
    base: TrainConfig
    learned: NDArray[np.bool_]
    reward: NDArray[np.float64]
    """Of the last 500 episodes, as the next two."""
    value_loss: NDArray[np.float64]
    entropy: NDArray[np.float64]
    critic_bias: NDArray[np.float64]
    collapsed: NDArray[np.bool_]
    """Whether the policy ends deterministic and the task is not learned."""
    peak_value_loss: NDArray[np.float64]

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
        return Outcomes(axes, self.base, **arrays)

    @property
    def weights(self) -> tuple[float, ...]:
        """Critic weights."""
        return self.axes["critic_weight"]

    def rate(self) -> NDArray[np.float64]:
        """Fraction of seeds that learned, by the axes left."""
        return np.asarray(self.learned.mean(axis=-1))


ARRAYS = (
    *("learned", "reward", "value_loss", "entropy"),
    *("critic_bias", "collapsed", "peak_value_loss"),
)


def outcomes(experiment: Experiment, store: Store) -> Outcomes:
    """What became of an experiment's stored runs.

    Raises:
        InputError: a run is missing.
    """
    parts = [_of_history(store.gather([shard]), shard.setting.task) for shard in plan(experiment)]
    shape = tuple(len(values) for values in experiment.axes.values())
    arrays = {
        name: np.concatenate([part[name] for part in parts]).reshape(shape) for name in ARRAYS
    }
    return Outcomes(experiment.axes, experiment.base, **arrays)


def _of_history(history: History, task: TaskConfig) -> dict[str, NDArray[Any]]:
    final = history.episode > history.episode[-1] - 500
    success = learned(history, task)
    entropy = history.entropy[:, final].mean(axis=1).astype(np.float64)
    with np.errstate(over="ignore"):
        return {
            "learned": success,
            "reward": final_reward(history),
            "value_loss": final_value_loss(history),
            "entropy": entropy,
            "critic_bias": history.critic_bias[:, final].mean(axis=1).astype(np.float64),
            "collapsed": (entropy < COLLAPSED) & ~success,
            "peak_value_loss": history.value_loss.max(axis=1).astype(np.float64),
        }


def each(outcome: Outcomes, axis: str) -> Iterator[tuple[Any, Outcomes]]:
    """The runs at each value of an axis."""
    for value in outcome.axes[axis]:
        yield value, outcome.at(**{axis.replace(".", "__"): value})
