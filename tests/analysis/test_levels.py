"""Reward levels, compared with the enumeration of all policies."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pwm.analysis.levels import RewardLevels, reward_levels
from pwm.core.errors import InputError
from tests.oracles.plain_task import LEFT, RIGHT, decision_reward
from tests.support.stimuli import ALL_PAIRS, stimulus_set


@pytest.mark.parametrize(
    ("name", "levels"),
    [("pwm5", (1 / 3, 1 / 2, 5 / 8, 1)), ("pwm0", (1 / 3, 1 / 2, 1, 1))],
)
def test_reward_levels_of_the_notes_are_exact(name: str, levels: RewardLevels) -> None:
    assert reward_levels(name) == levels


@given(st.lists(st.sampled_from(ALL_PAIRS), min_size=1, max_size=6, unique=True))
def test_reward_levels_agree_with_the_best_of_all_policies(pairs: list[str]) -> None:
    rewards = {
        (pair, action): decision_reward(pair, action) for pair in pairs for action in range(3)
    }
    seconds = sorted({pair[1] for pair in pairs})

    def best(policies: Iterator[dict[str, int]]) -> float:
        return max(sum(rewards[pair, policy[pair]] for pair in pairs) for policy in policies)

    one_sided = best(dict.fromkeys(pairs, side) for side in (LEFT, RIGHT))
    memoryless = best(
        {pair: actions[seconds.index(pair[1])] for pair in pairs}
        for actions in product(range(3), repeat=len(seconds))
    )
    solved = best(
        dict(zip(pairs, actions, strict=True)) for actions in product(range(3), repeat=len(pairs))
    )
    with stimulus_set(tuple(pairs)) as name:
        levels = reward_levels(name)
    rewarded = [sum(rewards.values()) / 3, one_sided, memoryless, solved]
    assert levels == pytest.approx(np.array(rewarded) / len(pairs), rel=1e-6)


def test_errors_name_an_unknown_stimulus_set() -> None:
    with pytest.raises(InputError, match="pwm9"):
        reward_levels("pwm9")
