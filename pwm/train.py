"""The update loop. `python -m pwm.train` trains the notes' setting; `--help` lists the rest.

A population is a sequence of runs that differ in seed, critic weight and learning rate
alone. A single run is a population of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pwm.agent import Agent, AgentConfig
from pwm.errors import InputError, require, require_finite, require_integer
from pwm.history import METRICS, History
from pwm.losses import LossConfig, Losses, discounted_returns, episode_losses
from pwm.optim import RMSprop
from pwm.probe import DIAGNOSTICS, Probe, Steps
from pwm.rollout import Draws, DrawSource, Episode, Rollout
from pwm.task import TaskConfig, trial_states

STATE = ("episodes_done", "parameters", "square_average", "windows", "window_sum")
SEMANTICS = 1  # raised by a change to the core that changes histories
DEVICES = ("cpu", "cuda", "mps")
DRAWN_AT_ONCE = 64  # episodes; how many does not change what is drawn


@dataclass(frozen=True)
class TrainConfig:
    """One run, complete: everything that decides its history."""

    task: TaskConfig = field(default_factory=TaskConfig)
    agent: AgentConfig = field(default_factory=AgentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    critic_weight: float = 5.0
    """Weight of the value loss (mean over steps) beside the policy loss (sum over steps)."""
    learning_rate: float = 0.005
    """Learning rate of RMSprop."""
    num_episodes: int = 10_000
    """Episodes, each followed by one update."""
    log_every: int = 10
    """Episodes a window; the history holds the average over each."""
    probe_episodes: int = 0
    """Episodes played at the end of each window to diagnose the gradients, none of which trains:
    0 for no diagnosis, or 2 and more."""
    seed: int = 0
    """Decides initial parameters, trials and action noise."""

    def __post_init__(self) -> None:
        require_finite("critic_weight", self.critic_weight)
        require_finite("learning_rate", self.learning_rate, above_zero=True)
        require_integer("num_episodes", self.num_episodes, 1)
        require_integer("log_every", self.log_every, 1)
        require_integer("probe_episodes", self.probe_episodes, 0)
        can_be = self.probe_episodes > 1 and self.loss.lost_gradients == "none"
        accepted = "0, or 2 and more where no gradients are lost"
        require(can_be or not self.probe_episodes, "probe_episodes", self.probe_episodes, accepted)
        require_integer("seed", self.seed, 0)

    @property
    def shape(self) -> TrainConfig:
        """The run with what may differ within a population set to one value."""
        return replace(self, critic_weight=0.0, learning_rate=1.0, seed=0)


class Trace(NamedTuple):
    """What one update leaves for the log; with a leading axis more, what many leave."""

    rewards: Tensor  # (R, N)
    value_loss: Tensor  # (R,)
    policy_loss: Tensor  # (R,)
    entropies: Tensor  # (R, T)
    advantages: Tensor  # (R, T)


class Trainer:
    """Trains a population, as far as it is told to.

    Args:
        runs: R runs that differ in seed, critic weight and learning rate alone.
        device: where to train.
    Raises:
        ValueError: there is no run, or the runs cannot share a population.
        InputError: the device is not there.
    """

    def __init__(self, runs: Sequence[TrainConfig], device: str = "cpu") -> None:
        if len({run.shape for run in runs}) != 1:
            raise ValueError("runs of a population differ in seed, weight and learning rate alone")
        self.runs = tuple(runs)
        self.episodes_done = 0
        self._device = checked_device(device)
        shared = runs[0]
        seeds = tuple(run.seed for run in runs)
        agent = Agent(shared.agent, shared.task.num_stimuli, self._device)
        self._rollout = Rollout(shared.task, agent, self._device)
        self._draws = DrawSource(shared.task, seeds)
        self._probe_draws = DrawSource(shared.task, seeds, of_probes=True)
        self._trunk = slice(agent.trunk_size)
        self.parameters = agent.initial_parameters(seeds).to(self._device).requires_grad_()
        self._critic_weights = torch.tensor([run.critic_weight for run in runs]).to(self._device)
        learning_rates = torch.tensor([run.learning_rate for run in runs])
        self._optimiser = RMSprop(self.parameters, learning_rates.to(self._device))
        self._ones = torch.ones(len(runs), device=self._device)
        self._window_sum = np.zeros((len(METRICS), len(runs)))  # of the unfinished window
        self._windows: list[NDArray[np.float64]] = []  # past ones, (metrics + diagnostics, R) each

    @property
    def num_episodes(self) -> int:
        """Episodes that the runs ask for."""
        return self.runs[0].num_episodes

    def advance(self, num_episodes: int) -> None:
        """Trains for that many more episodes, or for as many as are left."""
        last = min(self.episodes_done + num_episodes, self.num_episodes)
        with one_thread():
            while self.episodes_done < last:
                count = min(DRAWN_AT_ONCE, last - self.episodes_done)
                if self.runs[0].probe_episodes:  # at the end of a window, not later
                    log_every = self.runs[0].log_every
                    count = min(count, log_every - self.episodes_done % log_every)
                self._log(self._train(self._draws.next(count, self._device)))

    def history(self) -> History:
        """What was logged so far; an unfinished window is averaged over what it has."""
        log_every = self.runs[0].log_every
        episode = [log_every * (row + 1) for row in range(len(self._windows))]
        windows = list(self._windows)
        if unlogged := self.episodes_done % log_every:
            episode.append(self.episodes_done)
            unknown = np.full((len(self._names) - len(METRICS), len(self.runs)), np.nan)
            windows.append(np.concatenate([self._window_sum / unlogged, unknown]))
        curves = np.moveaxis(self._stacked(windows), 0, -1)
        return History.of_curves(
            np.array(episode, np.int64),
            dict(zip(self._names, np.ascontiguousarray(curves, np.float32), strict=True)),
        )

    @property
    def _names(self) -> tuple[str, ...]:
        """Of what is logged."""
        return METRICS + (DIAGNOSTICS if self.runs[0].probe_episodes else ())

    def _stacked(self, windows: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.array(windows).reshape(len(windows), len(self._names), len(self.runs))

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that is needed to go on from here, by name."""
        return {
            "episodes_done": np.array(self.episodes_done),
            "parameters": self.parameters.detach().cpu().numpy().copy(),
            "square_average": self._optimiser.square_average.cpu().numpy().copy(),
            "windows": self._stacked(self._windows),
            "window_sum": self._window_sum.copy(),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Goes to where `state` was taken; what follows is bit for bit what it was.

        Args:
            state: of a trainer of the same runs. This one must not have trained yet.
        """
        with torch.no_grad():
            self.parameters.copy_(torch.from_numpy(state["parameters"]))
        self._optimiser.square_average.copy_(torch.from_numpy(state["square_average"]))
        self._windows = list(state["windows"])
        self._window_sum = state["window_sum"].copy()
        self.episodes_done = int(state["episodes_done"])
        self._draws.skip(self.episodes_done)
        self._probe_draws.skip(len(self._windows) * self.runs[0].probe_episodes)

    def _train(self, draws: Draws) -> NDArray[np.float64]:
        """Trains for the episodes E of the draws; the metrics of each, [E, metrics, R]."""
        return _metrics(
            [
                self._update(Draws(trials, noise))
                for trials, noise in zip(draws.trials, draws.noise, strict=True)
            ]
        )

    def _update(self, draws: Draws) -> Trace:
        episode, returns, losses = self._play(draws, self.runs[0].loss, self._critic_weights)
        self._optimiser.step(self._gradient(losses))
        advantages = returns - episode.values.flatten(1)
        entropies = episode.entropies.flatten(1)
        return Trace(episode.decision_rewards, losses.value, losses.policy, entropies, advantages)

    def _play(
        self, draws: Draws, config: LossConfig, critic_weights: Tensor
    ) -> tuple[Episode, Tensor, Losses]:
        """Plays an episode; with its returns [R, T] and losses."""
        episode = self._rollout.play(self.parameters, draws)
        returns = discounted_returns(episode.rewards.flatten(1), config.discount)
        losses = episode_losses(
            episode.log_probs.flatten(1),
            episode.entropies.flatten(1),
            returns - episode.values.flatten(1),
            critic_weights,
            config,
            head_advantages=returns - episode.head_values.flatten(1),
        )
        return episode, returns, losses

    def _gradient(self, losses: Losses) -> Tensor:
        """The gradient of the total loss by the parameters, [R, P]."""
        # Replicas are independent: the gradient of their sum is the gradient of each.
        (gradient,) = torch.autograd.grad(losses.total, self.parameters, self._ones)
        return gradient

    def _differentiate(
        self, draws: Draws, config: LossConfig, critic_weights: Tensor
    ) -> tuple[NDArray[np.float32], Steps]:
        """The gradient of one episode by the parameters [R, P], and its steps; trains nothing."""
        episode, returns, losses = self._play(draws, config, critic_weights)
        gradient = self._gradient(losses).cpu().numpy()
        steps = (episode.log_probs.flatten(1), episode.values.flatten(1), returns)
        return gradient, Steps(*(part.detach().cpu().numpy() for part in steps))

    def _log(self, metrics: NDArray[np.float64]) -> None:
        """Averages the episodes' metrics [E, metrics, R] into windows."""
        for row in metrics:
            self._window_sum += row
            self.episodes_done += 1
            if self.episodes_done % self.runs[0].log_every == 0:
                mean = self._window_sum / self.runs[0].log_every
                diagnostics = self._diagnose() if self.runs[0].probe_episodes else mean[:0]
                self._windows.append(np.concatenate([mean, diagnostics]))
                self._window_sum = np.zeros_like(self._window_sum)

    def _diagnose(self) -> NDArray[np.float64]:
        """Plays episodes that do not train, and says what `DIAGNOSTICS` names: [diagnostics, R]."""
        run = self.runs[0]
        remembers = run.agent.carry_state or run.task.timeout
        probe = Probe(None if remembers else trial_states(run.task))
        draws = self._probe_draws.next(run.probe_episodes, self._device)
        for trials, noise in zip(draws.trials, draws.noise, strict=True):
            gradients = []
            for config, critic_weights in self._parts():
                gradient, steps = self._differentiate(Draws(trials, noise), config, critic_weights)
                gradients.append(gradient[:, self._trunk])
            probe.add(gradients, trials.cpu().numpy(), steps)
        return probe.diagnostics()

    def _parts(self) -> Iterator[tuple[LossConfig, Tensor]]:
        """Losses and weights whose gradients are the policy's, the critic's and the leak's part.

        What loses its gradient leaves the others' alone.
        """
        loss, weights = self.runs[0].loss, self._critic_weights
        yield replace(loss, lost_gradients="values"), weights
        others = replace(loss, lost_gradients="log_probs", entropy_weight=0.0)
        yield replace(others, baseline="detached"), weights
        yield others, torch.zeros_like(weights)


@torch.no_grad()
def _metrics(traces: list[Trace]) -> NDArray[np.float64]:
    """The metrics of some episodes E, in the order of `METRICS`: [E, metrics, R]."""
    trace = Trace(*(torch.stack(pieces) for pieces in zip(*traces, strict=True)))
    metrics = torch.stack(
        [
            trace.rewards.mean(dim=-1),
            trace.value_loss,
            trace.policy_loss,
            trace.entropies.mean(dim=-1),
            -trace.advantages.mean(dim=-1),
        ],
        dim=1,
    )
    return metrics.cpu().numpy().astype(np.float64)


def train(runs: Sequence[TrainConfig], device: str = "cpu") -> History:
    """Trains a population to its end; see `Trainer`."""
    trainer = Trainer(runs, device)
    trainer.advance(trainer.num_episodes)
    return trainer.history()


def checked_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        InputError: there is no such device here.
    """
    accepted = "cpu" + (", cuda" if torch.cuda.is_available() else "; no other is here")
    try:
        device = torch.device(name)
        require(device.type in DEVICES, "device", name, accepted)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError("device", name, accepted) from error
    return device


@contextmanager
def one_thread() -> Iterator[None]:
    """Runs PyTorch on one thread.

    At these sizes that is as fast, and how work is split over threads would decide how it is
    rounded. Cores are used by training populations side by side.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    from pwm.command import train_command

    train_command()
