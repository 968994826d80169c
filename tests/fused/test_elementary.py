"""exp, tanh, sigmoid and log agree with double precision over the whole range of float32.

Every 1021st bit pattern and the edge cases are tested. An exhaustive search, made once, found no
error above 2.5 units in the last place.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan

import numba
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from pwm.fused import elementary
from pwm.fused.vectors import LANES, load, store

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
LARGEST_ERROR = 4.0  # units in the last place
SMALLEST, LEAST_NORMAL, LARGEST = 2.0**-149, 2.0**-126, float(np.finfo(np.float32).max)


Function = Callable[[Doubles], Doubles]
REFERENCES: dict[str, Function] = {"exp": np.exp, "sigmoid": expit, "tanh": np.tanh, "log": np.log}


def computed(name: str, inputs: Floats) -> Floats:
    """Applies the function of that name to each number, in compiled code."""
    function = getattr(elementary, name)

    @numba.njit(error_model="numpy")
    def fill(outputs: Floats, inputs: Floats) -> None:
        for index in range(0, len(inputs), LANES):
            store(outputs, index, function(load(inputs, index)))

    padded = np.concatenate([inputs, np.zeros(-len(inputs) % LANES, np.float32)])
    outputs = np.empty_like(padded)
    fill(outputs, padded)
    return outputs[: len(inputs)]


def samples() -> Floats:
    """Numbers of every sign and exponent, subnormals and NaN, and more of moderate size."""
    bits = np.arange(0, 2**32, 1021).astype(np.uint32)
    wide = np.linspace(-110, 110, 1_000_001, dtype=np.float32)
    narrow = np.linspace(0.4, 3.1, 1_000_001, dtype=np.float32)
    return np.concatenate([bits.view(np.float32), wide, narrow])


@pytest.mark.parametrize("name", REFERENCES)
def test_every_result_is_within_four_units_in_the_last_place(name: str) -> None:
    inputs = samples()
    outputs = computed(name, inputs)
    with np.errstate(all="ignore"):
        exact = REFERENCES[name](inputs.astype(np.float64))
        rounded = exact.astype(np.float32)
        finite = np.isfinite(rounded)
        unit = np.spacing(np.abs(rounded[finite])).astype(np.float64)
    error = np.abs(outputs[finite] - exact[finite]) / unit
    assert error.max() <= LARGEST_ERROR
    assert np.array_equal(outputs[~finite], rounded[~finite], equal_nan=True)
    assert np.array_equal(np.signbit(outputs[finite]), np.signbit(rounded[finite]))


# Exact results: pairs of argument and result for each function.
EDGES = {
    "exp": [
        (0.0, 1.0), (-0.0, 1.0), (inf, inf), (-inf, 0.0),
        (LARGEST, inf), (-LARGEST, 0.0), (89.0, inf), (SMALLEST, 1.0),
        (-103.0, SMALLEST),  # rounded from 1.2 times as much
        (-104.0, 0.0),
    ],
    "sigmoid": [
        (0.0, 0.5), (-0.0, 0.5), (inf, 1.0), (-inf, 0.0), (20.0, 1.0), (-103.0, SMALLEST),
    ],
    "tanh": [
        (0.0, 0.0), (-0.0, -0.0), (inf, 1.0), (-inf, -1.0),
        (SMALLEST, SMALLEST), (-SMALLEST, -SMALLEST), (LEAST_NORMAL, LEAST_NORMAL),
        (10.0, 1.0), (-LARGEST, -1.0),
    ],
    "log": [
        (1.0, 0.0), (0.0, -inf), (-0.0, -inf), (inf, inf),
        (-inf, nan), (-1.0, nan), (SMALLEST, float(np.float32(np.log(SMALLEST)))),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", REFERENCES)
def test_edges_are_exact(name: str) -> None:
    inputs, expected = np.array([*EDGES[name], (nan, nan)], np.float32).T
    outputs = computed(name, np.ascontiguousarray(inputs))
    assert np.array_equal(outputs, expected, equal_nan=True), outputs
    assert np.array_equal(np.signbit(outputs)[outputs == 0], np.signbit(expected)[outputs == 0])
