"""Says in words what was measured about a pack's errors at a threshold and a list size."""

from overt.recognition.calibration import Calibration, OperatingPoint


def evidence_for(calibration: Calibration, threshold: float) -> OperatingPoint | None:
    """Return the measured point that a threshold may lean on: the highest one not above it."""
    points = [point for point in calibration.points if point.threshold <= threshold]
    return max(points, key=lambda point: point.threshold, default=None)


def in_words(calibration: Calibration, threshold: float) -> str:
    """Return one sentence for the page that shows a score."""
    point = evidence_for(calibration, threshold)
    if point is None:
        return "no false-positive identification rate was measured at this threshold"
    return (
        f"Measured at {point.threshold:.2f} on {calibration.data_set}, list of {point.watchlist_size}: "
        f"false-positive identification rate {point.fpir:.3%}, at most {point.fpir_upper_95:.3%} "
        f"(95 %); true-positive rate {point.tpir:.1%}. The rate grows with the list."
    )
