"""Gymnasium's CartPole, many at once, each replica with random numbers of its own."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi

import numpy as np
from numpy.typing import NDArray

TOTAL_MASS, POLE_MASS, HALF_LENGTH = 1.1, 0.1, 0.5
POLE_MOMENT = POLE_MASS * HALF_LENGTH
GRAVITY, FORCE, SECONDS = 9.8, 10.0, 0.02
LARGEST_POSITION, LARGEST_ANGLE = 2.4, 12 * 2 * pi / 360
START = 0.05  # the largest coordinate of a first state


class CartPoles:
    """R cartpoles, of which each can be reset at any time.

    Args:
        seeds: one for each replica; replicas of one seed have the same first states.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._random = [np.random.default_rng(seed) for seed in seeds]
        self.states = np.zeros((len(seeds), 4))
        """Position, velocity, angle, angular velocity: [R, 4]."""

    def keep(self, which: NDArray[np.bool_]) -> None:
        """Leaves out all other replicas, [R]."""
        self._random = [self._random[replica] for replica in np.flatnonzero(which)]
        self.states = self.states[which]

    def reset(self, which: NDArray[np.bool_]) -> None:
        """Draws first states for some replicas, [R]."""
        for replica in np.flatnonzero(which):
            self.states[replica] = self._random[replica].uniform(-START, START, 4)

    def step(self, actions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Pushes each cart left (0) or right (1), [R]; returns which poles have fallen, [R]."""
        _, velocity, angle, angular = self.states.T
        cosine, sine = np.cos(angle), np.sin(angle)
        push = np.where(actions == 1, FORCE, -FORCE)
        force = (push + POLE_MOMENT * np.square(angular) * sine) / TOTAL_MASS
        inertia = HALF_LENGTH * (4 / 3 - POLE_MASS * np.square(cosine) / TOTAL_MASS)
        turn = (GRAVITY * sine - cosine * force) / inertia
        acceleration = force - POLE_MOMENT * turn * cosine / TOTAL_MASS
        changes = np.stack([velocity, acceleration, angular, turn], axis=1)
        self.states = self.states + SECONDS * changes
        far = np.abs(self.states[:, 0]) > LARGEST_POSITION
        fallen: NDArray[np.bool_] = far | (np.abs(self.states[:, 2]) > LARGEST_ANGLE)
        return fallen
