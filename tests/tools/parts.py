"""Time and instructions of each part of an episode in the fused engine, and lower limits on them.

    python -m tests.tools.parts
    NUMBA_CPU_NAME=haswell python -m tests.tools.parts    # with AVX2

Compiles a copy of the engine's functions with a reading of the processor's clock after each part,
and checks that the copy computes the same bits. A processor works on neighbouring parts at once,
so the border between two is not sharp, and a reading (9 ns) is mostly hidden behind the work; the
sum of the parts is printed next to the time of the untouched kernel. The instructions counted
include the readings. Linux on x86 only (`tests.tools.counters`).

A limit is the time that a part's arithmetic alone would take (`tests.tools.limits`).
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from pwm.fused import kernel
from pwm.fused.advantages import measure_errors
from pwm.fused.backward import _backpropagate_states, differentiate_heads, differentiate_losses
from pwm.fused.balance import episode_scales
from pwm.fused.buffers import Episodes, Population
from pwm.fused.compilation import compiled
from pwm.fused.elementary import ONE, ZERO
from pwm.fused.engine import FusedEngine, _episodes
from pwm.fused.forward import _assign_rows, _compute_policies, _compute_states, _sample, prepare
from pwm.fused.layout import NUM_OUTPUTS, VALUE, Floats
from pwm.fused.optimiser import step
from pwm.fused.products import (
    add,
    add_product_transposed,
    add_product_wide,
    add_wide,
    clear,
    copy,
    copy_wide,
    multiply,
    multiply_wide,
    transpose,
)
from pwm.io.provenance import cpu_model
from pwm.runs.engines import make_trainer
from pwm.runs.fields import replaced
from pwm.training.config import TrainConfig
from pwm.training.draws import DrawSource
from pwm.training.update import one_thread
from tests.tools.counters import (
    catch_traps,
    clock,
    end_trap,
    entry,
    instructions,
    set_trap,
    ticks_per_second,
)
from tests.tools.limits import limits, seconds

PARTS = (
    "inputs to the gates, transposed heads",
    "plan: the rows that the trials visit",
    "rows: inputs and parents' states",
    "product: hidden states to gates",
    "gates and cells: sigmoid, tanh",
    "heads and policies: exp, log",
    "actions and rewards of the steps",
    "returns, errors, metrics of the steps",
    "gradients of the steps' losses",
    "gradients of the heads' outputs",
    "gates and cells, backward",
    "product: gates to hidden states",
    "product: recurrent weights",
    "input weights, biases, heads",
    "RMSprop",
)
INPUTS, PLAN, ROWS, FORWARD, CELLS, DECIDE, SAMPLE, ERRORS, LOSSES, HEADS = range(10)
CELLS_BACK, BACKWARD, OUTER, REST, RMSPROP = range(10, len(PARTS))
EPISODES = 200  # episodes drawn
SLICE = 10  # episodes timed in one call
COUNTED = 4  # episodes and replicas whose instructions are counted
Counts = NDArray[np.int64]


@compiled
def spend(spent: Counts, part: int, before: Any) -> Any:
    """Adds the ticks and instructions since `before` to those of a part.

    Returns the present ticks and instructions, the next `before`.
    """
    now = clock(), instructions()
    spent[0, part] += now[0] - before[0]
    spent[1, part] += now[1] - before[1]
    return now


@entry
def train(
    task: Any, rule: Any, population: Any, episodes: Any, work: Any, spent: Counts, trap: bool
) -> None:
    """Does what `pwm.fused.kernel.train` does for the notes' agent and losses; measures each part.

    Args:
        task: as in `kernel.train`; so are `rule`, `population`, `episodes` and `work`.
        spent: output, ticks and instructions of each part, [2, parts].
        trap: whether to count instructions.
    """
    if trap:
        set_trap()
    for replica in range(len(population.parameters)):
        for episode in range(len(episodes.trials)):
            before = clock(), instructions()
            tracked = population.tracked[replica]
            weight, scales = population.critic_weights[replica], episode_scales(rule, tracked)
            parameters = kernel._parameters(population.parameters[replica], work)
            gradient = kernel._parameters(work.gradients[0], work)
            trials, noise = episodes.trials[episode, replica], episodes.noise[episode, replica]
            levels = len(task.level_end)
            prepare(parameters, work)
            before = spend(spent, INPUTS, before)
            levels = _assign_rows(task, trials, work)
            before = spend(spent, PLAN, before)
            rows = work.level_start[levels]
            for level in range(levels):
                start, end = work.level_start[level], work.level_start[level + 1]
                gates, hidden = work.gates[0, start:end], work.hidden[0]
                for row in range(start, end):
                    copy_wide(work.gates[0, row], work.projected[0, work.shown[row]])
                if level:
                    for row in range(start, end):
                        copy(work.previous[0, row], hidden[work.parent[row]])
                before = spend(spent, ROWS, before)
                if level:
                    add_product_wide(gates, work.previous[0, start:end], parameters.recurrent[0])
                    before = spend(spent, FORWARD, before)
                _compute_states(
                    work.parent[start:end],
                    gates,
                    work.cell[0],
                    work.cell[0, start:end],
                    work.cell_tanh[0, start:end],
                    hidden[start:end],
                )
                before = spend(spent, CELLS, before)
            _compute_policies(parameters, work, 1, rows)
            before = spend(spent, DECIDE, before)
            for trial in range(len(trials)):
                pair = trials[trial]
                for place in range(levels):
                    moment = trial * levels + place
                    row = work.row_of_node[task.node[pair, place]]
                    action = _sample(work, row, noise[trial, place])
                    work.row[moment] = row
                    work.action[moment] = action
                    work.reward[moment] = task.rewards[pair, place, action]
            before = spend(spent, SAMPLE, before)
            measure_errors(rule, scales, levels, work, episodes.metrics[episode, replica])
            before = spend(spent, ERRORS, before)
            differentiate_losses(rule, scales, ONE, weight * scales.critic_factor, work)
            before = spend(spent, LOSSES, before)
            differentiate_heads(rule, ONE, rows, work)
            clear(work.by_cell[:rows])
            multiply(work.by_hidden[1:rows], work.by_heads[0, 1:rows], work.head_transposed[0])
            before = spend(spent, HEADS, before)
            before = backpropagate(parameters, work, gradient, levels, spent, before)
            step(rule, population, replica, 0, work.gradients[0])
            spend(spent, RMSPROP, before)
    if trap:
        end_trap()


@entry
def count_kernel(task: Any, rule: Any, population: Any, episodes: Any, work: Any) -> int:
    """Calls `pwm.fused.kernel.train`; returns the number of instructions executed."""
    before = instructions()
    set_trap()
    kernel.train(task, rule, population, episodes, work)
    end_trap()
    total: int = instructions() - before
    return total


@compiled
def backpropagate(
    parameters: Any, work: Any, gradient: Any, levels: int, spent: Counts, before: Any
) -> Any:
    """Does what `pwm.fused.backward.backpropagate` does for one trunk, from its hidden states on.

    Returns the ticks and instructions at the end.
    """
    first, rows = work.level_start[1], work.level_start[levels]
    gates, by_hidden, by_heads = work.by_gates, work.by_hidden, work.by_heads[0]
    for level in range(levels - 1, -1, -1):
        start, end = work.level_start[level], work.level_start[level + 1]
        _backpropagate_states(
            work.parent[start:end],
            work.cell[0],
            work.gates[0, start:end],
            work.cell_tanh[0, start:end],
            by_hidden[start:end],
            work.by_cell[start:end],
            work.by_cell,
            gates[start:end],
        )
        before = spend(spent, CELLS_BACK, before)
        if level:
            by_previous = work.by_previous[start:end]
            clear(by_previous)
            add_product_transposed(by_previous, gates[start:end], parameters.recurrent[0])
            for row in range(start, end):
                add(by_hidden[work.parent[row]], by_previous[row - start])
            before = spend(spent, BACKWARD, before)
    multiply_wide(gradient.recurrent[0], work.previous[0, first:rows].T, gates[first:rows])
    before = spend(spent, OUTER, before)
    clear(work.by_projected)
    for row in range(1, rows):
        add_wide(work.by_projected[work.shown[row]], gates[row])
    clear(gradient.input_bias)
    for stimulus in range(len(work.by_projected)):
        add_wide(gradient.input_bias[0], work.by_projected[stimulus])
    copy(gradient.recurrent_bias[0], gradient.input_bias[0])
    for stimulus in range(len(work.by_projected) - 1):
        copy(gradient.input[0, stimulus], work.by_projected[stimulus])
    for row in range(1, rows):
        by_heads[row, VALUE] = work.by_head_value[row]
    multiply(work.by_head_transposed, by_heads[1:rows].T, work.hidden[0, 1:rows])
    transpose(gradient.head[0], work.by_head_transposed)
    for column in range(NUM_OUTPUTS):
        total = ZERO
        for row in range(1, rows):
            total += by_heads[row, column]
        gradient.head_bias[0, column] = total
    return spend(spent, REST, before)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Flags of `python -m tests.tools.parts`."""

    episode_lengths: tuple[int, ...] = (15, 60, 240)
    """Steps per episode."""
    hidden_size: int = 24
    """Units of the LSTM."""
    replicas: int = 48
    """Replicas in a population."""
    rounds: int = 300
    """Rounds of 5 to 20 milliseconds each; times are medians over them."""


