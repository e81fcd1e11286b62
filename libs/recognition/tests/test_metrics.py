import numpy as np

from overt.recognition.metrics import fnir, fpir, proportion, tpir


def test_a_rate_carries_its_exact_interval() -> None:
    # 95 % of 10 of 100: in many textbooks.
    rate = proportion(10, 100)

    assert (round(rate.lower_95, 4), round(rate.upper_95, 4)) == (0.0490, 0.1762)


def test_a_false_positive_is_a_non_mated_search_that_returns_anything_at_or_above_the_threshold() -> None:
    rate = fpir(np.array([0.1, 0.5, 0.499, 0.9]), 0.5)

    assert (rate.count, rate.total) == (2, 4)


def test_a_mated_search_fails_below_the_threshold_or_beyond_the_rank() -> None:
    scores_S, ranks_S = np.array([0.9, 0.9, 0.4, 0.5]), np.array([1, 3, 1, 2])

    missed = fnir(scores_S, ranks_S, threshold=0.5, rank=2)
    found = tpir(scores_S, ranks_S, threshold=0.5, rank=2)

    assert (missed.count, missed.total) == (2, 4)
    assert found.value == 1 - missed.value
