"""A threshold is given only where the sample shows it."""

import numpy as np
import pytest

from overt.recognition.binomial import upper_bound_95
from overt.recognition.errors import SampleTooSmall
from overt.recognition.metrics import fpir
from overt.recognition.threshold import pick_threshold


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("wanted", [0.01, 0.02, 0.1, 0.4])
@pytest.mark.parametrize("ties", [True, False])
def test_it_is_the_lowest_of_all_thresholds_whose_upper_bound_holds(
    seed: int, wanted: float, ties: bool
) -> None:
    random = np.random.default_rng(seed)
    best_S = random.choice([0.1, 0.2, 0.3, 0.7], 400) if ties else random.uniform(-1, 0.99, 400)

    threshold = pick_threshold(best_S, wanted_fpir=wanted, measured_list=50, list_size=50)

    # Slow and obvious: try every threshold of four digits from below.
    shown = (t / 10_000 for t in range(-10_000, 10_001))
    lowest = next(t for t in shown if upper_bound_95(fpir(best_S, t).count, 400) <= wanted)
    assert threshold == lowest


def test_a_rate_that_the_sample_cannot_show_is_refused_with_what_is_missing() -> None:
    with pytest.raises(SampleTooSmall) as refused:
        pick_threshold(np.zeros(1988), wanted_fpir=0.001, measured_list=867, list_size=867)

    assert str(refused.value) == (
        "a false-positive rate of 0.1000% can't be shown with 1988 non-mated searches: 1007 more are needed, "
        "2995 in all without a single false positive"
    )


def test_with_as_many_searches_as_it_says_the_rate_is_shown() -> None:
    assert pick_threshold(np.zeros(2995), wanted_fpir=0.001, measured_list=1, list_size=1) == 0.0001


def test_a_larger_list_than_was_measured_is_refused() -> None:
    with pytest.raises(SampleTooSmall, match=r"a list of 900 was not measured.*33 more enrolled people"):
        pick_threshold(np.zeros(9_000), wanted_fpir=0.001, measured_list=867, list_size=900)


def test_strangers_who_score_like_one_person_leave_no_threshold() -> None:
    with pytest.raises(SampleTooSmall, match="one person under two names"):
        pick_threshold(np.ones(400), wanted_fpir=0.01, measured_list=5, list_size=5)


def test_a_search_that_returned_nobody_needs_no_threshold() -> None:
    assert pick_threshold(np.full(400, -np.inf), wanted_fpir=0.01, measured_list=5, list_size=5) == -1.0
