"""Error rates of one-to-many search in the terms of ISO/IEC 19795-1, each with its interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.recognition.binomial import interval_95


@dataclass(frozen=True, slots=True)
class Rate:
    """A proportion as it was counted, with its two-sided 95 % Clopper-Pearson interval."""

    count: int
    total: int
    lower_95: float
    upper_95: float

    @property
    def value(self) -> float:
        """The proportion itself."""
        return self.count / self.total


def fpir(best_scores_S: NDArray[np.floating], threshold: float) -> Rate:
    """False positive identification rate: non-mated searches that return anything at or above `threshold`.

    best_scores_S: the highest score of each non-mated search. Raises ValueError when there is none.
    """
    return proportion(int(np.count_nonzero(best_scores_S >= threshold)), len(best_scores_S))


def fnir(
    mated_scores_S: NDArray[np.floating], ranks_S: NDArray[np.integer], *, threshold: float, rank: int
) -> Rate:
    """False negative identification rate FNIR(N, rank, threshold) of mated searches.

    mated_scores_S: score of the person's own entry; ranks_S: its rank, counted from 1. A search fails when
    the entry is below `threshold` or beyond `rank`. Raises ValueError when there is no search.
    """
    found_S = (mated_scores_S >= threshold) & (ranks_S <= rank)
    return proportion(int(np.count_nonzero(~found_S)), len(found_S))


def tpir(
    mated_scores_S: NDArray[np.floating], ranks_S: NDArray[np.integer], *, threshold: float, rank: int
) -> Rate:
    """True positive identification rate: 1 - FNIR."""
    missed = fnir(mated_scores_S, ranks_S, threshold=threshold, rank=rank)
    return proportion(missed.total - missed.count, missed.total)


def proportion(count: int, total: int) -> Rate:
    """Return count / total with its exact 95 % interval (ADR 14). Raises ValueError for no trials."""
    lower, upper = interval_95(count, total)
    return Rate(count, total, lower, upper)
