"""What was measured about a pack's errors: the evidence behind a threshold."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One threshold at one list size. Rates are shares, intervals are 95 % Wilson bounds."""

    threshold: float
    watchlist_size: int
    fpir: float
    fpir_upper_95: float
    tpir: float
    tpir_lower_95: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The measured operating points of a pack, lowest threshold first, and what they were measured on."""

    default_threshold: float
    data_set: str
    non_mated_searches: int
    mated_searches: int
    points: tuple[OperatingPoint, ...]


CPU_CALIBRATION = Calibration(
    default_threshold=0.55,
    data_set="not measured yet",
    non_mated_searches=0,
    mated_searches=0,
    points=(),
)
