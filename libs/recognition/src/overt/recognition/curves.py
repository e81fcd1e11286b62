"""Error rates over many thresholds at once: what ROC, DET and FPIR-TPIR curves are drawn from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.recognition.metrics import Rate, proportion

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Curve:
    """Counts at T rising thresholds.

    false_T: non-mated searches (of `non_mated`) that return anything at or above the threshold; found_T:
    mated searches (of `mated`) whose own entry is at or above it within the rank asked for. With a list of
    one entry this is verification: false match rate and true match rate (ISO/IEC 19795-1).
    """

    thresholds_T: NDArray[np.float64]
    false_T: Counts
    found_T: Counts
    non_mated: int
    mated: int

    def __len__(self) -> int:
        return len(self.thresholds_T)

    def fpir(self, index: int) -> Rate:
        """The false positive identification rate at threshold number `index`."""
        return proportion(int(self.false_T[index]), self.non_mated)

    def tpir(self, index: int) -> Rate:
        """The true positive identification rate at threshold number `index`."""
        return proportion(int(self.found_T[index]), self.mated)

    def lowest_with(self, fpir: float) -> int | None:
        """The number of the lowest threshold whose measured FPIR is at most `fpir`, or None."""
        enough = np.flatnonzero(self.false_T <= fpir * self.non_mated)
        return int(enough[0]) if len(enough) else None


def curve(
    best_non_mated_S: NDArray[np.floating],
    mated_S: NDArray[np.floating],
    ranks_S: NDArray[np.integer],
    *,
    rank: int,
    thresholds_T: NDArray[np.floating],
) -> Curve:
    """Count at every threshold at once. Scores may be -inf: a search that could not be made returns nothing."""
    within_S = np.sort(mated_S[ranks_S <= rank])
    return Curve(
        np.asarray(thresholds_T, np.float64),
        _at_or_above(np.sort(best_non_mated_S), thresholds_T),
        _at_or_above(within_S, thresholds_T),
        len(best_non_mated_S),
        len(mated_S),
    )


def _at_or_above(sorted_S: NDArray[np.floating], thresholds_T: NDArray[np.floating]) -> Counts:
    return len(sorted_S) - np.searchsorted(sorted_S, thresholds_T, side="left")


def thresholds_around(*scores: NDArray[np.floating], step: float = 0.005) -> NDArray[np.float64]:
    """Return thresholds every `step` that reach from below the lowest to above the highest of the scores."""
    finite = np.concatenate([each[np.isfinite(each)] for each in scores])
    low, high = np.floor(finite.min() / step), np.ceil(finite.max() / step) + 1
    return np.arange(low, high + 1) * step
