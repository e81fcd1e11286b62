"""The scores of one list, whatever protocol they come from: what every rate is counted from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.recognition.curves import Curve, curve

PictureNames = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Trials:
    """M mated and S non-mated searches in a list of `size` entries; a pair is a search in a list of one.

    mated_M: score of the own entry, -inf where there was no template; ranks_M: its rank from 1. best_S: the
    highest score of each non-mated search. people_M2, people_S2: whose pictures were compared, as numbers
    in `people`; in a search of a list it is the probe's person twice. names: the two pictures of each.
    """

    size: int
    people: tuple[str, ...]
    mated_M: NDArray[np.float32]
    ranks_M: NDArray[np.intp]
    people_M2: NDArray[np.intp]
    mated_names: PictureNames
    best_S: NDArray[np.float32]
    people_S2: NDArray[np.intp]
    non_mated_names: PictureNames

    def curve(self, thresholds_T: NDArray[np.floating], rank: int) -> Curve:
        """Count at every threshold."""
        return curve(self.best_S, self.mated_M, self.ranks_M, rank=rank, thresholds_T=thresholds_T)

    def within(self, rank: int) -> NDArray[np.float32]:
        """Return the mated scores, -inf where the own entry came beyond `rank`."""
        return np.where(self.ranks_M <= rank, self.mated_M, np.float32(-np.inf))

    def most_alike(self, count: int) -> list[tuple[str, str, float]]:
        """Return the non-mated pairs that are most alike, each pair of pictures once."""
        found: dict[frozenset[str], tuple[str, str, float]] = {}
        for index in np.argsort(-self.best_S, kind="stable"):
            first, second = self.non_mated_names[index]
            if second:
                found.setdefault(frozenset((first, second)), (first, second, float(self.best_S[index])))
            if len(found) == count:
                break
        return list(found.values())


def drawn(people_X2: NDArray[np.intp], weights_P: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often each search was drawn with its people: once for one person, the product for two."""
    first, second = people_X2[:, 0], people_X2[:, 1]
    return np.where(first == second, weights_P[first], weights_P[first] * weights_P[second])
