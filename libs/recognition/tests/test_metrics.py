import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overt.recognition.metrics import fnir, fpir, proportion, tpir


@pytest.mark.parametrize(
    ("count", "total", "lower", "upper"),
    # By hand from (p + z2/2n +- z sqrt(p(1-p)/n + z2/4n2)) / (1 + z2/n); 10 of 100 is in many textbooks.
    [(0, 10, 0.0, 0.2775), (10, 100, 0.0552, 0.1744), (10, 10, 0.7225, 1.0), (1, 1988, 0.0000888, 0.002844)],
)
def test_intervals_are_those_of_wilson(count: int, total: int, lower: float, upper: float) -> None:
    rate = proportion(count, total)

    assert math.isclose(rate.lower_95, lower, rel_tol=2e-3, abs_tol=1e-5)
    assert math.isclose(rate.upper_95, upper, rel_tol=2e-3)


@given(total=st.integers(1, 10_000), share=st.floats(0, 1))
def test_an_interval_holds_its_rate_and_stays_between_0_and_1(total: int, share: float) -> None:
    rate = proportion(round(total * share), total)

    assert 0 <= rate.lower_95 <= rate.value <= rate.upper_95 <= 1


@pytest.mark.parametrize(("count", "total"), [(0, 0), (2, 1), (-1, 5)])
def test_what_is_no_proportion_is_refused(count: int, total: int) -> None:
    with pytest.raises(ValueError, match="is no proportion"):
        proportion(count, total)


def test_a_false_positive_is_a_non_mated_search_that_returns_anything_at_or_above_the_threshold() -> None:
    rate = fpir(np.array([0.1, 0.5, 0.499, 0.9]), 0.5)

    assert (rate.count, rate.total) == (2, 4)


def test_a_mated_search_fails_below_the_threshold_or_beyond_the_rank() -> None:
    scores_S, ranks_S = np.array([0.9, 0.9, 0.4, 0.5]), np.array([1, 3, 1, 2])

    missed = fnir(scores_S, ranks_S, threshold=0.5, rank=2)
    found = tpir(scores_S, ranks_S, threshold=0.5, rank=2)

    assert (missed.count, missed.total) == (2, 4)
    assert found.value == 1 - missed.value
