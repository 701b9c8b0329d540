"""The few probability distributions that intervals and tests need, without scipy.

Each function is checked against scipy in the tests.
"""

from __future__ import annotations

from math import comb, exp, lgamma, log, log1p
from statistics import NormalDist

_NORMAL = NormalDist()


def normal_quantile(p: float) -> float:
    """The z below which a share `p` of the standard normal lies, 0 < p < 1."""
    return _NORMAL.inv_cdf(p)


def normal_two_sided(z: float) -> float:
    """P(|Z| >= |z|) of the standard normal."""
    return 2 * _NORMAL.cdf(-abs(z))


def t_quantile(p: float, freedom: float) -> float:
    """The t below which a share `p` of Student's distribution with `freedom` > 0 lies."""
    if not 0 < p < 1 or freedom <= 0:
        raise ValueError(f"expected 0 < p < 1 and freedom > 0, got p={p}, freedom={freedom}")
    if p < 0.5:
        return -t_quantile(1 - p, freedom)
    low, high = 0.0, 1.0
    while t_cdf(high, freedom) < p:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if t_cdf(middle, freedom) < p else (low, middle)
    return (low + high) / 2


def t_cdf(t: float, freedom: float) -> float:
    """P(T <= t) of Student's distribution."""
    tail = 0.5 * incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))
    return 1 - tail if t > 0 else tail


def binomial_two_sided(successes: int, trials: int) -> float:
    """Exact two-sided P for `successes` of `trials` fair coins; 1 when there are no trials."""
    if trials == 0:
        return 1.0
    few = min(successes, trials - successes)
    if trials <= 1000:
        tail = sum(comb(trials, k) for k in range(few + 1)) / 2**trials
    else:  # The exact integers grow long; the incomplete beta gives the same tail.
        tail = incomplete_beta(trials - few, few + 1, 0.5)
    return min(1.0, 2 * tail)


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta I_x(a, b), by Lentz's continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    fraction = d
    for m in range(1, 10_000):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + numerator * d
            c = 1 + numerator / c
            d = 1 / (d if abs(d) > tiny else tiny)
            c = c if abs(c) > tiny else tiny
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * fraction
