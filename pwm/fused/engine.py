"""The fused engine: the update of `pwm.training.update`, compiled, with the same bits everywhere.

It runs on the CPU in single precision, and agrees with the torch engine up to rounding. Initial
parameters come from `pwm.training.start`; `pwm.fused.kernel` is the compiled code.

Shapes: R replicas, P parameters, E episodes, N trials, L steps per trial, T = N L steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from pwm.core.agent import GATES, NUM_OUTPUTS, VALUE
from pwm.core.errors import InputError
from pwm.core.rollout import Draws
from pwm.core.task import Action, observation_table, reward_table
from pwm.fused import kernel, layout
from pwm.fused.buffers import Episodes, Population, ProbedEpisode, TaskTables, UpdateRule, Work
from pwm.fused.layout import NUM_ACTIONS, NUM_GATES, Floats
from pwm.fused.products import COLUMNS
from pwm.fused.vectors import LANES, WIDE
from pwm.training.balance import COMBINATIONS, num_states
from pwm.training.config import OptimizerName, TrainConfig
from pwm.training.diagnostics import Trajectory, trial_states
from pwm.training.history import METRICS
from pwm.training.loss_config import Balance, Baseline, LossConfig
from pwm.training.loss_options import NORMALISER
from pwm.training.parameters import Layout
from pwm.training.start import initial_parameters
from pwm.training.tracking import LEAST_SCALE, Tracked
from pwm.training.trainer import OF_ADAM
from pwm.training.update import CLIP_EPSILON

LEAKS: dict[Baseline, tuple[bool, bool]] = {
    "attached": (True, True),
    "detached": (False, False),
    "attached_head": (False, True),
    "attached_trunk": (True, False),
}
"""Whether the leak reaches the trunk, and whether it reaches the value head."""
KNOWN_OPTIONS = {
    "task", "stimulus_set", "trial_length", "episode_length", "timeout", "hold_reward", "reward",
    "agent", "hidden_size", "carry_state", "separate_trunks",
    "loss", "baseline", "policy_reduction", "discount", "entropy_weight", "optimism", "balance",
    "lost_gradients", "returns", "tracking_rate", "trace_decay", "leaking_targets", "value_loss",
    "return_horizon", "normalise_advantages", "clip_gradient",
    "critic_weight", "learning_rate", "trunk_rate", "optimizer", "square_decay", "momentum_decay",
    "epsilon", "episodes_per_update", "num_episodes", "log_every", "probe_episodes", "probe_at",
    "critic_start", "seed",
}  # fmt: skip
"""Fields of all configurations that compiled code takes into account, or that it need not know."""
KNOWN_WORDS = {
    "baseline": LEAKS.keys(),
    "policy_reduction": {"sum", "mean"},
    "lost_gradients": {"none", "values", "log_probs"},
    "returns": {"raw", "centred", "standardised"},
    "return_horizon": {"episode", "trial"},
    "value_loss": {"squared", "huber"},
    "optimizer": {"rmsprop", "adam", "sgd"},
}
"""Values that compiled code knows of fields that accept some words; see also `check_constants`."""


class FusedEngine:
    """Trains a population in compiled code, one replica after another.

    The constructor compiles the code of `train`, or loads it from the cache. It does so for
    `differentiate` only if the runs have probes; otherwise, the first call does.

    Args:
        runs: R runs that differ only in seed, critic weight and learning rate.
    Raises:
        InputError: the runs use an option unknown here, or have no fixed point to start at.
    """

    def __init__(self, runs: tuple[TrainConfig, ...]) -> None:
        check_constants()
        require_known_options(runs[0])
        self.runs = runs
        config = runs[0]
        of_agent = Layout(config.agent, config.task.num_stimuli)
        self.parameters = initial_parameters(runs)
        self.task = task_tables(config)
        self.rule = update_rule(config, config.loss, of_agent.trunk_size)
        self.work = _work(self.task, config, of_agent.padded_size, self.parameters.shape[1])
        average_shape = (len(runs), num_states(config.loss.balance), self.parameters.shape[1])
        adam = config.optimizer == "adam"
        self.population = Population(
            critic_weights=np.array([run.critic_weight for run in runs], np.float32),
            learning_rates=np.array([run.learning_rate for run in runs], np.float32),
            parameters=self.parameters.numpy(),  # shares memory
            square_average=_floats(*average_shape),
            average=_floats(*average_shape) if adam else _floats(0, 0, 0),
            decay_powers=np.ones((len(runs) if adam else 0, 2)),
            tracked=_floats(len(runs), len(Tracked)),
        )
        # Compile now, so that training time excludes it: train on no episodes, differentiate one.
        trials = torch.zeros((1, len(runs), config.task.num_trials), dtype=torch.int64)
        noise = torch.zeros((*trials.shape, config.task.trial_length))
        self.train(Draws(trials[:0], noise[:0]))
        if config.probe_episodes:
            draws = Draws(trials[0], noise[0])
            self.differentiate(draws, config.loss, self.population.critic_weights)

    def train(self, draws: Draws) -> NDArray[np.float64]:
        """Trains on E episodes, which must fill whole updates; returns metrics, [E, metrics, R]."""
        episodes = _episodes(draws)
        kernel.train(self.task, self.rule, self.population, episodes, self.work)
        return episodes.metrics.swapaxes(1, 2).astype(np.float64)

    def differentiate(
        self, draws: Draws, config: LossConfig, critic_weights: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], Trajectory]:
        """Plays one episode with the given losses and critic weights, [R], without training.

        Returns its total loss's gradient, uncombined and unclipped, [R, P], and its trajectory.
        """
        shape = (len(self.runs), len(self.work.row))  # (R, T)
        trajectory = Trajectory(
            log_probs=np.zeros(shape, np.float32),
            values=np.zeros(shape, np.float32),
            returns=np.zeros(shape, np.float32),
            hidden=np.zeros((*shape, self.runs[0].agent.hidden_size), np.float32),
        )
        gradients = np.zeros_like(self.population.parameters)
        episodes = _episodes(Draws(draws.trials[None], draws.noise[None]))
        probed = ProbedEpisode(episodes=episodes, gradients=gradients, **trajectory._asdict())
        rule = update_rule(self.runs[0], config, self.rule.trunk_size)
        population = self.population._replace(critic_weights=critic_weights)
        kernel.differentiate(self.task, rule, population, probed, self.work)
        return gradients, trajectory

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of parameters, optimiser state and running statistics, by name: [R, ...] each."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Restores an earlier `state`, of either engine."""
        for name, array in self._arrays().items():
            array[:] = state[name]

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays that training changes in place, by name: [R, ...] each."""
        names = ["parameters", "square_average", "tracked"]
        if self.runs[0].optimizer == "adam":
            names += OF_ADAM
        return {name: getattr(self.population, name) for name in names}


def check_constants() -> None:
    """Checks the constants that compiled code repeats from `pwm.core` and `pwm.training`.

    Raises:
        ValueError: some differ; the compiled code must be changed with them.
    """

    def names(members: type[IntEnum]) -> tuple[str, ...]:
        """Names, in lower case, of an enumeration's members, which must be numbered from 0."""
        return tuple(members(number).name.lower() for number in range(len(members)))

    constants: list[tuple[object, object]] = [  # in compiled code, in the torch engine
        (names(layout.Action), names(Action)),
        (layout.VALUE, VALUE),
        (layout.NUM_OUTPUTS, NUM_OUTPUTS),
        (names(layout.Gate), GATES),
        (names(layout.Metric), METRICS),
        (names(layout.Tracked), names(Tracked)),
        (names(layout.Balance), tuple(name.replace("-", "_") for name in get_args(Balance))),
        (names(layout.Optimizer), get_args(OptimizerName)),
    ]
    for repeated, original in constants:
        if repeated != original:
            differ = f"the fused engine has {repeated}, the torch engine {original}"
            raise ValueError(f"{differ}: see pwm/fused/layout.py, or use --engine torch")