def cut(episodes: Episodes, *places: slice) -> Episodes:
    """Selects episodes and, with a second slice, replicas."""
    few: list[Any] = [each[places] for each in episodes]
    return Episodes(*few)


class Parts:
    """Measurements of a run's episodes, by part and as a whole.

    Args:
        run: the configuration, with the notes' agent and losses.
        replicas: number of replicas in the population.
    """

    def __init__(self, run: TrainConfig, replicas: int) -> None:
        trainer = make_trainer([replaced(run, {"seed": seed}) for seed in range(replicas)])
        assert isinstance(trainer.engine, FusedEngine)
        self.trainer, self.engine = trainer, trainer.engine
        self.episodes = _episodes(DrawSource(run.task, range(replicas)).next(EPISODES))
        self.spent = np.zeros((2, len(PARTS)), np.int64)

    def play(self, episodes: Episodes, *, trap: bool = False) -> None:
        """Trains with the copy: times each part or, with the trap, counts its instructions."""
        engine, population = self.engine, self.first(episodes)
        self.spent[:] = 0
        train(engine.task, engine.rule, population, episodes, engine.work, self.spent, trap)

    def first(self, episodes: Episodes) -> Population:
        """The population's first replicas, as many as the episodes have."""
        few: list[Any] = [each[: episodes.trials.shape[1]] for each in self.engine.population]
        return Population(*few)

    def kernel(self, episodes: Episodes) -> None:
        """Trains with the fused kernel itself, rather than with the copy that `play` times."""
        engine = self.engine
        kernel.train(engine.task, engine.rule, engine.population, episodes, engine.work)

    def check(self) -> None:
        """Exits unless the copy computes the same parameters as the kernel."""
        before = self.engine.state()
        ways: Sequence[Callable[[Episodes], None]] = (self.kernel, self.play)
        trained = []  # parameters after training in either way
        for train_on in ways:
            train_on(self.episodes)
            trained.append(self.engine.state()["parameters"])
            self.engine.restore(before)
        by_kernel, by_copy = trained
        if not np.array_equal(by_kernel, by_copy):
            sys.exit("tests.tools.parts does not compute what pwm.fused.kernel does")

    def times(self, rounds: int) -> tuple[Floats, float, float]:
        """Microseconds per episode: of each part, of the kernel, and of all training."""
        replicas = len(self.trainer.runs)
        ticks, kernel_seconds, training_seconds = [], [], []
        for number in range(rounds):
            first = SLICE * number % EPISODES
            episodes = cut(self.episodes, slice(first, first + SLICE))
            self.play(episodes)
            ticks.append(self.spent[0].copy())
            kernel_seconds.append(seconds(lambda: self.kernel(episodes)))  # noqa: B023, called here
            if number % 10 == 0:
                training_seconds.append(seconds(lambda: self.trainer.advance(EPISODES)))
        scale = 1e6 / (SLICE * replicas)  # microseconds per episode
        return (
            np.median(ticks, axis=0) * scale / ticks_per_second(),
            scale * median(kernel_seconds),
            1e6 * median(training_seconds) / (EPISODES * replicas),
        )

    def instructions(self) -> tuple[Counts, int]:
        """Instructions of each part and of the kernel, per replica and episode."""
        catch_traps()
        few = cut(self.episodes, slice(COUNTED), slice(COUNTED))
        self.play(few, trap=True)
        number, engine = few.trials[..., 0].size, self.engine
        counts: Counts = self.spent[1] // number
        total = count_kernel(engine.task, engine.rule, self.first(few), few, engine.work)
        return counts, total // number


