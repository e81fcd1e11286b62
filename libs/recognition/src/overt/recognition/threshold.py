"""Picks the threshold for a wanted false-positive rate and list size, and refuses what was not measured."""

import math

import numpy as np
from numpy.typing import NDArray

from overt.recognition.binomial import trials_needed, upper_bound_95
from overt.recognition.errors import SampleTooSmall

# Thresholds are given with so many digits, rounded up.
DIGITS = 4


def pick_threshold(
    best_non_mated_S: NDArray[np.floating], *, wanted_fpir: float, measured_list: int, list_size: int
) -> float:
    """Return the lowest threshold whose FPIR is shown to be at most `wanted_fpir` on a list of `list_size`.

    best_non_mated_S: the highest score of each non-mated search in a list of `measured_list` entries, which
    is at least `list_size`: FPIR grows with the list (about linearly, NPL 2023), so a larger list says more
    and a smaller one nothing. Shown: the one-sided 95 % Clopper-Pearson upper bound is at most `wanted_fpir`.

    Raises SampleTooSmall, which says what more is needed; ValueError unless 0 < wanted_fpir < 1.
    """
    if measured_list < list_size:
        raise SampleTooSmall(
            f"a list of {list_size} was not measured, the largest has {measured_list}: the set needs "
            f"{list_size - measured_list} more enrolled people"
        )
    searches, needed = len(best_non_mated_S), trials_needed(wanted_fpir)
    if searches < needed:
        raise SampleTooSmall(
            f"a false-positive rate of {wanted_fpir:.4%} can't be shown with {searches} non-mated searches: "
            f"{needed - searches} more are needed, {needed} in all without a single false positive"
        )
    allowed = _most_allowed(searches, wanted_fpir)
    if allowed >= searches:
        return -1.0
    return _just_above(float(np.sort(best_non_mated_S)[searches - 1 - allowed]))


def _most_allowed(searches: int, wanted_fpir: float) -> int:
    """Return how many false positives still leave the upper bound at or below the wanted rate."""
    low, high = 0, searches
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if upper_bound_95(middle, searches) <= wanted_fpir else (low, middle - 1)
    return low


def _just_above(score: float) -> float:
    if not math.isfinite(score):
        return -1.0
    scale = 10**DIGITS
    threshold = math.ceil(math.nextafter(score, math.inf) * scale) / scale
    if threshold > 1.0:
        raise SampleTooSmall(
            "too many non-mated searches reach a similarity of 1: look for one person under two names in the set"
        )
    return max(float(threshold), -1.0)