def require_known_options(run: TrainConfig) -> None:
    """Refuses options, and words, that were added to a configuration but not to this engine.

    Raises:
        InputError: an unknown option differs from its default, or a value is an unknown word.
    """
    for config in (run.task, run.agent, run.loss, run):
        for name, default in vars(type(config)()).items():
            value = getattr(config, name)
            if name not in KNOWN_OPTIONS and value != default:
                accepted = f"{default}, or --engine torch: `pwm.fused` lacks this option"
                raise InputError(name, value, accepted)
            words = KNOWN_WORDS.get(name, {value})
            if value not in words:
                accepted = f"one of {', '.join(sorted(words))}, or --engine torch"
                raise InputError(name, value, accepted)


def task_tables(config: TrainConfig) -> TaskTables:
    """Tables of the task for compiled code."""
    observations = observation_table(config.task)  # (pairs + 1, L, S), one-hot or zero
    has_stimulus = observations.any(axis=-1)
    shown = np.where(has_stimulus, observations.argmax(axis=-1), config.task.num_stimuli)
    node = trial_states(config.task)  # (pairs + 1, L), numbered in the order of steps
    node_parent, node_shown = np.full(node.max() + 1, -1), np.full(node.max() + 1, -1)
    # Trials that share a node write the same numbers for it.
    node_parent[node[:, 1:]] = node[:, :-1]
    node_shown[node] = shown
    return TaskTables(
        node=node,
        level_end=node.max(axis=0) + 1,
        node_parent=node_parent,
        node_shown=node_shown,
        rewards=reward_table(config.task),
        carry_state=config.agent.carry_state,
        timeout=config.task.timeout,
    )


