"""The training loop: feeds random draws to an engine, averages metrics and probes the agents.

The runs of a population differ only in seed, critic weight and learning rate. Shapes: R replicas,
E episodes, N trials, L steps per trial, T = N L steps per episode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pwm.core.rollout import Draws
from pwm.training.config import TrainConfig
from pwm.training.diagnostics import AgentProbe, GradientProbe, Trajectory, trial_states
from pwm.training.draws import DrawSource
from pwm.training.history import AGENT_DIAGNOSTICS, DIAGNOSTICS, METRICS, History
from pwm.training.loss_config import LossConfig
from pwm.training.parameters import Layout
from pwm.training.update import one_thread

STATE = ("episodes_done", "parameters", "square_average", "tracked", "windows", "window_sum")
"""Names of the arrays in every `Trainer.state`."""
PROBES = "probes"  # a further array, in runs with `probe_at`
OF_ADAM = ("average", "decay_powers")  # further arrays, in runs with Adam
OPTIONAL = ((PROBES,), OF_ADAM, (PROBES, *OF_ADAM))
"""Groups of further arrays; a state has all arrays of one group, or no further arrays."""
EPISODES_PER_DRAW = 64  # most episodes drawn at once, unless an update has more; affects speed only


class Engine(Protocol):
    """Plays, differentiates and updates a population; see `pwm.training.update.TorchEngine`."""

    runs: tuple[TrainConfig, ...]
    parameters: Tensor  # (R, P), updated in place

    def train(self, draws: Draws) -> NDArray[np.float64]:
        """Trains on E episodes, a whole number of updates; returns metrics, [E, metrics, R]."""

    def differentiate(
        self, draws: Draws, config: LossConfig, critic_weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], Trajectory]:
        """Plays one episode; returns its total loss's gradient, [R, P], and its trajectory.

        The total loss has the settings `config`, which are the runs' own or the same with further
        gradients cut, and the weights `critic_weights`, [R]. Nothing is trained.
        """

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of parameters, optimiser state and running statistics, by name: [R, ...] each."""

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restores an earlier `state`, of either engine; ignores a trainer's other arrays."""


def as_population(runs: Sequence[TrainConfig]) -> tuple[TrainConfig, ...]:
    """Returns the runs as a tuple, after a check that they can be trained together.

    Raises:
        ValueError: there are no runs, or they differ in fields other than seed, critic weight and
            learning rate.
    """
    if len({run.shared for run in runs}) != 1:
        raise ValueError("runs of a population differ only in seed, weight and learning rate")
    return tuple(runs)


