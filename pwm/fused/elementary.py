"""exp, tanh, sigmoid and log in single precision, with the same bits on every machine.

Each of the four takes and returns a vector. It reduces its argument's range by a power of two and
evaluates a polynomial, with IEEE and bit operations in a fixed order. The largest error is below 4
units in the last place.
"""

from __future__ import annotations

import numpy as np

from pwm.fused.compilation import compiled
from pwm.fused.vectors import Bits, Lanes, bits_of, broadcast, choose, first, number_of

ZERO, HALF, ONE, TWO = (np.float32(number) for number in (0, 0.5, 1, 2))
LOG2_E = np.float32(1.4426950408889634)
# log 2 in two parts. The first has few bits, so its product with a small integer is exact.
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
# The bits of x + `ROUNDER`, minus those of `ROUNDER`, are the integer nearest x, if |x| < 2^22.
ROUNDER, ROUNDER_BITS = np.float32(1.5 * 2**23), np.int32(0x4B400000)
EXPONENT_BIAS, MANTISSA_BITS = np.int32(127), np.int32(23)
ONE_BIT = np.int32(1)
SIGN_BIT = np.int32(-(2**31))
INFINITY, NOT_A_NUMBER = np.float32(np.inf), np.float32(np.nan)
# Outside these limits, exp is 0 or infinite in single precision.
EXP_LEAST, EXP_MOST = np.float32(-105), np.float32(90)
TANH_MOST = np.float32(20)  # limit on 2 |x| in tanh(x), which rounds to 1 from there on
# Coefficients of the powers of x in exp(x) (E) and log(1 + x) (L), from Cephes (Moshier, 1989).
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
# Multiplying a subnormal number by 2^25 makes it normal; log then subtracts 25 from the exponent.
INTO_NORMAL, INTO_NORMAL_EXPONENT = np.float32(2**25), np.float32(25)


@compiled
def larger(one: Lanes, other: Lanes) -> Lanes:
    """Lane-wise maximum: `other` where it is larger, else `one`, so also where either is NaN."""
    return choose(other > one, other, one)


@compiled
def smaller(one: Lanes, other: Lanes) -> Lanes:
    """Lane-wise minimum: `other` where it is smaller, else `one`, so also where either is NaN."""
    return choose(other < one, other, one)


@compiled
def exp_of_number(x: np.float32) -> np.float32:
    """The exponential function of one number."""
    power: np.float32 = first(exp(broadcast(x)))
    return power


@compiled
def _power_of_two(exponent: Bits) -> Lanes:
    """Exact power of two, for integer exponents from -126 to 127."""
    return number_of((exponent + EXPONENT_BIAS) << MANTISSA_BITS)


@compiled
def _exp_parts(x: Lanes) -> tuple[Bits, Lanes]:
    """Integer n and number p such that exp(x) ≈ 2^n (1 + p), |p| < 0.42, for |x| ≤ 105."""
    rounded = x * LOG2_E + ROUNDER
    n = rounded - ROUNDER  # the nearest integer to x / log 2, as a float
    rest = (x - n * LN2_HIGH) - n * LN2_LOW  # x - n log 2
    series = ((((E7 * rest + E6) * rest + E5) * rest + E4) * rest + E3) * rest + E2
    return bits_of(rounded) - ROUNDER_BITS, rest + rest * rest * series


@compiled
def exp(x: Lanes) -> Lanes:
    """The exponential function."""
    exponent, part = _exp_parts(smaller(larger(x, EXP_LEAST), EXP_MOST))
    # 2^n is the product of two powers, as it may itself be too large or too small for a float.
    half = exponent >> ONE_BIT
    return (ONE + part) * _power_of_two(half) * _power_of_two(exponent - half)


@compiled
def sigmoid(x: Lanes) -> Lanes:
    """Logistic function, 1 / (1 + exp(-x)), computed from exp(-|x|), which cannot overflow."""
    power = exp(number_of(bits_of(x) | SIGN_BIT))
    return choose(x >= ZERO, ONE, power) / (ONE + power)


@compiled
def tanh(x: Lanes) -> Lanes:
    """Hyperbolic tangent: u / (u + 2) with the sign of x, where u = exp(2 |x|) - 1."""
    sign = bits_of(x) & SIGN_BIT
    exponent, part = _exp_parts(smaller(TWO * number_of(bits_of(x) ^ sign), TANH_MOST))
    power = _power_of_two(exponent)
    u = part * power + (power - ONE)
    return number_of(bits_of(u / (u + TWO)) | sign)


@compiled
def log(x: Lanes) -> Lanes:
    """Natural logarithm of x = 2^n (1 + rest): n log 2 plus a polynomial in the rest.

    The integer n is chosen so that 1 + rest is between √½ and √2. At 0, log is -∞; below 0, NaN.
    """
    subnormal = x < LEAST_NORMAL
    bits = bits_of(choose(subnormal, x * INTO_NORMAL, x))
    exponent = (bits - SQRT_HALF_BITS) >> MANTISSA_BITS
    rest = number_of(bits - (exponent << MANTISSA_BITS)) - ONE
    n = number_of(exponent + ROUNDER_BITS) - ROUNDER  # the exponent as a float
    n = n - choose(subnormal, INTO_NORMAL_EXPONENT, ZERO)
    series = ((L11 * rest + L10) * rest + L9) * rest + L8
    series = ((((series * rest + L7) * rest + L6) * rest + L5) * rest + L4) * rest + L3
    square = rest * rest
    result = (square * rest * series + n * LN2_LOW - HALF * square + rest) + n * LN2_HIGH
    result = choose(x >= INFINITY, x, result)
    result = choose(x <= ZERO, -INFINITY, result)
    return choose(x >= ZERO, result, NOT_A_NUMBER)
