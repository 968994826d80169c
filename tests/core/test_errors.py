"""Errors name what was typed, and survive pickling, as between processes."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from pwm.core.errors import (
    InputError,
    is_number,
    require,
    require_between,
    require_integer,
    require_non_negative,
    require_positive,
)
from pwm.runs.experiment import Experiment
from pwm.training.config import TrainConfig
from pwm.training.loss_config import LossConfig


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("critic_weight", -1, "more"), "--critic-weight -1: expected more"),
        (InputError("NAMES", "x", "a name"), "NAMES x: expected a name"),
    ],
)
def test_messages_name_the_value_and_survive_pickling(error: InputError, message: str) -> None:
    copy = pickle.loads(pickle.dumps(error))
    for one in (error, copy):
        assert str(one) == message
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)


def test_requirements_raise_only_if_violated() -> None:
    require(True, "name", 1, "anything")
    with pytest.raises(InputError, match="--name 1: expected 2"):
        require(False, "name", 1, "2")


def test_bounds_of_numbers_are_exact() -> None:
    for value in (0, 0.5, 1e38):
        require_non_negative("rate", value)
    for value in (1e-300, 1e38):
        require_positive("rate", value)
    for value in (-1e-300, 2e38, float("inf"), float("nan"), 10**400):
        with pytest.raises(InputError, match=r"expected a finite number from 0 to 1e\+38"):
            require_non_negative("rate", value)
    for value in (0, -1, 2e38, float("nan")):
        with pytest.raises(InputError, match=r"expected a finite number above 0 and at most"):
            require_positive("rate", value)
    require_integer("seed", 3, 3)
    not_integers: list[object] = [2, 3.0, True, "3"]
    for other in not_integers:
        with pytest.raises(InputError, match="expected an integer, 3 or above"):
            require_integer("seed", other, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["1", None, True, (1,)])
def test_what_is_no_number_is_refused_as_a_number_out_of_bounds_is(value: Any) -> None:
    with pytest.raises(InputError, match="expected a finite number from 0 to"):
        require_non_negative("rate", value)
    with pytest.raises(InputError, match="expected a finite number above 0"):
        require_positive("rate", value)
    with pytest.raises(InputError, match="expected a number from 0 to 2"):
        require_between("rate", value, 0, 2)
    with pytest.raises(InputError, match="--tracking-rate"):
        LossConfig(tracking_rate=value)
    with pytest.raises(InputError, match="--critic-start"):
        TrainConfig(critic_start=value)
    with pytest.raises(InputError, match="--learning-rate"):
        Experiment(name="mine", axes={"learning_rate": (value,)})


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5), np.int64(1)])
def test_numbers_of_numpy_are_numbers(value: Any) -> None:
    assert is_number(value, 0, 1)
    assert not is_number(value, 2)
