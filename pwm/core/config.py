"""The configuration of one run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pwm.core.agent import AgentConfig
from pwm.core.errors import require, require_finite, require_integer
from pwm.core.losses import LossConfig
from pwm.core.task import TaskConfig

SEMANTICS = 1  # raised by a change to the core that changes histories


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run: everything that decides its history."""

    task: TaskConfig = field(default_factory=TaskConfig)
    agent: AgentConfig = field(default_factory=AgentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    critic_weight: float = 5.0
    """Weight of the value loss (a mean over steps) relative to the policy loss."""
    learning_rate: float = 0.005
    """Learning rate of RMSprop."""
    num_episodes: int = 10_000
    """Episodes to train for, with one update after each."""
    log_every: int = 10
    """Episodes per window of the history, which holds averages over windows."""
    probe_episodes: int = 0
    """Episodes played at the end of each window to diagnose the gradients, without training on
    them: 0 for no diagnostics, or at least 2."""
    seed: int = 0
    """Determines the initial parameters, the trials and the action noise."""

    def __post_init__(self) -> None:
        require_finite("critic_weight", self.critic_weight)
        require_finite("learning_rate", self.learning_rate, above_zero=True)
        require_integer("num_episodes", self.num_episodes, 1)
        require_integer("log_every", self.log_every, 1)
        require_integer("probe_episodes", self.probe_episodes, 0)
        allowed = self.probe_episodes > 1 and self.loss.lost_gradients == "none"
        accepted = "0, or at least 2 where no gradients are lost"
        require(allowed or not self.probe_episodes, "probe_episodes", self.probe_episodes, accepted)
        require_integer("seed", self.seed, 0)

    @property
    def shared(self) -> TrainConfig:
        """The run without what may differ within a population."""
        return replace(self, critic_weight=0.0, learning_rate=1.0, seed=0)
