"""The configuration of one run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from pwm.core.agent import AgentConfig
from pwm.core.errors import (
    LARGEST,
    is_number,
    require,
    require_between,
    require_choice,
    require_integer,
    require_non_negative,
    require_positive,
)
from pwm.core.task import TaskConfig
from pwm.training.loss_config import LossConfig

OptimizerName = Literal["rmsprop", "adam", "sgd"]
MOST_DECAY = 0.999999  # it must not round to 1 as a float32
SEMANTICS = 1
"""Version of the training code, to be raised when a change alters histories. It is in the
keys of stored runs, so runs of other versions are not used (`pwm.runs.shards`)."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The settings of one run. The defaults are the notes' setting."""

    task: TaskConfig = field(default_factory=TaskConfig)
    agent: AgentConfig = field(default_factory=AgentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    critic_weight: float = 5.0
    """Weight of the value loss (a mean over steps) relative to the policy loss."""
    learning_rate: float = 0.005
    """Learning rate of the optimiser."""
    trunk_rate: float = 1.0
    """Learning rate of the trunk (the LSTMs), as a multiple of `learning_rate`."""
    optimizer: OptimizerName = "rmsprop"
    """Optimiser: RMSprop, Adam, or SGD without momentum; equal to PyTorch's."""
    square_decay: float = 0.99
    """Decay per update of the gradient's mean square: RMSprop's smoothing, Adam's β₂."""
    momentum_decay: float = 0.9
    """Decay per update of Adam's mean gradient: β₁."""
    epsilon: float = 1e-8
    """Number added to the root of the mean square in the denominator of RMSprop and Adam."""
    num_episodes: int = 10_000
    """Episodes to train for; a multiple of `episodes_per_update`."""
    episodes_per_update: int = 1
    """Episodes played before each update, which averages their losses."""
    log_every: int = 10
    """Episodes per window of the history, which holds averages over windows."""
    probe_episodes: int = 0
    """Episodes played at the end of each window to measure gradients, without training on them: 0
    for no diagnostics, or at least 2 (not with lost gradients: probes cut gradients themselves)."""
    probe_at: tuple[int, ...] = ()
    """Numbers of training episodes after which to probe, instead of at the ends of windows; 0 is
    before training. Such probes also measure the hidden states and the critic."""
    critic_start: float | Literal["mean", "fixed-point"] = 0.0
    """Number added to the value head's initial bias; or mean, the mean return of a policy that
    guesses left or right (0 if `returns` are not raw); or fixed-point, mean + the leak's bias."""
    seed: int = 0
    """Determines the initial parameters, the trials and the action noise."""

    def __post_init__(self) -> None:
        require_non_negative("critic_weight", self.critic_weight)
        require_positive("learning_rate", self.learning_rate)
        require_positive("trunk_rate", self.trunk_rate)
        require_choice("optimizer", self.optimizer, get_args(OptimizerName))
        require_between("square_decay", self.square_decay, 0, MOST_DECAY)
        require_between("momentum_decay", self.momentum_decay, 0, MOST_DECAY)
        require_between("epsilon", self.epsilon, 1 / LARGEST, LARGEST)  # steps divide by it
        if self.loss.balance == "uncertainty":
            accepted = "rmsprop with uncertainty, a rule whose weight is learned by RMSprop"
            require(self.optimizer == "rmsprop", "optimizer", self.optimizer, accepted)
        require_integer("num_episodes", self.num_episodes, 1)
        require_integer("log_every", self.log_every, 1)
        self._require_batches()
        self._require_probes()
        start = self.critic_start
        accepted = f"a number from {-LARGEST:g} to {LARGEST:g}, mean or fixed-point"
        is_valid = start in ("mean", "fixed-point") or is_number(start)
        require(is_valid, "critic_start", start, accepted)
        require_integer("seed", self.seed, 0)

    @property
    def shared(self) -> TrainConfig:
        """Copy with placeholders for weight, learning rate and seed: equal within a population."""
        return replace(self, critic_weight=0.0, learning_rate=1.0, seed=0)

    @property
    def horizon(self) -> int:
        """Steps of an episode or of a trial, whichever ends the returns."""
        of_trial = self.loss.return_horizon == "trial"
        return self.task.trial_length if of_trial else self.task.num_steps

    def _require_batches(self) -> None:
        """Requires that training, and each window with a probe at its end, ends after an update."""
        count = self.episodes_per_update
        require_integer("episodes_per_update", count, 1)
        accepted = f"a multiple of the {count} episodes per update"
        require(self.num_episodes % count == 0, "num_episodes", self.num_episodes, accepted)
        if self.probe_episodes and not self.probe_at:
            accepted += ", if probed at the ends of windows"
            require(self.log_every % count == 0, "log_every", self.log_every, accepted)

    def _require_probes(self) -> None:
        """Checks the number of probe episodes, and the times of probes.

        A variance needs two episodes. Times must increase, and each must be after a whole update.
        """
        count, times = self.probe_episodes, self.probe_at
        require_integer("probe_episodes", count, 0)
        valid = count == 0 or (count >= 2 and self.loss.lost_gradients == "none")
        require(valid, "probe_episodes", count, "0, or at least 2 with lost_gradients none")
        increasing = f"increasing numbers of episodes from 0 to {self.num_episodes}"
        require(isinstance(times, tuple), "probe_at", times, increasing)
        typed = " ".join(map(str, times))  # as on the command line
        in_range = all(type(time) is int and 0 <= time <= self.num_episodes for time in times)
        require(in_range and list(times) == sorted(set(times)), "probe_at", typed, increasing)
        batch = self.episodes_per_update
        whole_updates = f"multiples of the {batch} episodes per update"
        require(all(time % batch == 0 for time in times), "probe_at", typed, whole_updates)
        if times:
            require(count > 0, "probe_episodes", count, "at least 2 with --probe-at")
