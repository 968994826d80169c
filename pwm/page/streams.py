"""The random streams of `pwm.core.streams`, compiled for where there is no NumPy.

A stream is NumPy's Philox generator with a key from NumPy's `SeedSequence`: Philox 4x64 with ten
rounds (Salmon et al., 2011), and the mixing of seeds after O'Neill's `seed_seq_fe`. Both consist of
integer arithmetic alone.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from pwm.fused.compilation import compiled, compiled_apart
from pwm.fused.layout import Floats, Integers, Places

Block: TypeAlias = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
POOL = 4  # words of 32 bits that all entropy is mixed into
ROUNDS = 10
BLOCK = 4  # integers that are drawn together
ONE, HALF, LENGTH = np.uint64(1), np.uint64(16), np.uint64(32)  # LENGTH of a word, in bits
WORD = np.uint64(0xFFFFFFFF)  # selects the low word
TOP, UNIT = np.uint64(40), np.float32(2**-24)
# Philox multiplies by the factors, and adds the steps to its key after each round.
FACTOR_0, FACTOR_1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
STEP_0, STEP_1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
# SeedSequence hashes words with a constant that is multiplied by a factor after each.
IN_FIRST, IN_FACTOR = np.uint64(0x43B0D7E5), np.uint64(0x931E8875)
OUT_FIRST, OUT_FACTOR = np.uint64(0x8B51F9DD), np.uint64(0x58F38DED)
MIX_LEFT, MIX_RIGHT = np.uint64(0xCA01F9DD), np.uint64(0x4973F715)


@compiled_apart
def make_key(entropy: Places, pool: Places, key: Places) -> None:
    """Writes the key (2,) of a stream.

    Args:
        entropy: words, each in an element: those of the seed, the lowest first, filled up with
            zeros to at least `POOL`; then the bytes of the stream's name.
        pool: working memory (POOL,).
        key: output.
    """
    constant = IN_FIRST
    for place in range(POOL):
        pool[place] = _hashed(entropy[place], constant, IN_FACTOR)
        constant = constant * IN_FACTOR & WORD
    for source in range(len(entropy)):
        for place in range(POOL):
            if place != source:  # the pool is mixed with itself, then with the rest of the entropy
                word = pool[source] if source < POOL else entropy[source]
                mixed = MIX_LEFT * pool[place] - MIX_RIGHT * _hashed(word, constant, IN_FACTOR)
                pool[place] = _folded(mixed & WORD)
                constant = constant * IN_FACTOR & WORD
    constant = OUT_FIRST
    for place in range(POOL):
        pool[place] = _hashed(pool[place], constant, OUT_FACTOR)
        constant = constant * OUT_FACTOR & WORD
    key[0] = pool[0] | (pool[1] << LENGTH)
    key[1] = pool[2] | (pool[3] << LENGTH)


@compiled
def _hashed(word: np.uint64, constant: np.uint64, factor: np.uint64) -> np.uint64:
    return _folded((word ^ constant) * (constant * factor & WORD) & WORD)


@compiled
def _folded(word: np.uint64) -> np.uint64:
    return word ^ (word >> HALF)


@compiled_apart
def draw_uniform(key: Places, first: int, out: Floats) -> None:
    """Draws like `to_uniform`, from the stream's integer number `first` on, into a row."""
    for number in range(first // BLOCK, (first + len(out) - 1) // BLOCK + 1):
        place = number * BLOCK - first
        for integer in _block(key, number):
            if 0 <= place < len(out):
                out[place] = np.float32(integer >> TOP) * UNIT
            place += 1


@compiled_apart
def draw_index(key: Places, first: int, size: int, out: Integers) -> None:
    """Draws like `to_index`, from the stream's integer number `first` on, into a row."""
    for number in range(first // BLOCK, (first + len(out) - 1) // BLOCK + 1):
        place = number * BLOCK - first
        for integer in _block(key, number):
            if 0 <= place < len(out):
                out[place] = np.int64((integer >> LENGTH) * np.uint64(size) >> LENGTH)
            place += 1


@compiled_apart
def _block(key: Places, number: int) -> Block:
    """Four integers of a stream; blocks are counted from 0, Philox counts them from 1."""
    a, b, c, d = np.uint64(number) + ONE, np.uint64(0), np.uint64(0), np.uint64(0)
    key_0, key_1 = key[0], key[1]
    for _ in range(ROUNDS):
        high_0, high_1 = _high(FACTOR_0, a), _high(FACTOR_1, c)
        a, b, c, d = high_1 ^ b ^ key_0, FACTOR_1 * c, high_0 ^ d ^ key_1, FACTOR_0 * a
        key_0, key_1 = key_0 + STEP_0, key_1 + STEP_1
    return a, b, c, d


@compiled
def _high(one: np.uint64, other: np.uint64) -> np.uint64:
    """The upper 64 bits of a product of two integers of 64 bits."""
    low_0, high_0 = one & WORD, one >> LENGTH
    low_1, high_1 = other & WORD, other >> LENGTH
    middle = high_0 * low_1 + (low_0 * low_1 >> LENGTH)
    other_middle = low_0 * high_1 + (middle & WORD)
    return high_0 * high_1 + (middle >> LENGTH) + (other_middle >> LENGTH)
