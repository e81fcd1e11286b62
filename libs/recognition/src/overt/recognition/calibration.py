"""What was measured about a pack's errors: the evidence behind a threshold.

Only points whose measured FPIR is at most 1 in 1,000 stand here: for a lower threshold there is no evidence
that would allow it. FPIR grows with the list (about linearly), so a point speaks for lists up to its size.
"""

from dataclasses import dataclass

from overt.recognition.metrics import proportion


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One threshold at one list size. Rates are shares, bounds are those of 95 % Wilson intervals."""

    threshold: float
    watchlist_size: int
    fpir: float
    fpir_upper_95: float
    tpir: float
    tpir_lower_95: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """The measured operating points of a pack and what they were measured on.

    `points` rise with the threshold; at one threshold the largest list comes first.
    """

    default_threshold: float
    data_set: str
    non_mated_searches: int
    mated_searches: int
    points: tuple[OperatingPoint, ...]


# Of people who were not on the list; with 2,855 entries it is 2,855 searches, each with the person's own
# entry left out.
NON_MATED, NON_MATED_ALL, MATED = 1_988, 2_855, 3_668


def _measured(threshold: float, size: int, *, wrong: int, found: int) -> OperatingPoint:
    """Return a point from counts: non-mated searches with an answer, mated ones with the right one (rank 5)."""
    fpir = proportion(wrong, NON_MATED if size < NON_MATED_ALL else NON_MATED_ALL)
    tpir = proportion(found, MATED)
    return OperatingPoint(threshold, size, fpir.value, fpir.upper_95, tpir.value, tpir.lower_95)


# Printed by benchmarks/calibrate_cpu.py. The one false positive from 0.55 to 0.65 in the list of 867 is a pair
# of pictures under two names that show, to the eye, one person: it is counted all the same.
CPU_CALIBRATION = Calibration(
    default_threshold=0.55,
    data_set="half of the people of Labeled Faces in the Wild (2,855 people, 6,523 photographs)",
    non_mated_searches=NON_MATED,
    mated_searches=MATED,
    points=(
        _measured(0.46, 100, wrong=0, found=3545),
        _measured(0.48, 100, wrong=0, found=3498),
        _measured(0.50, 100, wrong=0, found=3441),
        _measured(0.52, 100, wrong=0, found=3372),
        _measured(0.55, 867, wrong=1, found=3222),
        _measured(0.55, 100, wrong=0, found=3222),
        _measured(0.58, 867, wrong=1, found=3028),
        _measured(0.60, 867, wrong=1, found=2875),
        _measured(0.65, 867, wrong=1, found=2270),
        _measured(0.70, 2_855, wrong=2, found=1440),
        _measured(0.70, 867, wrong=0, found=1440),
    ),
)
