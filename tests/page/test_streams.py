"""The page's compiled random streams, run natively, are those of NumPy."""

from __future__ import annotations

from typing import get_args

import numba
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pwm.fused.layout import Places
from pwm.page import streams
from pwm.training.streams import StreamName, Streams, to_index, to_uniform

WORD = 2**32
# Compiled anew, because Python cannot call functions compiled without a wrapper.
make_key, draw_uniform, draw_index = (
    numba.njit(error_model="numpy")(getattr(streams, name).py_func)
    for name in ("make_key", "draw_uniform", "draw_index")
)
seeds = st.integers(0, 2**53) | st.integers(0, 2**200)


def key_of(seed: int, name: str) -> Places:
    words: list[int] = []
    while seed or len(words) < streams.POOL:
        seed, word = divmod(seed, WORD)
        words.append(word)
    key = np.zeros(2, np.uint64)
    entropy = np.array([*words, *name.encode()], np.uint64)
    make_key(entropy, np.zeros(streams.POOL, np.uint64), key)
    return key


@settings(max_examples=200, deadline=None)
@given(seeds, st.sampled_from(get_args(StreamName)), st.integers(0, 300), st.integers(1, 12))
def test_draws_are_those_of_numpy(seed: int, name: StreamName, first: int, size: int) -> None:
    key, count = key_of(seed, name), 30
    integers = Streams([seed], name).draw(first + count)[0, first:]
    uniform, index = np.zeros(count, np.float32), np.zeros(count, np.int64)
    draw_uniform(key, first, uniform)
    draw_index(key, first, size, index)
    np.testing.assert_array_equal(uniform, to_uniform(integers))
    np.testing.assert_array_equal(index, to_index(integers, size))