def update_rule(config: TrainConfig, loss: LossConfig, trunk_size: int) -> UpdateRule:
    """Settings of the optimiser and of `loss`, as scalars for compiled code.

    `loss` may differ from `config.loss` (not in its horizon), as for a probe. `trunk_size` is the
    number of a replica's parameters in the trunk, which precede the heads'.
    """
    leak_into_trunk, leak_into_head = LEAKS[loss.baseline]
    steps, popart = config.task.num_steps, loss.balance == "popart"  # popart standardises returns
    return UpdateRule(
        leak_into_trunk=leak_into_trunk,
        leak_into_head=leak_into_head,
        values_kept=loss.lost_gradients != "values",
        log_probs_kept=loss.lost_gradients != "log_probs",
        optimism=np.float32(loss.optimism),
        policy_factor=np.float32(1 if loss.policy_reduction == "sum" else 1 / steps),
        discount=np.float32(loss.discount),
        horizon=config.horizon,
        trace_decay=np.float32(loss.trace_decay),
        leaking_targets=loss.leaking_targets,
        entropy_weight=np.float32(loss.entropy_weight),
        optimizer=get_args(OptimizerName).index(config.optimizer),
        square_decay=np.float32(config.square_decay),
        momentum_decay=np.float32(config.momentum_decay),
        epsilon=np.float32(config.epsilon),
        episodes_per_update=config.episodes_per_update,
        huber=loss.value_loss == "huber",
        balance=get_args(Balance).index(loss.balance),
        takes_apart=loss.balance in COMBINATIONS,
        tracks=loss.tracks,
        centred=loss.returns != "raw" or popart,
        standardised=loss.returns == "standardised" or popart,
        normalise_advantages=loss.normalise_advantages,
        normaliser=np.float32(NORMALISER),
        clip_gradient=np.float32(loss.clip_gradient),
        clip_epsilon=np.float32(CLIP_EPSILON),
        rate=np.float32(loss.tracking_rate),
        least_scale=np.float32(LEAST_SCALE),
        trunk_rate=np.float32(config.trunk_rate),
        trunk_size=trunk_size,
    )


def _episodes(draws: Draws) -> Episodes:
    """Episodes of `draws`: trials, [E, R, N], and noise, [E, R, N, L]; metrics are zero."""
    metrics = np.zeros((*draws.trials.shape[:2], len(METRICS)), np.float32)
    return Episodes(draws.trials.numpy(), draws.noise.numpy(), metrics)


def _floats(*shape: int) -> Floats:
    """Zeros from PyTorch, which aligns arrays to a cache line.

    NumPy aligns to fewer bytes, so the widest vectors could each straddle two lines.
    """
    zeros: Floats = torch.zeros(shape).numpy()
    return zeros


def _work(task: TaskTables, config: TrainConfig, units: int, num_parameters: int) -> Work:
    """Working memory for one replica's update, all zero; `units` is U, `num_parameters` P."""
    steps, nodes = config.task.num_steps, len(task.node_parent)
    rows = 1 + (steps if task.carry_state else nodes)  # row 0 is the zero state
    padded_rows = rows + LANES  # policies are computed for `LANES` rows at once
    trunks, stimuli = config.agent.num_trunks, config.task.num_stimuli
    gates = NUM_GATES * units
    # Loops over vectors, as in `pwm.fused.products`, need these multiples.
    assert units % LANES == gates % WIDE == NUM_OUTPUTS % COLUMNS == 0
    return Work(
        projected=_floats(trunks, stimuli + 1, gates),
        head_transposed=_floats(trunks, NUM_OUTPUTS, units),
        parent=np.zeros(rows, np.uint64),
        shown=np.zeros(rows, np.uint64),
        row_of_node=np.zeros(nodes, np.int64),
        level_start=np.zeros(rows + 1, np.int64),
        previous=_floats(trunks, rows, units),
        gates=_floats(trunks, rows, gates),
        cell=_floats(trunks, rows, units),
        cell_tanh=_floats(trunks, rows, units),
        hidden=_floats(trunks, rows, units),
        heads=_floats(trunks, padded_rows, NUM_OUTPUTS),
        log_policy=_floats(NUM_ACTIONS, padded_rows),
        policy=_floats(NUM_ACTIONS, padded_rows),
        cumulative=_floats(NUM_ACTIONS, padded_rows),
        entropy=_floats(padded_rows),
        by_gates=_floats(rows, gates),
        by_cell=_floats(rows, units),
        by_hidden=_floats(rows, units),
        by_previous=_floats(rows, units),
        by_heads=_floats(trunks, rows, NUM_OUTPUTS),
        by_log_policy=_floats(NUM_ACTIONS, rows),
        by_value=_floats(rows),
        by_head_value=_floats(rows),
        by_projected=_floats(stimuli + 1, gates),
        by_head_transposed=_floats(NUM_OUTPUTS, units),
        gradients=_floats(2, num_parameters),
        gradient=_floats(num_parameters),
        return_=_floats(steps),
        error=_floats(steps),
        advantage=_floats(steps),
        leak=_floats(steps),
        visits=_floats(rows),
        row=np.zeros(steps, np.uint64),
        action=np.zeros(steps, np.uint64),
        reward=_floats(steps),
    )
