"""Intervals by resampling people: pictures of one person are no independent trials, people are."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.int64]
# Fewer resamples with a value than this share say nothing about the tails.
LEAST_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle 95 % of a figure over `rounds` resamples (percentile interval, Efron 1981)."""

    lower_95: float
    upper_95: float
    rounds: int


def bootstrap(
    statistic: Callable[[Weights], float], people: int, *, rounds: int = 1000, seed: int = 1
) -> Spread | None:
    """Return the spread of `statistic` when people are drawn anew, with replacement.

    `statistic` is given how often each of the people was drawn and returns a figure, or NaN where the
    resample has none. A search counts as often as its person was drawn, all searches of one person together
    (Bolle, Ratha and Pankanti 2004: the subsets bootstrap). A pair of two people counts as often as the
    product of both. None: too few resamples have the figure.
    """
    random = np.random.default_rng(seed)
    values = np.array(
        [
            statistic(np.bincount(random.integers(people, size=people), minlength=people))
            for _ in range(rounds)
        ]
    )
    known = values[~np.isnan(values)]
    if len(known) < LEAST_SHARE * rounds:
        return None
    lower, upper = np.percentile(known, [2.5, 97.5])
    return Spread(float(lower), float(upper), rounds)


def weighted_share(hits_S: NDArray[np.bool_], weights_S: Weights) -> float:
    """Return the share of hits where search number s counts `weights_S[s]` times; NaN for none."""
    total = int(weights_S.sum())
    return float(weights_S[hits_S].sum() / total) if total else float("nan")


def found_at_fpir(
    best_non_mated_S: NDArray[np.floating], mated_M: NDArray[np.floating], fpir: float
) -> Callable[[Weights, Weights], float]:
    """Return `figure(non_mated_weights_S, mated_weights_M)`: TPIR at the lowest threshold with at most `fpir`.

    mated_M: the score of each mated search, -inf where the rank asked for was missed. The threshold is
    chosen anew in every resample: its uncertainty belongs to the figure.
    """
    order = np.argsort(-best_non_mated_S, kind="stable")
    scores_S = best_non_mated_S[order]
    # Scores that are equal pass a threshold together.
    last_of_level_S = np.append(scores_S[1:] != scores_S[:-1], True)

    def figure(non_mated_weights_S: Weights, mated_weights_M: Weights) -> float:
        total = int(non_mated_weights_S.sum())
        if total == 0:
            return float("nan")
        passed_S = np.cumsum(non_mated_weights_S[order])
        refused = np.flatnonzero(last_of_level_S & (passed_S > fpir * total))
        # The first level that must stay below; -inf when all may pass.
        bar = scores_S[refused[0]] if len(refused) else -np.inf
        return weighted_share(mated_M > bar, mated_weights_M)

    return figure
