"""Verification accuracy over folds, as in view 2 of Labeled Faces in the Wild."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class FoldAccuracy:
    """Of F folds: the share of pairs told right, and the threshold that the other folds gave."""

    accuracies_F: NDArray[np.float64]
    thresholds_F: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """The mean accuracy."""
        return float(self.accuracies_F.mean())

    @property
    def standard_error(self) -> float:
        """The standard error of the mean: sample standard deviation / sqrt(F) (Huang et al. 2007, sec. 4)."""
        return float(self.accuracies_F.std(ddof=1)) / math.sqrt(len(self.accuracies_F))


def fold_accuracy(
    scores_P: NDArray[np.floating], same_P: NDArray[np.bool_], folds_P: NDArray[np.integer]
) -> FoldAccuracy:
    """Choose the threshold on all folds but one, count what it tells right in that one; each fold in turn.

    A pair that has no score (NaN: no face was found) is told wrong, whichever it is. Raises ValueError
    for fewer than two folds.
    """
    folds = np.unique(folds_P)
    if len(folds) < 2:
        raise ValueError("accuracy over folds needs at least two folds")
    accuracies, thresholds = [], []
    for fold in folds:
        test_P = folds_P == fold
        threshold = best_threshold(scores_P[~test_P], same_P[~test_P])
        right_P = np.where(same_P, scores_P >= threshold, scores_P < threshold)
        accuracies.append(float(np.mean(right_P[test_P])))
        thresholds.append(threshold)
    return FoldAccuracy(np.array(accuracies), np.array(thresholds))


def best_threshold(scores_P: NDArray[np.floating], same_P: NDArray[np.bool_]) -> float:
    """Return the threshold that tells most pairs right.

    Half-way between two scores that follow each other, since nothing lies between; of several equally good
    ones the one in the middle. Raises ValueError when no pair has a score.
    """
    known_P = ~np.isnan(scores_P)
    if not known_P.any():
        raise ValueError("no pair has a score")
    levels_L = np.unique(scores_P[known_P].astype(np.float64))
    same = np.sort(scores_P[known_P & same_P])
    other = np.sort(scores_P[known_P & ~same_P])
    # Candidate number k takes the levels from k on for one person; the last one takes none.
    edges_L = np.concatenate([levels_L, [np.inf]])
    right_L = len(same) - np.searchsorted(same, edges_L) + np.searchsorted(other, edges_L)
    best = np.flatnonzero(right_L == right_L.max())
    index = int(best[len(best) // 2])
    if index == 0:
        return float(levels_L[0])
    if index == len(levels_L):
        return float(np.nextafter(levels_L[-1], np.inf))
    return float((levels_L[index - 1] + levels_L[index]) / 2)