class Trainer:
    """Trains a population and records its history.

    Args:
        engine: engine that holds the population, which has not been trained yet.
    """

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
        self._layout = Layout(config.agent, config.task.num_stimuli)
        self._critic_weights = np.array([run.critic_weight for run in self.runs], np.float32)
        # Training episodes before each probe: `probe_at`, or the ends of windows.
        self._probes_at_window_ends = config.probe_episodes > 0 and not config.probe_at
        self._probe_times: Sequence[int] = config.probe_at
        self._probe_names: tuple[str, ...] = DIAGNOSTICS + AGENT_DIAGNOSTICS
        if self._probes_at_window_ends:
            self._probe_times = range(config.log_every, self.num_episodes + 1, config.log_every)
            self._probe_names = DIAGNOSTICS
        self._windows: list[NDArray[np.float64]] = []  # finished windows, (metrics, R) each
        self._probes: list[NDArray[np.float64]] = []  # (diagnostics, R) each
        # Sum of the metrics over the episodes of the unfinished window.
        self._window_sum = np.zeros((len(METRICS), len(self.runs)))

    def advance(self, num_episodes: int) -> None:
        """Trains for `num_episodes` more, rounded up to whole updates, at most to the run's end."""
        batch = self._config.episodes_per_update
        remaining = self.num_episodes - self.episodes_done  # a multiple of the batch
        last = self.episodes_done + ceil(min(num_episodes, remaining) / batch) * batch
        updates_per_draw = max(EPISODES_PER_DRAW // batch, 1)
        with one_thread():
            self._probe_if_due()  # for a probe at 0, before training
            while self.episodes_done < last:
                stop = min([last, *self._remaining_probes()[:1]])  # the end, or the next probe
                count = min(updates_per_draw * batch, stop - self.episodes_done)
                self._log(self.engine.train(self._draws.next(count)))
                self._probe_if_due()

    def history(self) -> History:
        """The history so far; an unfinished window is averaged over its episodes so far."""
        log_every, probe_at = self._config.log_every, self._config.probe_at
        windows, probes = list(self._windows), list(self._probes)
        episode = [log_every * (window + 1) for window in range(len(windows))]  # last of each
        num_unfinished = self.episodes_done % log_every  # episodes in the unfinished window
        if num_unfinished:
            episode.append(self.episodes_done)
            windows.append(self._window_sum / num_unfinished)
            if self._probes_at_window_ends:
                probes.append(np.full((len(DIAGNOSTICS), len(self.runs)), np.nan))  # not probed
        curves = self._curves(windows, METRICS)
        if self._config.probe_episodes:
            curves |= self._curves(probes, self._probe_names)
        probe_episode = np.array(probe_at[: len(probes)], np.int64) if probe_at else None
        return History.of_curves(np.array(episode, np.int64), curves, probe_episode)

    def state(self) -> dict[str, NDArray[Any]]:
        """All arrays needed to continue from here, by name (`STATE` and `OPTIONAL`).

        `windows` is [windows, metrics, R]. If windows end with a probe, its diagnostics follow the
        metrics, on the same axis. Probes of `probe_at` are [probes, diagnostics, R].
        """
        windows = self._stacked(self._windows, METRICS)
        probes = self._stacked(self._probes, self._probe_names)
        if self._probes_at_window_ends:
            windows = np.concatenate([windows, probes], axis=1)
        state = {
            "episodes_done": np.array(self.episodes_done),
            **self.engine.state(),
            "windows": windows,
            "window_sum": self._window_sum.copy(),
        }
        if self._config.probe_at:
            state[PROBES] = probes
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restores the `state` of a trainer of the same runs, whatever their length.

        This trainer must be new, and its runs not shorter than the episodes done.
        """
        self.engine.restore(state)
        metrics, diagnostics = np.split(state["windows"], [len(METRICS)], axis=1)
        self._windows = list(metrics)
        self._probes = list(diagnostics if self._probes_at_window_ends else state.get(PROBES, ()))
        self._window_sum = state["window_sum"].copy()
        self.episodes_done = int(state["episodes_done"])
        self._draws.skip(self.episodes_done)
        self._probe_draws.skip(len(self._probes) * self._config.probe_episodes)

    @one_thread()
    def probe(self, draws: Draws) -> NDArray[np.float64]:
        """Measures gradients, hidden states and the critic on episodes that are not trained on.

        Args:
            draws: draws for at least two episodes: trials [E, R, N] and noise [E, R, N, L].
        Returns:
            The diagnostics that `DIAGNOSTICS` names and, unless the runs are probed at the ends of
            windows, those that `AGENT_DIAGNOSTICS` names: [diagnostics, R].
        """
        gradient_probe = GradientProbe()
        agent_probe = AgentProbe(self._config, self._critic_weights)
        for episode in map(Draws, draws.trials, draws.noise):
            gradients = []
            for loss, weights in self.parts():
                # The trajectory is the same for all parts.
                gradient, trajectory = self.engine.differentiate(episode, loss, weights)
                gradients.append(gradient[:, : self._layout.trunk_size])
            gradient_probe.add(gradients, trajectory)
            if not self._probes_at_window_ends:
                agent_probe.add(trajectory, episode.trials.numpy())
        gradient_diagnostics = gradient_probe.diagnostics(self._states(draws.trials.numpy()))
        if self._probes_at_window_ends:
            return gradient_diagnostics
        value_weights, _ = self._layout.value_head(self.parameters.detach().cpu())
        agent_diagnostics = agent_probe.diagnostics(value_weights.numpy())
        return np.concatenate([gradient_diagnostics, agent_diagnostics])

    def parts(self) -> Iterator[tuple[LossConfig, NDArray[np.float32]]]:
        """Yields losses and critic weights, [R], that isolate each part of the total gradient.

        The parts are the policy's, the critic's and the leak, as in `pwm.training.diagnostics`.
        Rules of balance that scale errors or weights apply; those that combine gradients do not.
        """
        loss, weights = self._config.loss, self._critic_weights
        # The policy's: no gradients pass through the values.
        yield replace(loss, lost_gradients="values"), weights
        # The critic's: gradients pass through the values alone, and only from the value loss.
        through_values = replace(loss, lost_gradients="log_probs", entropy_weight=0.0)
        yield replace(through_values, baseline="detached", leaking_targets=False), weights
        # The leak: the value loss has weight 0, so gradients come from the policy loss alone.
        yield through_values, np.zeros_like(weights)

    def _states(self, trials: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """State of the trial at each step, [R, E T], from each trial's pair, [E, R, N].

        None if the LSTM's state is carried over trials or trials may be blanked.
        """
        if self._config.agent.carry_state or self._config.task.timeout:
            return None
        states = trial_states(self._config.task)[trials]  # (E, R, N, L)
        return states.swapaxes(0, 1).reshape(len(self.runs), -1)  # (R, E N L)

    def _stacked(
        self, rows: Sequence[NDArray[np.float64]], names: Sequence[str]
    ) -> NDArray[np.float64]:
        """Stacks rows, [names, R] each, into one array [rows, names, R]; there may be no rows."""
        return np.array(rows).reshape(len(rows), len(names), len(self.runs))

    def _curves(
        self, rows: Sequence[NDArray[np.float64]], names: Sequence[str]
    ) -> dict[str, NDArray[np.float32]]:
        """Curves by name, [R, rows] each, from one row [names, R] per window or probe."""
        curves = np.moveaxis(self._stacked(rows, names), 0, -1)  # (names, R, rows)
        return dict(zip(names, np.ascontiguousarray(curves, np.float32), strict=True))

    def _remaining_probes(self) -> Sequence[int]:
        """Episodes after which the remaining probes are due."""
        return self._probe_times[len(self._probes) :]

    def _probe_if_due(self) -> None:
        """Probes the agents if a probe is due now."""
        if self.episodes_done in self._remaining_probes():
            draws = self._probe_draws.next(self._config.probe_episodes)
            self._probes.append(self.probe(draws))

    def _log(self, metrics: NDArray[np.float64]) -> None:
        """Counts episodes as done, adds their metrics, [E, metrics, R], and closes full windows."""
        for episode_metrics in metrics:
            self._window_sum += episode_metrics
            self.episodes_done += 1
            if self.episodes_done % self._config.log_every == 0:
                self._windows.append(self._window_sum / self._config.log_every)
                self._window_sum = np.zeros_like(self._window_sum)
