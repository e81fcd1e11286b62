"""Turns the scores of a protocol into thresholds, rates, groups and their intervals: the same for both."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.cli.evaluate.dataset import Labels
from overt.cli.evaluate.result import RankOne, Row, counted, interval
from overt.cli.evaluate.trials import Trials, drawn
from overt.contracts.evidence import MeasuredGroup, MeasuredList, MeasuredPoint, Wanted
from overt.recognition.bootstrap import Weights, bootstrap, found_at_fpir, weighted_share
from overt.recognition.curves import thresholds_around
from overt.recognition.errors import SampleTooSmall
from overt.recognition.metrics import fpir, proportion, tpir
from overt.recognition.threshold import pick_threshold

# Shown besides what was asked for, as they were counted: nothing is claimed by them.
USUAL_FPIR = (0.01, 0.001)
RECORD_STEP = 0.01


@dataclass(frozen=True, slots=True)
class Wish:
    """The FPIR asked for, the list it must hold for (None: the first that is measured), the rank that counts."""

    fpir: float
    list_size: int | None = None
    rank: int = 5
    rounds: int = 1000
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """A threshold that is shown, and why. `at_fpir`: it was chosen as the lowest with this FPIR as counted."""

    why: str
    threshold: float
    at_fpir: float | None = None


def asked_list(trials: Sequence[Trials], wish: Wish) -> Trials:
    """Return the smallest list that is as large as was asked for; the largest, if none is."""
    enough = [each for each in trials if each.size >= (wish.list_size or trials[0].size)]
    return min(enough, key=_size) if enough else max(trials, key=_size)


def wanted_of(trials: Sequence[Trials], wish: Wish) -> Wanted:
    """Return the threshold that was asked for, or why there is none."""
    measured, list_size = asked_list(trials, wish), wish.list_size or trials[0].size
    try:
        threshold = pick_threshold(
            measured.best_S, wanted_fpir=wish.fpir, measured_list=measured.size, list_size=list_size
        )
    except SampleTooSmall as small:
        return Wanted(wish.fpir, list_size, None, str(small))
    return Wanted(wish.fpir, list_size, threshold, "")


def marks_of(trials: Trials, asked: Wanted | None, default: float | None, rank: int) -> tuple[Mark, ...]:
    """Return the thresholds that are worth showing for a list; `asked`: it is the list that was asked for."""
    marks = []
    if asked is not None and asked.threshold is not None:
        marks.append(Mark(f"asked for: at most {asked.fpir:.4%} false", asked.threshold))
    if default is not None:
        marks.append(Mark("the pack's default", default))
    fine = trials.curve(thresholds_around(trials.best_S, trials.mated_M, step=0.0001), rank)
    for share in USUAL_FPIR:
        index = fine.lowest_with(share)
        if index is not None:
            marks.append(
                Mark(f"{share:.1%} false, as counted", round(float(fine.thresholds_T[index]), 4), share)
            )
    return tuple(marks)


def _size(trials: Trials) -> int:
    return trials.size


def rows_of(trials: Trials, marks: Sequence[Mark], wish: Wish) -> Iterator[Row]:
    """Yield the rates at each threshold, with the exact interval and the one over resampled people."""
    within_M = trials.within(wish.rank)
    for mark in marks:
        at = mark.threshold

        def false(weights_P: Weights, at: float = at) -> float:
            return weighted_share(trials.best_S >= at, drawn(trials.people_S2, weights_P))

        def found(weights_P: Weights, mark: Mark = mark) -> float:
            of_mated_M = drawn(trials.people_M2, weights_P)
            if mark.at_fpir is None:
                return weighted_share(within_M >= mark.threshold, of_mated_M)
            figure = found_at_fpir(trials.best_S, within_M, mark.at_fpir)
            return figure(drawn(trials.people_S2, weights_P), of_mated_M)

        people = len(trials.people)
        yield Row(
            why=mark.why,
            list_size=trials.size,
            threshold=at,
            fpir=counted(fpir(trials.best_S, at)),
            tpir=counted(tpir(trials.mated_M, trials.ranks_M, threshold=at, rank=wish.rank)),
            # Of a threshold that is chosen by its FPIR in each resample the FPIR has no spread of its own.
            fpir_bootstrap=None
            if mark.at_fpir is not None
            else interval(bootstrap(false, people, rounds=wish.rounds, seed=wish.seed)),
            tpir_bootstrap=interval(bootstrap(found, people, rounds=wish.rounds, seed=wish.seed)),
        )


def rank_one_of(trials: Trials) -> RankOne:
    """Return how many mated searches had their own entry first."""
    hits = int(np.count_nonzero((trials.ranks_M == 1) & np.isfinite(trials.mated_M)))
    return RankOne(trials.size, counted(proportion(hits, len(trials.mated_M))))


def list_of(trials: Trials, marks: Sequence[Mark], rank: int) -> MeasuredList:
    """Return the points of a list for the record: a threshold each hundredth, and those that are shown."""
    grid = thresholds_around(trials.best_S, trials.mated_M, step=RECORD_STEP)
    chosen = np.unique(np.round(np.append(grid, [mark.threshold for mark in marks]), 4))
    counts = trials.curve(chosen[(chosen >= -1.0) & (chosen <= 1.0)], rank)
    points = tuple(
        MeasuredPoint(float(counts.thresholds_T[at]), counted(counts.fpir(at)), counted(counts.tpir(at)))
        for at in range(len(counts))
    )
    return MeasuredList(trials.size, points)


def groups_of(trials: Trials, labels: Labels, threshold: float, rank: int) -> Iterator[MeasuredGroup]:
    """Yield the rates of each group at one threshold. A pair of two people counts where both are of the group."""
    nowhere = ("",) * len(labels.columns)
    of_people = [labels.of_people.get(person, nowhere) for person in trials.people]
    for number, column in enumerate(labels.columns):
        group_P = np.array([groups[number] for groups in of_people], np.str_)
        for value in sorted(set(group_P.tolist()) - {""}):
            is_of_P = np.asarray(group_P == value)
            of_M, of_S = _both(is_of_P, trials.people_M2), _both(is_of_P, trials.people_S2)
            mated_M, ranks_M = trials.mated_M[of_M], trials.ranks_M[of_M]
            found = tpir(mated_M, ranks_M, threshold=threshold, rank=rank) if len(mated_M) else None
            false = fpir(trials.best_S[of_S], threshold) if of_S.any() else None
            yield MeasuredGroup(
                column=column,
                value=value,
                threshold=threshold,
                list_size=trials.size,
                fpir=None if false is None else counted(false),
                tpir=None if found is None else counted(found),
            )


def _both(is_of_P: NDArray[np.bool_], people_X2: NDArray[np.intp]) -> NDArray[np.bool_]:
    return np.asarray(is_of_P[people_X2[:, 0]] & is_of_P[people_X2[:, 1]])