def main() -> None:
    """Prints a table per episode length."""
    arguments = tyro.cli(Arguments, description=__doc__)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        sys.exit("tests.tools.parts counts instructions on Linux with x86_64 only")
    print(f"{cpu_model()}, {os.environ.get('NUMBA_CPU_NAME', 'all its instructions')}")
    for length in arguments.episode_lengths:
        fields = {"hidden_size": arguments.hidden_size, "episode_length": length}
        run = replaced(TrainConfig(num_episodes=10**9), fields)
        with one_thread():
            parts = Parts(run, arguments.replicas)
            parts.check()
            times, whole, everything = parts.times(arguments.rounds)
            least = limits(run, parts.engine.parameters.shape[1], parts.episodes)
            limit_of = {
                **dict.fromkeys((FORWARD, BACKWARD, OUTER), least.product),
                CELLS: least.cells,
                RMSPROP: least.rmsprop,
            }
            counted, total = parts.instructions()
        print(
            f"\n{length} steps, per replica and episode{'µs':>14}{'limit':>8}{'instructions':>14}"
        )
        for part, (name, spent, number) in enumerate(zip(PARTS, times, counted, strict=True)):
            limit = f"{limit_of[part]:.2f}" if part in limit_of else ""
            print(f"{name:<40}{spent:>9.2f}{limit:>8}{number:>14,}")
        limit = f"{sum(limit_of.values()):.2f}"
        print(f"{'sum of the parts':<40}{times.sum():>9.2f}{limit:>8}{counted.sum():>14,}")
        print(f"{'the kernel, without readings':<40}{whole:>9.2f}{'':>8}{total:>14,}")
        print(f"{'random draws, metrics, Python':<40}{everything - whole:>9.2f}")
        print(f"{'an episode':<40}{everything:>9.2f}", flush=True)


if __name__ == "__main__":
    main()
