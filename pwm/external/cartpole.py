"""Gymnasium's CartPole in many environments at once, each with its own random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi

import numpy as np
from numpy.typing import NDArray

# Gymnasium's constants, in SI units
TOTAL_MASS, POLE_MASS, HALF_LENGTH = 1.1, 0.1, 0.5
POLE_MOMENT = POLE_MASS * HALF_LENGTH  # first moment of mass about the hinge
GRAVITY, FORCE, TIME_STEP = 9.8, 10.0, 0.02
LARGEST_POSITION, LARGEST_ANGLE = 2.4, 12 * 2 * pi / 360
START = 0.05  # each component of an initial state is uniform in [-START, START]


class CartPoles:
    """CartPole in B environments; those with the same seed draw the same initial states."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._random = [np.random.default_rng(seed) for seed in seeds]
        self.states = np.zeros((len(seeds), 4))
        """Position, velocity, angle, angular velocity: [B, 4]; 0 until `reset` draws them."""

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Removes all environments for which `kept`, [B], is false."""
        self._random = [self._random[environment] for environment in np.flatnonzero(kept)]
        self.states = self.states[kept]

    def reset(self, over: NDArray[np.bool_]) -> None:
        """Draws new initial states for all environments for which `over`, [B], is true."""
        for environment in np.flatnonzero(over):
            self.states[environment] = self._random[environment].uniform(-START, START, 4)

    def step(self, actions: NDArray[np.integer | np.bool_]) -> NDArray[np.bool_]:
        """Pushes each cart to the left (0) or to the right (1) for one time step; actions are [B].

        Uses Euler's method, and the equations of motion of Barto, Sutton & Anderson (1983) without
        friction. Returns whether each pole is down or its cart off the track, [B]; both move on
        until `reset`, and may come back.
        """
        _, velocity, angle, angular_velocity = self.states.T
        cosine, sine = np.cos(angle), np.sin(angle)
        push = np.where(actions == 1, FORCE, -FORCE)
        # Acceleration of the cart if the pole's angular velocity were constant
        steady = (push + POLE_MOMENT * np.square(angular_velocity) * sine) / TOTAL_MASS
        effective_length = HALF_LENGTH * (4 / 3 - POLE_MASS * np.square(cosine) / TOTAL_MASS)
        angular_acceleration = (GRAVITY * sine - cosine * steady) / effective_length
        acceleration = steady - POLE_MOMENT * angular_acceleration * cosine / TOTAL_MASS
        derivatives = [velocity, acceleration, angular_velocity, angular_acceleration]
        self.states = self.states + TIME_STEP * np.stack(derivatives, axis=1)
        position, _, angle, _ = self.states.T
        fallen: NDArray[np.bool_] = np.abs(angle) > LARGEST_ANGLE
        return fallen | (np.abs(position) > LARGEST_POSITION)
