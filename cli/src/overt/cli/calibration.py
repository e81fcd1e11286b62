"""Says in words what was measured about a pack's errors at a threshold and a list size."""

from overt.recognition.calibration import Calibration, OperatingPoint


def evidence_for(calibration: Calibration, threshold: float) -> OperatingPoint | None:
    """Return the measured point that a threshold may lean on: the highest one not above it."""
    points = [point for point in calibration.points if point.threshold <= threshold]
    return max(points, key=lambda point: point.threshold, default=None)


def in_words(calibration: Calibration, threshold: float) -> str:
    """Return what the page shows behind "Measured:", without a full stop."""
    point = evidence_for(calibration, threshold)
    if point is None:
        return "no false-positive identification rate at this threshold"
    return (
        f"at {point.threshold:.2f}, list of {point.watchlist_size}, {calibration.data_set}: "
        f"false-positive identification rate {point.fpir:.3%}, at most {point.fpir_upper_95:.3%} "
        f"(95 % bound); true-positive rate {point.tpir:.1%}. The first grows with the list"
    )
