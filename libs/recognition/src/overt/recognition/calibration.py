"""What was measured about a pack's errors: the evidence behind a threshold.

Only points whose measured FPIR is at most 1 in 1,000 stand here: for a lower threshold there is no evidence
that would allow it. FPIR grows with the list (about linearly), so a point speaks for lists up to its size.
"""

from dataclasses import dataclass

from overt.recognition.metrics import proportion
from overt.recognition.pack_spec import CalibrationTable, PointTable


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One threshold at one list size. Rates are shares, bounds are those of 95 % Clopper-Pearson intervals."""

    threshold: float
    watchlist_size: int
    fpir: float
    fpir_upper_95: float
    tpir: float
    tpir_lower_95: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The measured operating points of a pack and what they were measured on; none: nobody measured it.

    `points` rise with the threshold; at one threshold the largest list comes first.
    """

    default_threshold: float | None
    data_set: str
    points: tuple[OperatingPoint, ...]


def calibration_of(table: CalibrationTable) -> Calibration:
    """Return what a pack's file says was measured, with rates and intervals from its counts."""
    points = sorted(map(_measured, table.points), key=lambda point: (point.threshold, -point.watchlist_size))
    return Calibration(table.default_threshold, table.data_set, tuple(points))


def _measured(point: PointTable) -> OperatingPoint:
    fpir = proportion(point.false_positives, point.non_mated_searches)
    tpir = proportion(point.found, point.mated_searches)
    return OperatingPoint(
        threshold=point.threshold,
        watchlist_size=point.watchlist_size,
        fpir=fpir.value,
        fpir_upper_95=fpir.upper_95,
        tpir=tpir.value,
        tpir_lower_95=tpir.lower_95,
    )
