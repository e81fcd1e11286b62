"""Exact binomial bounds (Clopper and Pearson 1934), without SciPy: the default install has none (ADR 14)."""

import math
from functools import lru_cache

# A quantile is found by halving [0, 1] so often: 2^-60 is below any rate that could be measured.
HALVINGS = 60
# Lentz's method: where a term changes the fraction by less, or 0 would be divided by.
PRECISION = 1e-15
TINY = 1e-300
MAX_TERMS = 100_000


@lru_cache(maxsize=65_536)
def interval_95(count: int, total: int) -> tuple[float, float]:
    """Return the two-sided 95 % Clopper-Pearson interval of `count` successes in `total` independent trials.

    Its ends are quantiles of beta distributions (Brown, Cai and DasGupta 2001, section 4.2.1), so it covers
    the true share in at least 95 % of samples, whatever the share. Raises ValueError for no trials.
    """
    return _lower(count, total, 0.025), _upper(count, total, 0.025)


@lru_cache(maxsize=65_536)
def upper_bound_95(count: int, total: int) -> float:
    """Return the one-sided 95 % upper bound: for 0 successes about 3 / total (the rule of three).

    What is to be shown to be small is compared with this bound; the upper end of the interval has 2.5 %
    above it and is larger. Raises ValueError for no trials.
    """
    return _upper(count, total, 0.05)


def trials_needed(share: float) -> int:
    """Return how many trials without a single success show, at 95 %, that the true share is at most `share`.

    The smallest n with (1 - share)^n <= 0.05. Raises ValueError unless 0 < share < 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"{share} is not between 0 and 1")
    about = math.ceil(math.log(0.05) / math.log1p(-share))
    return next(n for n in (about - 1, about, about + 1) if n > 0 and upper_bound_95(0, n) <= share)


def _lower(count: int, total: int, tail: float) -> float:
    _require(count, total)
    return 0.0 if count == 0 else _beta_quantile(tail, count, total - count + 1)


def _upper(count: int, total: int, tail: float) -> float:
    _require(count, total)
    return 1.0 if count == total else 1.0 - _beta_quantile(tail, total - count, count + 1)


def _require(count: int, total: int) -> None:
    if not 0 <= count <= total or total == 0:
        raise ValueError(f"{count} of {total} is no proportion")


def _beta_quantile(probability: float, a: float, b: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if beta_cdf(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return I_x(a, b), the regularised incomplete beta function (DLMF 8.17), for 0 < x < 1."""
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    front = math.exp(logarithm)
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(1.0 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of DLMF 8.17.22 by Lentz's method, mended by Thompson and Barnett (1986)."""
    value, c, d = 1.0, 1.0, 0.0
    for term in range(1, MAX_TERMS):
        m = term // 2
        if term % 2:
            part = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            part = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / (1.0 + part * d or TINY)
        c = 1.0 + part / c or TINY
        value *= c * d
        if abs(c * d - 1.0) < PRECISION:
            break
    return 1.0 / value
