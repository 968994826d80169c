"""The training loop: feeds random draws to an engine, averages metrics and measures gradients.

The runs of a population differ only in seed, critic weight and learning rate. Shapes: R replicas,
E episodes, N trials, L steps per trial.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pwm.core.agent import Agent
from pwm.core.config import TrainConfig
from pwm.core.diagnostics import DIAGNOSTICS, Probe, Trajectory
from pwm.core.history import METRICS, History
from pwm.core.losses import LossConfig
from pwm.core.rollout import Draws, DrawSource
from pwm.core.task import trial_states
from pwm.core.update import one_thread

STATE = ("episodes_done", "parameters", "square_average", "tracked", "windows", "window_sum")
EPISODES_PER_DRAW = 64  # affects speed only


class Engine(Protocol):
    """Plays, differentiates and updates a population; see `pwm.core.update.TorchEngine`."""

    runs: tuple[TrainConfig, ...]
    parameters: Tensor  # (R, P), updated in place

    def train(self, draws: Draws) -> NDArray[np.float64]:
        """Trains on the draws of E episodes; returns their metrics, [E, metrics, R]."""

    def differentiate(
        self, draws: Draws, config: LossConfig, critic_weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], Trajectory]:
        """Differentiates one episode's total loss; returns the gradient, [R, P], and the steps."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Parameters and the optimiser's state, by name."""

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restores an earlier `state`."""


def as_population(runs: Sequence[TrainConfig]) -> tuple[TrainConfig, ...]:
    """The runs as a tuple, if they can be trained together.

    Raises:
        ValueError: no runs, or they differ in more than seed, critic weight and learning rate.
    """
    if len({run.shared for run in runs}) != 1:
        raise ValueError("runs of a population differ only in seed, weight and learning rate")
    return tuple(runs)


class Trainer:
    """Trains the population of an engine and records its history."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.runs = engine.runs
        self.parameters = engine.parameters  # (R, P)
        self.num_episodes = self.runs[0].num_episodes
        self.episodes_done = 0
        self._config = config = self.runs[0]
        seeds = [run.seed for run in self.runs]
        self._draws = DrawSource(config.task, seeds)
        self._probe_draws = DrawSource(config.task, seeds, of_probes=True)
        self._trunk = slice(Agent(config.agent, config.task.num_stimuli).trunk_size)
        self._critic_weights = np.array([run.critic_weight for run in self.runs], np.float32)
        self._names = METRICS + (DIAGNOSTICS if config.probe_episodes else ())
        self._windows: list[NDArray[np.float64]] = []  # finished, (names, R) each
        self._window_sum = np.zeros((len(METRICS), len(self.runs)))  # of the unfinished window

    def advance(self, num_episodes: int) -> None:
        """Trains for up to `num_episodes` more episodes."""
        last = min(self.episodes_done + num_episodes, self.num_episodes)
        with one_thread():
            while self.episodes_done < last:
                count = min(EPISODES_PER_DRAW, last - self.episodes_done)
                if self._config.probe_episodes:  # stop at the window's end, to probe there
                    log_every = self._config.log_every
                    count = min(count, log_every - self.episodes_done % log_every)
                self._log(self.engine.train(self._draws.next(count)))

    def history(self) -> History:
        """The history so far; an unfinished window is averaged over its episodes."""
        log_every = self._config.log_every
        episode = [log_every * (row + 1) for row in range(len(self._windows))]
        windows = list(self._windows)
        if pending := self.episodes_done % log_every:
            episode.append(self.episodes_done)
            unknown = np.full((len(self._names) - len(METRICS), len(self.runs)), np.nan)
            windows.append(np.concatenate([self._window_sum / pending, unknown]))
        curves = np.moveaxis(self._stacked(windows), 0, -1)  # (names, R, K)
        named = dict(zip(self._names, np.ascontiguousarray(curves, np.float32), strict=True))
        return History.of_curves(np.array(episode, np.int64), named)

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything needed to continue from here, by the names of `STATE`."""
        return {
            "episodes_done": np.array(self.episodes_done),
            **self.engine.state(),
            "windows": self._stacked(self._windows),
            "window_sum": self._window_sum.copy(),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restores the `state` of a trainer of the same runs; call before `advance`."""
        self.engine.restore(state)
        self._windows = list(state["windows"])
        self._window_sum = state["window_sum"].copy()
        self.episodes_done = int(state["episodes_done"])
        self._draws.skip(self.episodes_done)
        self._probe_draws.skip(len(self._windows) * self._config.probe_episodes)

    def probe(self, draws: Draws) -> NDArray[np.float64]:
        """Measures the gradients of episodes, without training on them.

        Args:
            draws: of at least two episodes, trials [E, R, N] and noise [E, R, N, L].
        Returns:
            The diagnostics named by `DIAGNOSTICS`: [diagnostics, R].
        """
        probe = Probe()
        for trials, noise in zip(draws.trials, draws.noise, strict=True):
            gradients = []
            for part in self.parts():
                gradient, trajectory = self.engine.differentiate(Draws(trials, noise), *part)
                gradients.append(gradient[:, self._trunk])
            probe.add(gradients, trajectory)  # all parts play the same episode
        if self._config.agent.carry_state or self._config.task.timeout:
            return probe.diagnostics(states=None)
        states = trial_states(self._config.task)[draws.trials.numpy()]  # (E, R, N, L)
        return probe.diagnostics(states.swapaxes(0, 1).reshape(len(self.runs), -1))

    def parts(self) -> Iterator[tuple[LossConfig, NDArray[np.float32]]]:
        """Yields losses and critic weights [R] that isolate the parts: policy, critic and leak."""
        loss, weights = self._config.loss, self._critic_weights
        yield replace(loss, lost_gradients="values"), weights  # policy
        others = replace(loss, lost_gradients="log_probs", entropy_weight=0.0)
        yield replace(others, baseline="detached"), weights  # critic
        yield others, np.zeros_like(weights)  # leak

    def _stacked(self, windows: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        # The shape is also right if there are no windows.
        return np.array(windows).reshape(len(windows), len(self._names), len(self.runs))

    def _log(self, metrics: NDArray[np.float64]) -> None:
        """Averages metrics [E, metrics, R] into windows, and probes at the end of each window."""
        log_every, probe_episodes = self._config.log_every, self._config.probe_episodes
        for row in metrics:
            self._window_sum += row
            self.episodes_done += 1
            if self.episodes_done % log_every == 0:
                window = self._window_sum / log_every
                if probe_episodes:
                    diagnostics = self.probe(self._probe_draws.next(probe_episodes))
                    window = np.concatenate([window, diagnostics])
                self._windows.append(window)
                self._window_sum = np.zeros_like(self._window_sum)
