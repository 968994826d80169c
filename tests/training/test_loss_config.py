"""Settings of the losses that make no sense are refused, in one line."""

from __future__ import annotations

from typing import Any

import pytest

from pwm.core.errors import InputError
from pwm.training.loss_config import LossConfig

BAD_VALUES: list[tuple[str, Any]] = [
    ("baseline", "none"),
    ("baseline", True),
    ("policy_reduction", "max"),
    ("discount", -0.1),
    ("discount", 1.1),
    ("discount", float("nan")),
    ("optimism", -1.0),
    ("lost_gradients", "all"),
    ("returns", "none"),
    ("trace_decay", -0.1),
    ("trace_decay", 1.1),
    ("trace_decay", float("nan")),
    ("return_horizon", "step"),
    ("balance", "gradnorm"),
    ("value_loss", "absolute"),
    ("clip_gradient", -1.0),
    ("clip_gradient", float("inf")),
    ("entropy_weight", -1.0),
    ("entropy_weight", float("nan")),
    ("entropy_weight", float("inf")),
]


def test_hubers_loss_with_a_learned_variance_is_refused() -> None:
    with pytest.raises(InputError, match="--value-loss huber: expected squared with uncertainty"):
        LossConfig(balance="uncertainty", value_loss="huber")


def test_targets_cannot_leak_from_a_detached_baseline() -> None:
    with pytest.raises(InputError, match="--leaking-targets True: expected False with a detached"):
        LossConfig(baseline="detached", leaking_targets=True)


@pytest.mark.parametrize(("field", "value"), BAD_VALUES)
def test_errors_name_the_field_and_the_value(field: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        LossConfig(**{field: value})
    assert caught.value.name == field
    assert str(caught.value).startswith(f"--{field.replace('_', '-')} {value}: expected ")
