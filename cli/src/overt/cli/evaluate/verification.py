"""Protocol `verification`: pairs of pictures, one person or two; with folds as in view 2 of LFW."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from overt.cli.evaluate.errors import EvaluationRefused
from overt.cli.evaluate.faces import Faces
from overt.cli.evaluate.pairs import Pair, person_of
from overt.cli.evaluate.result import Folds
from overt.cli.evaluate.trials import Trials
from overt.recognition.folds import fold_accuracy


def scores_of(pairs: Sequence[Pair], faces: Faces) -> NDArray[np.float32]:
    """Return the cosine of each pair's templates, NaN where one of the two has none."""
    rows_P2 = np.array(
        [[faces.row_of.get(pair.first, -1), faces.row_of.get(pair.second, -1)] for pair in pairs], np.intp
    )
    known_P = (rows_P2 >= 0).all(axis=1)
    scores_P = np.full(len(pairs), np.nan, np.float32)
    first, second = faces.templates_ND[rows_P2[known_P, 0]], faces.templates_ND[rows_P2[known_P, 1]]
    scores_P[known_P] = np.einsum("pd,pd->p", first, second)
    return scores_P


def verify_pairs(pairs: Sequence[Pair], scores_P: NDArray[np.float32]) -> Trials:
    """Return the pairs as searches in a list of one entry: FPIR is the false match rate, TPIR the true one.

    A pair of one person without a score was not matched; one of two people is left out, since it could not
    have matched. Raises EvaluationRefused when nothing is left.
    """
    same_P = np.array([pair.same for pair in pairs])
    others_P = ~same_P & ~np.isnan(scores_P)
    if np.isnan(scores_P[same_P]).all() or not others_P.any():
        raise EvaluationRefused("no pair of one person, or none of two, has two faces")
    people = sorted({person_of(name) for pair in pairs for name in (pair.first, pair.second)})
    numbers = {person: number for number, person in enumerate(people)}
    people_P2 = np.array(
        [[numbers[person_of(pair.first)], numbers[person_of(pair.second)]] for pair in pairs]
    )
    # Two folders may hold one person, as the pairs file says: a pair of one is drawn with its first.
    people_P2[same_P, 1] = people_P2[same_P, 0]
    mated_M = np.nan_to_num(scores_P[same_P], nan=-np.inf)
    return Trials(
        size=1,
        people=tuple(people),
        mated_M=mated_M,
        ranks_M=np.where(np.isfinite(mated_M), 1, 2),
        people_M2=people_P2[same_P],
        mated_names=_names(pairs, same_P),
        best_S=scores_P[others_P],
        people_S2=people_P2[others_P],
        non_mated_names=_names(pairs, others_P),
    )


def accuracy_of(pairs: Sequence[Pair], scores_P: NDArray[np.float32]) -> Folds | None:
    """Return the accuracy over folds, or None for pairs without two folds."""
    folds = [pair.fold for pair in pairs if pair.fold is not None]
    if len(set(folds)) < 2:
        return None
    found = fold_accuracy(scores_P, np.array([pair.same for pair in pairs]), np.array(folds))
    accuracies, thresholds = found.accuracies_F.tolist(), found.thresholds_F.tolist()
    return Folds(found.mean, found.standard_error, tuple(accuracies), tuple(thresholds))


def _names(pairs: Sequence[Pair], which_P: NDArray[np.bool_]) -> tuple[tuple[str, str], ...]:
    return tuple((pair.first, pair.second) for pair, chosen in zip(pairs, which_P, strict=True) if chosen)
