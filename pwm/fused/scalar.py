"""exp, tanh, sigmoid and log in single precision, with the same bits on every machine.

Each combines an exact power of two with a polynomial, by IEEE operations and bit operations in a
fixed order, and is accurate to 4 units in the last place. None has a branch, so that the compiler
can vectorise the loops that call them. Every number is an np.float32 or np.int32, cast
again after each operation on integers, because Numba widens to 64 bits where it can.
"""

from __future__ import annotations

import numpy as np

from pwm.fused.compilation import compiled

ZERO, HALF, ONE, TWO = (np.float32(number) for number in (0, 0.5, 1, 2))
LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH = np.float32(0.693359375)  # few bits: an integer times it is exact
LN2_LOW = np.float32(-2.12194440e-4)
ROUNDER = np.float32(1.5 * 2**23)  # adding it leaves the nearest integer in the low bits
ROUNDER_BITS = np.int32(0x4B400000)
EXPONENT_BIAS = np.int32(127)
MANTISSA_BITS = np.int32(23)
SIGN_BIT = np.int32(-(2**31))
INFINITY, NOT_A_NUMBER = np.float32(np.inf), np.float32(np.nan)
# Outside these, exp is 0 or infinite.
EXP_LEAST, EXP_MOST = np.float32(-105), np.float32(90)
TANH_MOST = np.float32(20)  # of twice the argument; tanh is 1 beyond
# Coefficients from Cephes (Moshier, 1989).
E2, E3, E4, E5, E6, E7 = map(np.float32, (
    5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2,
    8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4,
))  # fmt: skip
L3, L4, L5, L6, L7, L8, L9, L10, L11 = map(np.float32, (
    3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1,
    -1.2420140846e-1, 1.1676998740e-1, -1.1514610310e-1, 7.0376836292e-2,
))  # fmt: skip
SQRT_HALF_BITS = np.int32(0x3F3504F3)
LEAST_NORMAL = np.float32(2**-126)
INTO_NORMAL, INTO_NORMAL_BITS = np.float32(2**25), np.float32(25)


@compiled
def _power_of_two(exponent: np.int32) -> np.float32:
    return np.int32((exponent + EXPONENT_BIAS) << MANTISSA_BITS).view(np.float32)


@compiled
def _exp_parts(x: np.float32) -> tuple[np.int32, np.float32]:
    """An integer n and a number p with exp(x) = 2^n (1 + p), |p| < 0.42."""
    rounded = np.float32(x * LOG2_E + ROUNDER)
    integer = rounded - ROUNDER
    rest = (x - integer * LN2_HIGH) - integer * LN2_LOW
    series = ((((E7 * rest + E6) * rest + E5) * rest + E4) * rest + E3) * rest + E2
    return np.int32(rounded.view(np.int32) - ROUNDER_BITS), rest + rest * rest * series


@compiled
def exp(x: np.float32) -> np.float32:
    """The exponential function."""
    x = EXP_LEAST if x < EXP_LEAST else x
    x = EXP_MOST if x > EXP_MOST else x
    exponent, part = _exp_parts(x)
    half = np.int32(exponent >> np.int32(1))  # the whole power may be subnormal or too large
    return (ONE + part) * _power_of_two(half) * _power_of_two(np.int32(exponent - half))


@compiled
def sigmoid(x: np.float32) -> np.float32:
    """1 / (1 + exp(-x))."""
    power = exp(-abs(x))
    return (ONE if x >= ZERO else power) / (ONE + power)


@compiled
def tanh(x: np.float32) -> np.float32:
    """Hyperbolic tangent, from exp(2 |x|) - 1."""
    twice = TWO * abs(x)
    exponent, part = _exp_parts(TANH_MOST if twice > TANH_MOST else twice)
    power = _power_of_two(exponent)
    less_one = part * power + (power - ONE)
    size = np.float32(less_one / (less_one + TWO)).view(np.int32)
    return np.int32(size | (np.float32(x).view(np.int32) & SIGN_BIT)).view(np.float32)


@compiled
def log(x: np.float32) -> np.float32:
    """Natural logarithm."""
    small = x < LEAST_NORMAL
    bits = np.float32(x * INTO_NORMAL if small else x).view(np.int32)
    exponent = np.int32((bits - SQRT_HALF_BITS) >> MANTISSA_BITS)
    rest = np.int32(bits - (exponent << MANTISSA_BITS)).view(np.float32) - ONE
    power = np.float32(exponent) - (INTO_NORMAL_BITS if small else ZERO)
    series = ((L11 * rest + L10) * rest + L9) * rest + L8
    series = ((((series * rest + L7) * rest + L6) * rest + L5) * rest + L4) * rest + L3
    square = rest * rest
    result = (square * rest * series + power * LN2_LOW - HALF * square + rest) + power * LN2_HIGH
    result = x if x == INFINITY else result
    result = -INFINITY if x == ZERO else result
    return result if x >= ZERO else NOT_A_NUMBER
