"""Trains all runs of a public loop on CartPole at once, and measures their outcomes.

Shapes: R replicas (runs), E episodes per update, L steps, N = E L.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, nan
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pwm.analysis.external import LoopOutcome, LoopRun
from pwm.external.cartpole import CartPoles
from pwm.external.loops import LONGEST, LOOPS
from pwm.external.losses import standardised
from pwm.external.networks import Networks
from pwm.training.update import one_thread

CACHED = 2**18  # most activations of a layer computed at once; this many fit the processor's cache
WINDOW = 100  # consecutive episodes that decide whether a run has learned
SOLVED = 195.0  # a run has learned once the mean length of these episodes exceeds this


class Steps(NamedTuple):
    """Steps of an update: [R, E, L]; for a batch of r replicas, [r, N], episodes concatenated."""

    states: Tensor  # with a last axis of 4
    actions: Tensor
    played: Tensor  # 1, or 0 after the end of an episode
    targets: Tensor  # returns
    bootstraps: Tensor  # weights of the bootstrap values in the targets


class Record:
    """Lengths of the episodes that a run has finished, and sums over their steps."""

    def __init__(self, run: LoopRun) -> None:
        self.run = run
        self.time = inf
        """Updates made by the middle of the last `WINDOW` episodes when, after an update, their
        mean length first exceeds `SOLVED`; inf until then."""
        self._lengths: list[int] = []  # steps of each episode
        self._updates: list[int] = []  # updates made by the end of each episode
        self._sums: list[NDArray[np.float64]] = []  # (5,) each: see `add`

    def add(self, lengths: Sequence[int], num_updates: int, sums: NDArray[np.float64]) -> None:
        """Adds the episodes that ended at update `num_updates`, given their lengths in steps.

        `sums`, [5], holds the number of steps since the previous call, and four sums over these
        steps: value minus target, clipped to ±`LoopConfig.largest_error`; the policy's entropy;
        the bootstrap value's weight in the target; and the value. Sets `time` if the run has
        learned; `Replicas.train` then ends it, so no later call overwrites `time`.
        """
        self._lengths += lengths
        self._updates += [num_updates] * len(lengths)
        self._sums.append(sums)
        if len(self._lengths) >= WINDOW and np.mean(self._lengths[-WINDOW:]) > SOLVED:
            self.time = float(self._updates[-WINDOW // 2])

    def outcome(self, num_updates: int) -> LoopOutcome:
        """The run's outcome after `num_updates`; at least one episode must have ended."""
        setting = LOOPS[self.run.loop]
        half = len(self._sums) // 2  # each covers `setting.episodes` whole episodes
        steps, error, entropy, bootstrap, value = np.sum(self._sums[half:], axis=0)
        returns = summed_returns(self._lengths[half * setting.episodes :], setting.discount)
        # A critic of standardised returns has values in other units than the returns.
        bias = nan if setting.standardises else (value - returns) / steps
        return LoopOutcome(
            run=self.run,
            num_updates=num_updates,
            num_episodes=len(self._lengths),
            length=round(float(np.mean(self._lengths[-WINDOW:])), 2),
            time=self.time,
            error=_five_digits(error / steps),
            entropy=_five_digits(entropy / steps),
            bias=_five_digits(bias),
            bootstrap=_five_digits(bootstrap / steps),
            torch=torch.__version__,
        )


def train_loop(runs: Sequence[LoopRun], num_updates: int) -> list[LoopOutcome]:
    """Trains runs of one loop on one thread, each until it has learned or for `num_updates`.

    Returns the outcomes in the order in which the runs end. They depend on which runs train
    together, as these share the random numbers for actions.
    """
    with one_thread():
        return list(Replicas(runs).train(num_updates))


