"""A small experiment, and executors that stand in for processes, for tests of sweeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from typing import Any, NoReturn

from pwm.core.agent import AgentConfig
from pwm.core.task import TaskConfig
from pwm.runs.experiment import Experiment
from pwm.runs.scheduler import Pool
from pwm.runs.shards import Shard
from pwm.runs.worker import train_shards
from pwm.training.config import TrainConfig

TINY = Experiment(
    name="tiny",
    about="a grid of the tests",
    base=TrainConfig(
        task=TaskConfig(episode_length=6),
        agent=AgentConfig(hidden_size=3),
        num_episodes=60,
        log_every=20,
    ),
    axes={"critic_weight": (2.0, 3.0), "seed": range(3)},
)


def experiment(axes: Mapping[str, Sequence[Any]], base: TrainConfig = TINY.base) -> Experiment:
    """An experiment with the given axes; `base` gives all other fields."""
    return Experiment(name="mine", base=base, axes=axes)


def threads(workers: int) -> Pool:
    """Returns a function that makes pools of threads, which start faster than processes."""
    return lambda _tasks: ThreadPoolExecutor(workers)


def no_pool(_tasks: int) -> NoReturn:
    """Fails in place of making a pool, for sweeps that should not train anything."""
    raise AssertionError("the sweep trains something")


class Watched(Executor):
    """Executor that calls `train_shards` on submission, and records the shards of each call.

    Args:
        submits: number of calls that it accepts before it breaks.
        trains: number of calls that it runs before it breaks.
    """

    def __init__(self, *, submits: int = 10**9, trains: int = 10**9) -> None:
        self.tasks: list[list[Shard]] = []  # shards of each call
        self._submits = submits
        self._trains = trains

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Calls the function; the future is done, or failed if the executor has broken."""
        if len(self.tasks) == self._submits:
            raise BrokenExecutor("died before it began")
        assert function is train_shards
        self.tasks.append(list(args[0]))
        future: Future[Any] = Future()
        if len(self.tasks) > self._trains:
            future.set_exception(BrokenExecutor("died"))
        else:
            future.set_result(function(*args, **kwargs))
        return future


class Pools:
    """Stand-in for a function that makes pools: returns each executor once, then the last."""

    def __init__(self, *executors: Watched) -> None:
        self.asked: list[int] = []  # number of tasks in each call
        self._executors = executors

    def __call__(self, tasks: int) -> Watched:
        self.asked.append(tasks)
        assert len(self.asked) < 20, "the sweep makes no progress"
        return self._executors[min(len(self.asked), len(self._executors)) - 1]
