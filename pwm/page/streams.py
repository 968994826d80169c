"""The random streams of `pwm.training.streams`, compiled for use without NumPy.

A stream is NumPy's Philox generator, Philox 4x64 with ten rounds (Salmon et al., 2011). Its key
comes from `SeedSequence`, which mixes seeds like O'Neill's `seed_seq_fe`. Both use integers only.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pwm.fused.compilation import compiled, compiled_apart
from pwm.fused.layout import Floats, Integers

Words: TypeAlias = NDArray[np.uint64]  # 32-bit or 64-bit words
Block: TypeAlias = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
POOL = 4  # 32-bit words into which all entropy is mixed
ROUNDS = 10
BLOCK = 4  # 64-bit integers that Philox makes at once
ONE, HALF_WORD_BITS, WORD_BITS = np.uint64(1), np.uint64(16), np.uint64(32)
LOW_WORD = np.uint64(0xFFFFFFFF)  # mask of the low word
UPPER_24, UNIT = np.uint64(40), np.float32(2**-24)  # shift to the upper 24 bits, and their unit
# In each round, Philox multiplies by the factors; then it adds the steps to its key.
FACTOR_0, FACTOR_1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
STEP_0, STEP_1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
# SeedSequence hashes words with a constant, which it multiplies by a factor after each word.
IN_FIRST, IN_FACTOR = np.uint64(0x43B0D7E5), np.uint64(0x931E8875)
OUT_FIRST, OUT_FACTOR = np.uint64(0x8B51F9DD), np.uint64(0x58F38DED)
MIX_LEFT, MIX_RIGHT = np.uint64(0xCA01F9DD), np.uint64(0x4973F715)


@compiled_apart
def make_key(entropy: Words, pool: Words, key: Words) -> None:
    """Computes the key of a stream from its seed and name.

    Args:
        entropy: 32-bit words: those of the seed, the lowest first, padded with zeros to at least
            `POOL` words; then one for each byte of the stream's name.
        pool: working memory, (POOL,).
        key: output, (2,).
    """
    constant = IN_FIRST
    for place in range(POOL):
        pool[place] = _hashed(entropy[place], constant, IN_FACTOR)
        constant = constant * IN_FACTOR & LOW_WORD
    for source in range(len(entropy)):
        for place in range(POOL):
            # The words of the pool are mixed with each other, then with the rest of the entropy.
            if place != source:
                word = pool[source] if source < POOL else entropy[source]
                mixed = MIX_LEFT * pool[place] - MIX_RIGHT * _hashed(word, constant, IN_FACTOR)
                pool[place] = _folded(mixed & LOW_WORD)
                constant = constant * IN_FACTOR & LOW_WORD
    constant = OUT_FIRST
    for place in range(POOL):
        pool[place] = _hashed(pool[place], constant, OUT_FACTOR)
        constant = constant * OUT_FACTOR & LOW_WORD
    key[0] = pool[0] | (pool[1] << WORD_BITS)
    key[1] = pool[2] | (pool[3] << WORD_BITS)


@compiled
def _hashed(word: np.uint64, constant: np.uint64, factor: np.uint64) -> np.uint64:
    """Hashes a word with the current constant, like `hashmix` in NumPy's SeedSequence."""
    return _folded((word ^ constant) * (constant * factor & LOW_WORD) & LOW_WORD)


@compiled
def _folded(word: np.uint64) -> np.uint64:
    """Replaces the lower half of a 32-bit word by its exclusive or with the upper half."""
    return word ^ (word >> HALF_WORD_BITS)


@compiled_apart
def draw_uniform(key: Words, first: int, out: Floats) -> None:
    """Fills an array with uniform numbers in [0, 1), as `training.streams.to_uniform` makes them.

    Args:
        key: key of the stream, (2,).
        first: index in the stream of the integer for the first element.
        out: output, (count,).
    """
    for number in range(first // BLOCK, (first + len(out) - 1) // BLOCK + 1):
        place = number * BLOCK - first  # in `out`, of the block's first integer
        for integer in _block(key, number):
            if 0 <= place < len(out):
                out[place] = np.float32(integer >> UPPER_24) * UNIT
            place += 1


@compiled_apart
def draw_index(key: Words, first: int, size: int, out: Integers) -> None:
    """Fills an array with integers from 0 to `size` - 1, as `training.streams.to_index` makes them.

    The arguments `key`, `first` and `out` are those of `draw_uniform`.
    """
    for number in range(first // BLOCK, (first + len(out) - 1) // BLOCK + 1):
        place = number * BLOCK - first  # in `out`, of the block's first integer
        for integer in _block(key, number):
            if 0 <= place < len(out):
                out[place] = np.int64((integer >> WORD_BITS) * np.uint64(size) >> WORD_BITS)
            place += 1


@compiled_apart
def _block(key: Words, number: int) -> Block:
    """Block of four integers of a stream; `number` counts from 0, Philox's counter from 1."""
    a, b, c, d = np.uint64(number) + ONE, np.uint64(0), np.uint64(0), np.uint64(0)
    key_0, key_1 = key[0], key[1]
    for _ in range(ROUNDS):
        high_0, high_1 = _high(FACTOR_0, a), _high(FACTOR_1, c)
        a, b, c, d = high_1 ^ b ^ key_0, FACTOR_1 * c, high_0 ^ d ^ key_1, FACTOR_0 * a
        key_0, key_1 = key_0 + STEP_0, key_1 + STEP_1
    return a, b, c, d


@compiled
def _high(factor_0: np.uint64, factor_1: np.uint64) -> np.uint64:
    """Upper 64 bits of the product of two 64-bit integers, computed from their 32-bit words."""
    low_0, high_0 = factor_0 & LOW_WORD, factor_0 >> WORD_BITS
    low_1, high_1 = factor_1 & LOW_WORD, factor_1 >> WORD_BITS
    middle = high_0 * low_1 + (low_0 * low_1 >> WORD_BITS)
    other_middle = low_0 * high_1 + (middle & LOW_WORD)
    return high_0 * high_1 + (middle >> WORD_BITS) + (other_middle >> WORD_BITS)
