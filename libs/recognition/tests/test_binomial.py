"""Exact bounds, against SciPy and against the definition."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats  # type: ignore[import-untyped]

from overt.recognition.binomial import beta_cdf, interval_95, trials_needed, upper_bound_95

COUNTS = st.integers(1, 200_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@settings(deadline=None)
@given(COUNTS)
def test_intervals_are_those_of_scipy(counts: tuple[int, int]) -> None:
    count, total = counts
    exact = stats.binomtest(count, total).proportion_ci(0.95, method="exact")

    assert interval_95(count, total) == pytest.approx((exact.low, exact.high), rel=1e-6, abs=1e-12)


@settings(deadline=None)
@given(COUNTS)
def test_the_one_sided_bound_is_that_of_scipy(counts: tuple[int, int]) -> None:
    count, total = counts
    exact = stats.binomtest(count, total, alternative="less").proportion_ci(0.95, method="exact")

    assert upper_bound_95(count, total) == pytest.approx(exact.high, rel=1e-6)


@settings(deadline=None)
@given(x=st.floats(1e-9, 1 - 1e-9), a=st.floats(0.5, 1e5), b=st.floats(0.5, 1e5))
def test_the_beta_distribution_is_that_of_scipy(x: float, a: float, b: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(float(special.betainc(a, b, x)), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("count", "total"), [(0, 5), (1, 5), (3, 12), (12, 12)])
def test_at_the_ends_of_an_interval_the_count_is_as_rare_as_is_allowed(count: int, total: int) -> None:
    """The definition: summed up term by term, 2.5 % are left beyond each end."""

    def at_most(k: int, share: float) -> float:
        terms = (math.comb(total, i) * share**i * (1 - share) ** (total - i) for i in range(k + 1))
        return sum(terms)

    lower, upper = interval_95(count, total)
    if count:
        assert 1 - at_most(count - 1, lower) == pytest.approx(0.025)
    if count < total:
        assert at_most(count, upper) == pytest.approx(0.025)


@settings(deadline=None)
@given(COUNTS)
def test_an_interval_holds_its_rate_and_stays_between_0_and_1(counts: tuple[int, int]) -> None:
    lower, upper = interval_95(*counts)

    assert 0 <= lower <= counts[0] / counts[1] <= upper <= 1


@pytest.mark.parametrize(("share", "needed"), [(0.5, 5), (0.01, 299), (0.001, 2995), (1 / 6000, 17973)])
def test_without_an_error_about_three_over_the_rate_are_needed(share: float, needed: int) -> None:
    assert trials_needed(share) == needed
    assert needed == pytest.approx(3 / share, rel=0.2)


@settings(deadline=None)
@given(st.floats(1e-5, 0.9))
def test_one_trial_less_than_needed_does_not_do(share: float) -> None:
    needed = trials_needed(share)

    assert upper_bound_95(0, needed) <= share
    assert needed == 1 or upper_bound_95(0, needed - 1) > share


@pytest.mark.parametrize(("count", "total"), [(0, 0), (2, 1), (-1, 5)])
def test_what_is_no_proportion_is_refused(count: int, total: int) -> None:
    with pytest.raises(ValueError, match="is no proportion"):
        interval_95(count, total)
    with pytest.raises(ValueError, match="is no proportion"):
        upper_bound_95(count, total)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_of_nothing_or_of_all_needs_no_number_of_trials(share: float) -> None:
    with pytest.raises(ValueError, match="is not between 0 and 1"):
        trials_needed(share)