class Replicas:
    """Runs of one loop, each with its own network, CartPole environments and optimiser state."""

    def __init__(self, runs: Sequence[LoopRun]) -> None:
        self._setting = setting = LOOPS[runs[0].loop]
        seeds = [run.seed for run in runs]
        self._records = [Record(run) for run in runs]
        self._networks = Networks.draw(seeds, setting)
        # Each serves all replicas: Adam and RMSprop change a number by its own gradient alone.
        self._optimisers = [
            setting.optimiser(parameters, lr=setting.learning_rate)
            for parameters in self._networks.by_optimiser
        ]
        self._critic_weights = torch.tensor([run.weight for run in runs])  # [R]
        self._attached = torch.tensor([run.baseline == "attached" for run in runs])  # [R]
        # In "reinforce", the two episodes of an update share a seed and so begin in the same state.
        # TF-Agents, where that loop is from, plays them in turn; the published runs are as here.
        self._poles = CartPoles(np.repeat(seeds, setting.episodes).tolist())
        shape = (len(runs), setting.episodes)
        # Whether each episode has ended; true at first, so that `_play` begins the first episodes.
        self._over = np.ones(shape, bool)
        self._lengths = np.zeros(shape, np.int64)  # steps of each episode so far
        # Argument `sums` of `Record.add`: sums since each replica last finished an episode, [R, 5].
        self._step_sums = np.zeros((len(runs), 5))
        self._action_generator = torch.Generator().manual_seed(seeds[0])  # for all replicas

    def train(self, num_updates: int) -> Iterator[LoopOutcome]:
        """Yields each run's outcome as soon as it has learned, or after `num_updates`."""
        for update in range(1, num_updates + 1):
            self._update(*self._play())
            for replica in np.flatnonzero(self._over.any(axis=1)):  # those that finished an episode
                lengths = self._lengths[replica, self._over[replica]].tolist()
                self._records[replica].add(lengths, update, self._step_sums[replica].copy())
                self._step_sums[replica] = 0
            is_last = update == num_updates
            ended = np.array([is_last or np.isfinite(record.time) for record in self._records])
            for replica in np.flatnonzero(ended):
                yield self._records[replica].outcome(update)
            if ended.all():
                return
            if ended.any():
                self._keep(~ended)

    def _play(self) -> tuple[Tensor, Tensor, Tensor]:
        """Plays the next L steps of all episodes, after starting a new one wherever one has ended.

        L is `LoopConfig.segment`, or less if all episodes end before. Updates `_over` and
        `_lengths`. Returns the states, the last one included, [R, E, L + 1, 4]; the actions,
        [R, E, L]; and 1 for each step played, 0 for one after the end of its episode, [R, E, L].
        """
        shape = self._over.shape
        self._poles.reset(self._over.reshape(-1))
        self._lengths[self._over] = 0
        self._over = np.zeros(shape, bool)
        states, actions, played = [self._states()], [], []
        with torch.no_grad():
            for _ in range(self._setting.segment):
                left, right = self._networks.logits(states[-1]).unbind(-1)
                uniform = torch.rand(shape, generator=self._action_generator)
                action = uniform < (right - left).sigmoid()  # the probability of pushing right
                fallen = self._poles.step(action.numpy().reshape(-1)).reshape(shape)
                played.append(torch.tensor(~self._over))
                actions.append(action.long())
                states.append(self._states())
                self._lengths += ~self._over
                # As in the loops, an episode that reaches its largest length ends like a fall.
                self._over |= fallen | (self._lengths == LONGEST)
                if self._over.all():
                    break
        return torch.stack(states, 2), torch.stack(actions, 2), torch.stack(played, 2).float()

    def _states(self) -> Tensor:
        """Current CartPole states, [R, E, 4]."""
        return torch.tensor(self._poles.states.reshape(*self._over.shape, 4), dtype=torch.float32)

    def _update(self, states: Tensor, actions: Tensor, played: Tensor) -> None:
        """Updates all parameters from the steps that `_play` returned; adds to `_step_sums`."""
        goes_on = torch.tensor(~self._over)  # whether each episode goes on, [R, E]
        with torch.no_grad():
            last_values = self._networks.values(states[:, :, -1]) * goes_on
        targets, bootstraps = bootstrapped(played, last_values, goes_on, self._setting.discount)
        steps = Steps(states[:, :, :-1], actions, played, targets, bootstraps)
        trained = self._networks.by_optimiser  # a list of parameters, [R, ...], per optimiser
        gradients = [[torch.empty_like(each) for each in parameters] for parameters in trained]
        # Batches hold replicas whose longest episodes are of similar length, to limit padding.
        lengths = played.sum(-1).amax(1)  # steps of the longest episode, (R,)
        size = max(1, CACHED // (self._setting.units * played[0].numel()))  # replicas per batch
        for replicas in lengths.argsort().split(size):
            num_steps = int(lengths[replicas[-1]])  # the maximum, as the lengths are sorted
            batch = Steps(*(each[replicas, :, :num_steps].flatten(1, 2) for each in steps))
            for grads, parts in zip(gradients, self._gradients(replicas, batch), strict=True):
                for gradient, part in zip(grads, parts, strict=True):
                    gradient[replicas] = part
        # Two optimisers step in turn: both may train a shared layer, each with its own gradient.
        for optimiser, parameters, grads in zip(self._optimisers, trained, gradients, strict=True):
            for parameter, gradient in zip(parameters, grads, strict=True):
                parameter.grad = gradient
            optimiser.step()

    def _gradients(self, replicas: Tensor, steps: Steps) -> list[tuple[Tensor, ...]]:
        """Gradients of the losses of the replicas with these indices, [r]: a tuple per optimiser.

        A tuple holds the gradients, [r, ...], for the parameters that the optimiser trains. Also
        adds the sums that `Record.add` lists to `_step_sums`.
        """
        setting, networks = self._setting, self._networks.copies(replicas)
        targets = steps.targets
        if setting.standardises:
            targets = standardised(targets, steps.played)
        log_policy = networks.logits(steps.states).log_softmax(-1)
        log_probs = log_policy.gather(-1, steps.actions[..., None]).squeeze(-1)
        values = networks.values(steps.states)
        baseline = torch.where(self._attached[replicas, None], values, values.detach())
        losses = setting.losses(log_probs, values, targets, baseline, steps.played)
        totals = [losses.policy, self._critic_weights[replicas] * losses.value]  # by optimiser
        if setting.num_optimisers == 1:
            totals = [totals[0] + totals[1]]
        with torch.no_grad():
            # Clipped, as the gradient of Huber's loss no longer grows beyond the largest error.
            error = (values - targets).clamp(-setting.largest_error, setting.largest_error)
            entropy = -(log_policy.exp() * log_policy).sum(-1)
            summands = [torch.ones_like(values), error, entropy, steps.bootstraps, values]  # (r, N)
            sums = (torch.stack(summands) * steps.played).sum(-1)  # (5, r)
            self._step_sums[replicas.numpy()] += sums.T.double().numpy()
        # A replica's parameters affect its own loss only, so the loss can be summed over replicas.
        return [
            # Both losses contain the values, the policy's as its baseline.
            torch.autograd.grad(total.sum(), parameters, retain_graph=True)
            for total, parameters in zip(totals, networks.by_optimiser, strict=True)
        ]

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        """Removes all replicas for which `kept`, [R], is false, as they have learned."""
        mask = torch.tensor(kept)
        for optimiser in self._optimisers:
            for state in optimiser.state.values():
                for name, value in state.items():
                    if value.dim():  # a scalar is the number of steps, the same for all replicas
                        state[name] = value[mask]
        for parameter in self._networks.parameters:
            parameter.data, parameter.grad = parameter.data[mask], None
        self._critic_weights = self._critic_weights[mask]
        self._attached = self._attached[mask]
        self._poles.keep(np.repeat(kept, self._setting.episodes))
        self._over, self._lengths = self._over[kept], self._lengths[kept]
        self._step_sums = self._step_sums[kept]
        self._records = [self._records[replica] for replica in np.flatnonzero(kept)]


def bootstrapped(
    played: Tensor, last_value: Tensor, goes_on: Tensor, discount: float
) -> tuple[Tensor, Tensor]:
    """Return from each step of a segment, and the bootstrap value's weight in it: [..., L] each.

    With n steps left in the segment, each rewarded by 1, the return is 1 + γ + ... + γⁿ⁻¹ + γⁿ v.
    If the episode ends within the segment, n counts the steps left in the episode, and v and its
    weight γⁿ are 0.

    Args:
        played: 1 for each step played, 0 after the episode's end, [..., L].
        last_value: v, value of the state after the last step; 0 if the episode has ended, [...].
        goes_on: whether the episode goes on after the segment, [...].
        discount: γ.
    """
    next_return, weight = last_value, goes_on.float()
    returns, weights = [], []
    for was_played in reversed(played.unbind(-1)):
        next_return = torch.where(was_played > 0, 1 + discount * next_return, next_return)
        weight = torch.where(was_played > 0, discount * weight, weight)
        returns.append(next_return)
        weights.append(weight)
    return torch.stack(returns[::-1], -1), torch.stack(weights[::-1], -1)


def summed_returns(lengths: Sequence[int], discount: float) -> float:
    """Sum of the discounted returns from all steps of whole episodes, for a reward of 1 per step.

    The critic's values are compared with it, not with their targets, which may be bootstrapped.
    When n steps remain, the return is 1 + γ + ... + γⁿ⁻¹ = (1 - γⁿ) / (1 - γ), for a discount γ
    below 1. An episode of L steps gives the sum of this over n = 1 to L: (L - Σ γⁿ) / (1 - γ).
    """
    length = np.array(lengths, np.float64)
    powers = discount * (1 - discount**length) / (1 - discount)  # Σ γⁿ
    return float(((length - powers) / (1 - discount)).sum())


def _five_digits(number: float) -> float:
    """Rounds a number to five significant digits."""
    return float(f"{number:.5g}")
