"""The configuration of one run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

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
    """Learning rate of RMSprop."""
    trunk_rate: float = added(1.0)
    """Learning rate of the trunk, relative to that of the heads."""
    num_episodes: int = 10_000
    """Episodes to train for, with one update after each."""
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
        require_integer("num_episodes", self.num_episodes, 1)
        require_integer("log_every", self.log_every, 1)
        self._require_probes()
        self._require_start()
        require_integer("seed", self.seed, 0)

    @property
    def shared(self) -> TrainConfig:
        """The configuration with what may differ within a population set to fixed values."""
        return replace(self, critic_weight=0.0, learning_rate=1.0, seed=0)

    def _require_probes(self) -> None:
        """Requires increasing `probe_at`, and episodes enough for a variance."""
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
        require(count > 0 or not at, "probe_episodes", count, "at least 2 with --probe-at")

    def _require_start(self) -> None:
        """Requires a start that is one of the two words, or finite as a float32."""
        start = self.critic_start
        is_number = isinstance(start, int | float) and not isinstance(start, bool)
        fits = start in ("mean", "fixed-point") or (is_number and abs(float(start)) <= LARGEST)
        accepted = f"a number from {-LARGEST:g} to {LARGEST:g}, mean or fixed-point"
        require(fits, "critic_start", start, accepted)
