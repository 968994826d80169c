"""The timed parts of an episode compute what the engine does, and leave little out."""

from __future__ import annotations

import platform

import pytest

from pwm.training.config import TrainConfig

pytestmark = [
    pytest.mark.machine,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="its traps are those of x86"),
]


def test_the_parts_have_the_bits_of_the_engine_and_nearly_all_of_its_instructions() -> None:
    from tests.tools.parts import Parts  # noqa: PLC0415, compiled for x86

    parts = Parts(TrainConfig(num_episodes=10**9), 4)
    parts.check()
    counted, total = parts.instructions()
    assert 0.9 < counted.sum() / total < 1.02
