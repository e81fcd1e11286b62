"""Accuracy over folds, against the slow obvious version."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overt.recognition.folds import best_threshold, fold_accuracy


def right(scores: np.ndarray, same: np.ndarray, threshold: float) -> int:
    return sum(bool(score >= threshold) == bool(one) for score, one in zip(scores, same, strict=True))


@settings(deadline=None)
@given(seed=st.integers(0, 500), count=st.integers(1, 40))
def test_no_other_threshold_tells_more_pairs_right(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    scores, same = np.round(random.normal(size=count), 1), random.random(count) < 0.5

    chosen = right(scores, same, best_threshold(scores, same))

    tried = [-math.inf, *np.unique(scores), math.inf]
    assert chosen == max(right(scores, same, threshold) for threshold in tried)


def test_it_lies_half_way_between_the_two_scores_beside_it() -> None:
    assert best_threshold(np.array([0.1, 0.3, 0.6]), np.array([False, False, True])) == pytest.approx(0.45)


@settings(deadline=None)
@given(seed=st.integers(0, 500))
def test_each_fold_is_told_by_the_others_alone(seed: int) -> None:
    random = np.random.default_rng(seed)
    folds, same = np.repeat(np.arange(5), 12), np.tile([True, False], 30)
    scores = random.normal(size=60) + same

    found = fold_accuracy(scores, same, folds)

    for number in range(5):
        test, threshold = folds == number, best_threshold(scores[folds != number], same[folds != number])
        assert found.thresholds_F[number] == threshold
        assert found.accuracies_F[number] == right(scores[test], same[test], threshold) / 12
    deviations = [(each - found.mean) ** 2 for each in found.accuracies_F]
    assert found.standard_error == pytest.approx(math.sqrt(sum(deviations) / 4) / math.sqrt(5))


def test_a_pair_without_a_score_is_told_wrong_whichever_it_is() -> None:
    scores = np.array([0.9, 0.1, np.nan, np.nan, 0.9, 0.1])
    found = fold_accuracy(scores, np.array([True, False] * 3), np.array([1, 1, 2, 2, 2, 2]))

    assert found.accuracies_F.tolist() == [1.0, 0.5]


def test_one_fold_is_no_folds() -> None:
    with pytest.raises(ValueError, match="at least two folds"):
        fold_accuracy(np.ones(3), np.array([True, False, True]), np.ones(3, np.int64))


def test_pairs_without_any_score_have_no_threshold() -> None:
    with pytest.raises(ValueError, match="no pair has a score"):
        best_threshold(np.array([np.nan]), np.array([True]))
