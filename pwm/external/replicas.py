"""Training of a public loop's runs on CartPole, all at once.

Shapes: R replicas (runs), E episodes per update, L steps, N = E L.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from pwm.external.records import Record, StepSums
from pwm.training.update import one_thread

CACHED = 2**18  # activations per layer computed at once, so that they stay in the processor's cache


class Steps(NamedTuple):
    """Steps of an update: [R, E, L], or of some replicas with all episodes in a row, [r, N]."""

    states: Tensor  # with a last axis of 4
    actions: Tensor
    played: Tensor  # 1, or 0 after the end of an episode
    targets: Tensor  # returns
    bootstraps: Tensor  # weights of the bootstrap values in the targets


def train_loop(runs: Sequence[LoopRun], num_updates: int) -> list[LoopOutcome]:
    """Trains runs of one loop on one thread, each until it has learned or for `num_updates`."""
    with one_thread():
        return list(Replicas(runs).train(num_updates))


class Replicas:
    """Runs of one loop, each with a network, poles and an optimiser state of its own."""

    def __init__(self, runs: Sequence[LoopRun]) -> None:
        self._setting = setting = LOOPS[runs[0].loop]
        seeds = [run.seed for run in runs]
        self._records = [Record(run) for run in runs]
        self._networks = Networks.drawn(seeds, setting)
        self._optimisers = [
            setting.optimiser(parameters, lr=setting.learning_rate)
            for parameters in self._networks.trained(setting.optimisers)
        ]
        self._weight = torch.tensor([run.weight for run in runs])
        self._attached = torch.tensor([run.baseline == "attached" for run in runs])
        self._poles = CartPoles(np.repeat(seeds, setting.episodes).tolist())
        shape = (len(runs), setting.episodes)
        self._over = np.ones(shape, bool)  # whether each episode has ended
        self._length = np.zeros(shape, np.int64)  # of each episode so far
        self._sums = np.zeros((len(runs), len(StepSums._fields)))  # since an episode ended
        self._random = torch.Generator().manual_seed(seeds[0])
        self._num_updates = 0

    def train(self, num_updates: int) -> Iterator[LoopOutcome]:
        """Yields each run's outcome as soon as it has learned, or after `num_updates`."""
        while self._records:
            states, actions, played = self._play()
            self._update(states, actions, played)
            self._num_updates += 1
            self._record_episodes()
            is_last = self._num_updates == num_updates
            ended = np.array([is_last or np.isfinite(record.time) for record in self._records])
            for replica in np.flatnonzero(ended):
                yield self._records[replica].outcome(self._num_updates)
            if ended.any():
                self._keep(~ended)

    def _play(self) -> tuple[Tensor, Tensor, Tensor]:
        """Plays the next steps of each replica's episodes; begins new ones where one has ended.

        Returns:
            States, the last one included, [R, E, L + 1, 4]; actions, [R, E, L]; and 1 for each step
            played, 0 for one after the end of its episode, [R, E, L].
        """
        shape = self._over.shape
        self._poles.reset(self._over.reshape(-1))
        self._length[self._over] = 0
        self._over = np.zeros(shape, bool)
        states, actions, played = [self._states()], [], []
        with torch.no_grad():
            for _ in range(self._setting.segment):
                left, right = self._networks.logits(states[-1]).unbind(-1)
                action = torch.rand(shape, generator=self._random) < (right - left).sigmoid()
                fallen = self._poles.step(action.numpy().reshape(-1)).reshape(shape)
                played.append(torch.tensor(~self._over))
                actions.append(action.long())
                states.append(self._states())
                self._length += ~self._over
                self._over |= fallen | (self._length == LONGEST)
                if self._over.all():
                    break
        return torch.stack(states, 2), torch.stack(actions, 2), torch.stack(played, 2).float()

    def _states(self) -> Tensor:
        """Present states of the poles, [R, E, 4]."""
        return torch.tensor(self._poles.states.reshape(*self._over.shape, 4), dtype=torch.float32)

    def _update(self, states: Tensor, actions: Tensor, played: Tensor) -> None:
        """Updates all parameters by what `_play` returned."""
        goes_on = torch.tensor(~self._over)
        with torch.no_grad():
            last = self._networks.values(states[:, :, -1]) * goes_on
        targets = bootstrapped(played, last, goes_on, self._setting.discount)
        steps = Steps(states[:, :, :-1], actions, played, *targets)
        trained = self._networks.trained(self._setting.optimisers)
        gradients = [[torch.empty_like(each) for each in parameters] for parameters in trained]
        for replicas, num_steps in self._batches(played):
            batch = Steps(*(each[replicas, :, :num_steps].flatten(1, 2) for each in steps))
            found = self._gradients(replicas, batch)
            for of_all, of_batch in zip(gradients, found, strict=True):
                for whole, part in zip(of_all, of_batch, strict=True):
                    whole[replicas] = part
        # One after another, since both may train a shared layer, each by its own gradient.
        for optimiser, parameters, of_all in zip(self._optimisers, trained, gradients, strict=True):
            for parameter, gradient in zip(parameters, of_all, strict=True):
                parameter.grad = gradient
            optimiser.step()

    def _batches(self, played: Tensor) -> Iterator[tuple[Tensor, int]]:
        """Yields indices of replicas to compute together, and the length of their longest episode.

        Replicas are sorted by that length, so that little is padded.
        """
        lengths = played.sum(-1).amax(1)  # [R]
        size = max(1, CACHED // (self._setting.units * played[0].numel()))
        for replicas in lengths.argsort().split(size):
            yield replicas, int(lengths[replicas[-1]])

    def _gradients(self, replicas: Tensor, steps: Steps) -> list[tuple[Tensor, ...]]:
        """Gradients of r replicas' parameters, by optimiser, from their steps; adds to `_sums`."""
        setting, networks = self._setting, self._networks.copies(replicas)
        targets = steps.targets
        if setting.standardises:
            targets = standardised(targets, steps.played)
        log_policy = networks.logits(steps.states).log_softmax(-1)
        log_probs = log_policy.gather(-1, steps.actions[..., None]).squeeze(-1)
        values = networks.values(steps.states)
        baseline = torch.where(self._attached[replicas, None], values, values.detach())
        losses = setting.losses(log_probs, values, targets, baseline, steps.played)
        totals = [losses.policy, self._weight[replicas] * losses.value]
        if setting.optimisers == 1:
            totals = [totals[0] + totals[1]]
        with torch.no_grad():
            limit = setting.largest_error
            numbers = StepSums(
                steps=torch.ones_like(values),
                error=(values - targets).clamp(-limit, limit),
                entropy=-(log_policy.exp() * log_policy).sum(-1),
                bootstrap=steps.bootstraps,
                value=values,
            )  # [r, N] each
            sums = (torch.stack(numbers) * steps.played).sum(-1)  # [5, r]
            self._sums[replicas.numpy()] += sums.T.double().numpy()
        return [
            torch.autograd.grad(total.sum(), parameters, retain_graph=True)
            for total, parameters in zip(totals, networks.trained(setting.optimisers), strict=True)
        ]

    def _record_episodes(self) -> None:
        """Records the episodes that the last update ended."""
        for replica in np.flatnonzero(self._over.any(axis=1)):
            lengths = self._length[replica, self._over[replica]].tolist()
            self._records[replica].add(lengths, self._num_updates, self._sums[replica].copy())
            self._sums[replica] = 0

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        """Keeps only the replicas that are `kept`, [R]."""
        mask = torch.tensor(kept)
        for optimiser in self._optimisers:
            for state in optimiser.state.values():
                for name, value in state.items():
                    if value.dim():  # not the count of steps
                        state[name] = value[mask]
        for parameter in self._networks.parameters():
            parameter.data, parameter.grad = parameter.data[mask], None
        self._weight, self._attached = self._weight[mask], self._attached[mask]
        self._poles.keep(np.repeat(kept, self._setting.episodes))
        self._over, self._length = self._over[kept], self._length[kept]
        self._sums = self._sums[kept]
        self._records = [self._records[replica] for replica in np.flatnonzero(kept)]


def bootstrapped(
    played: Tensor, last: Tensor, goes_on: Tensor, discount: float
) -> tuple[Tensor, Tensor]:
    """Returns from each step of a segment on, and the weight of the bootstrap value in each.

    A step n steps before the end of the segment has the return 1 + γ + ... + γⁿ⁻¹ + γⁿ v. If the
    episode ends within the segment, the bootstrap value v and its weight γⁿ are replaced by 0.

    Args:
        played: 1 for each step played, 0 after the episode's end, [..., L].
        last: v, value of the state after the last step; 0 if the episode has ended, [...].
        goes_on: whether the episode goes on after the segment, [...].
        discount: γ.
    Returns:
        Returns and weights, [..., L] each.
    """
    following, weight = last, goes_on.float()
    returns, weights = [], []
    for step in reversed(played.unbind(-1)):
        following = torch.where(step > 0, 1 + discount * following, following)
        weight = torch.where(step > 0, discount * weight, weight)
        returns.append(following)
        weights.append(weight)
    return torch.stack(returns[::-1], -1), torch.stack(weights[::-1], -1)
