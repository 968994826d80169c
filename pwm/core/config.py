"""The configuration of one run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from pwm.core.agent import AgentConfig
from pwm.core.errors import (
    LARGEST,
    require,
    require_integer,
    require_non_negative,
    require_positive,
)
from pwm.core.fields import added
from pwm.core.losses import LossConfig
from pwm.core.task import TaskConfig

OptimizerName = Literal["rmsprop", "adam", "sgd"]
MOST_DECAY = 0.999999  # below 1 as a float32
SEMANTICS = 1  # increment when a change to the core changes histories


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run: everything that determines its history."""

    task: TaskConfig = field(default_factory=TaskConfig)
    agent: AgentConfig = field(default_factory=AgentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    critic_weight: float = 5.0
    """Weight of the value loss (a mean over steps) relative to the policy loss."""
    learning_rate: float = 0.005
    """Learning rate of the optimiser."""
    trunk_rate: float = added(1.0)
    """Learning rate of the trunk, relative to that of the heads."""
    optimizer: OptimizerName = added("rmsprop")
    """Optimiser: RMSprop, Adam, or SGD without momentum; equal to PyTorch's."""
    square_decay: float = added(0.99)
    """Factor by which the mean square of the gradient decays per update: RMSprop's smoothing,
    Adam's β₂."""
    momentum_decay: float = added(0.9)
    """Factor by which Adam's mean gradient decays per update, its β₁."""
    epsilon: float = added(1e-8)
    """Number added to the root of the mean square, in RMSprop and Adam."""
    num_episodes: int = 10_000
    """Episodes to train for; a multiple of `episodes_per_update`."""
    episodes_per_update: int = added(1)
    """Episodes played with the same parameters before each update, against the gradient of their
    mean loss."""
    log_every: int = 10
    """Episodes per window of the history, which holds averages over windows."""
    probe_episodes: int = 0
    """Episodes played at the end of each window to measure gradients, without training on them: 0
    for no diagnostics, or at least 2."""
    probe_at: tuple[int, ...] = added(())
    """Episodes of training after which to probe, in place of the ends of windows, 0 for before it;
    such probes also measure the hidden states and the critic."""
    critic_start: float | Literal["mean", "fixed-point"] = added(0.0)
    """Number added to the value head's initial bias; or the mean return of a policy that ignores
    its input, without or with the leak's bias at the critic's fixed point."""
    seed: int = 0
    """Determines the initial parameters, the trials and the action noise."""

    def __post_init__(self) -> None:
        require_non_negative("critic_weight", self.critic_weight)
        require_positive("learning_rate", self.learning_rate)
        require_positive("trunk_rate", self.trunk_rate)
        self._require_optimiser()
        require_integer("num_episodes", self.num_episodes, 1)
        require_integer("log_every", self.log_every, 1)
        self._require_batches()
        self._require_probes()
        self._require_start()
        require_integer("seed", self.seed, 0)

    @property
    def shared(self) -> TrainConfig:
        """The configuration with fixed values of the fields that may differ in a population."""
        return replace(self, critic_weight=0.0, learning_rate=1.0, seed=0)

    def _require_optimiser(self) -> None:
        """Requires an optimiser that exists, with settings that keep its divisors above 0."""
        accepted = ", ".join(get_args(OptimizerName))
        require(self.optimizer in get_args(OptimizerName), "optimizer", self.optimizer, accepted)
        for name in ("square_decay", "momentum_decay"):
            decay = getattr(self, name)
            require(0 <= decay <= MOST_DECAY, name, decay, f"a number from 0 to {MOST_DECAY}")
        accepted = f"a number from {1 / LARGEST:g} to {LARGEST:g}"
        require(1 / LARGEST <= self.epsilon <= LARGEST, "epsilon", self.epsilon, accepted)
        clash = self.optimizer != "rmsprop" and self.loss.balance == "uncertainty"
        accepted = "rmsprop with uncertainty, which learns its weight by it"
        require(not clash, "optimizer", self.optimizer, accepted)

    def _require_batches(self) -> None:
        """Requires that training ends, and is probed, only after a whole update."""
        count = self.episodes_per_update
        require_integer("episodes_per_update", count, 1)
        accepted = f"a multiple of the {count} episodes per update"
        require(self.num_episodes % count == 0, "num_episodes", self.num_episodes, accepted)
        if self.probe_episodes and not self.probe_at:
            accepted += ", if probed at the ends of windows"
            require(self.log_every % count == 0, "log_every", self.log_every, accepted)

    @property
    def horizon(self) -> int:
        """Number of steps in an episode, or in a trial where returns end with it."""
        of_trial = self.loss.return_horizon == "trial"
        return self.task.trial_length if of_trial else self.task.num_steps

    def _require_probes(self) -> None:
        """Requires that `probe_at` increases, and that a probe has two episodes or more."""
        count, at, most = self.probe_episodes, self.probe_at, self.num_episodes
        require_integer("probe_episodes", count, 0)
        diagnosed = count > 1 and self.loss.lost_gradients == "none"
        accepted = "0, or at least 2 with lost_gradients none"
        require(diagnosed or count == 0, "probe_episodes", count, accepted)
        is_tuple = isinstance(at, tuple)
        within = is_tuple and all(type(one) is int and 0 <= one <= most for one in at)
        shown = " ".join(map(str, at)) if is_tuple else at
        accepted = f"increasing numbers of episodes from 0 to {most}"
        require(within and list(at) == sorted(set(at)), "probe_at", shown, accepted)
        between = all(one % self.episodes_per_update == 0 for one in at)
        accepted = f"multiples of the {self.episodes_per_update} episodes per update"
        require(between, "probe_at", shown, accepted)
        require(count > 0 or not at, "probe_episodes", count, "at least 2 with --probe-at")

    def _require_start(self) -> None:
        """Requires a start that is "mean", "fixed-point", or a number finite as a float32."""
        start = self.critic_start
        is_number = isinstance(start, int | float) and not isinstance(start, bool)
        fits = start in ("mean", "fixed-point") or (is_number and abs(float(start)) <= LARGEST)
        accepted = f"a number from {-LARGEST:g} to {LARGEST:g}, mean or fixed-point"
        require(fits, "critic_start", start, accepted)
