"""The public loops' CartPole environments match Gymnasium's, step for step."""

from __future__ import annotations

import gymnasium
import numpy as np

from pwm.external.cartpole import CartPoles


def test_cartpoles_move_and_fall_as_gymnasiums_do() -> None:
    poles = CartPoles([0, 1, 2])
    poles.reset(np.ones(3, bool))
    singles = [gymnasium.make("CartPole-v1").unwrapped for _ in range(3)]
    for single, state in zip(singles, poles.states, strict=True):
        single.reset()
        single.state = state.copy()  # type: ignore[attr-defined]
    random, falls = np.random.default_rng(0), 0
    for _ in range(300):
        actions = random.integers(2, size=3)
        fallen = poles.step(actions)
        steps = [each.step(action) for each, action in zip(singles, actions, strict=True)]
        assert np.allclose(poles.states, [step[0] for step in steps], rtol=1e-5, atol=1e-7)
        assert fallen.tolist() == [step[2] for step in steps]
        poles.reset(fallen)
        falls += fallen.sum()
        for single, state, over in zip(singles, poles.states, fallen, strict=True):
            if over:
                single.reset()
            single.state = state.copy()  # type: ignore[attr-defined]
    assert falls > 20


def test_first_states_depend_on_the_replicas_seed_alone() -> None:
    alone, company = CartPoles([7]), CartPoles([3, 7])
    alone.reset(np.ones(1, bool))
    company.reset(np.ones(2, bool))
    assert np.array_equal(alone.states[0], company.states[1])
    assert not np.array_equal(company.states[0], company.states[1])
    before = company.states.copy()
    company.reset(np.array([False, True]))
    assert np.array_equal(company.states[0], before[0])
    assert not np.array_equal(company.states[1], before[1])
    assert np.abs(company.states).max() <= 0.05
