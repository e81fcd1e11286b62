"""What an evaluation came to, as it is written to `result.json`: no picture, no template, no face."""

import msgspec

from overt.contracts.evidence import CountedRate, Evidence
from overt.recognition.bootstrap import Spread
from overt.recognition.metrics import Rate


class Interval(msgspec.Struct, frozen=True):
    """The middle 95 % over resampled people."""

    lower_95: float
    upper_95: float


class Row(msgspec.Struct, frozen=True):
    """The rates at one threshold in one list, and why this threshold is shown."""

    why: str
    list_size: int
    threshold: float
    fpir: CountedRate
    tpir: CountedRate
    fpir_bootstrap: Interval | None
    tpir_bootstrap: Interval | None


class RankOne(msgspec.Struct, frozen=True):
    """Mated searches whose own entry came first, whatever its score."""

    list_size: int
    rate: CountedRate


class Folds(msgspec.Struct, frozen=True):
    """Verification accuracy over folds: each fold's, at the threshold that the other folds gave."""

    mean: float
    standard_error: float
    accuracies: tuple[float, ...]
    thresholds: tuple[float, ...]


class TopPair(msgspec.Struct, frozen=True):
    """Two pictures under two names that are more alike than nearly all others: often one person."""

    first: str
    second: str
    score: float
    list_size: int


class Result(msgspec.Struct, frozen=True):
    """`evidence` is what is signed, if anything is (`signed`); the rest explains it."""

    evidence: Evidence
    signed: bool
    rows: tuple[Row, ...]
    rank_one: tuple[RankOne, ...]
    folds: Folds | None
    top_non_mated: tuple[TopPair, ...]
    failures: int
    bootstrap_rounds: int
    seed: int
    seconds: float


def counted(rate: Rate) -> CountedRate:
    """Return the rate as it is written down."""
    return CountedRate(rate.count, rate.total, rate.lower_95, rate.upper_95)


def interval(spread: Spread | None) -> Interval | None:
    """Return the spread as it is written down."""
    return None if spread is None else Interval(spread.lower_95, spread.upper_95)
