"""The frame of a portrait, the same for probes and references, so that a judge sees faces of equal size."""

import math

import numpy as np
from numpy.typing import NDArray

# A square of 4.2 inter-eye distances, the eyes at 45 % of its height: head and shoulder line.
SIDE_IN_EYE_DISTANCES = 4.2
EYES_FROM_TOP = 0.45
# Inter-eye distance over the distance from the eyes' middle to the mouth's, in a face seen from the front:
# a face that turns away narrows the first, not the second, and must not grow in the frame.
EYES_OVER_EYES_TO_MOUTH = 0.86


def frontal_eye_distance_px(landmarks_52: NDArray[np.float32]) -> float:
    """Return the inter-eye distance, for a turned face the one it would have from the front."""
    (rx, ry), (lx, ly), _, (ax, ay), (bx, by) = landmarks_52.tolist()
    eyes_to_mouth = math.hypot((ax + bx - rx - lx) / 2, (ay + by - ry - ly) / 2)
    return max(math.hypot(lx - rx, ly - ry), EYES_OVER_EYES_TO_MOUTH * eyes_to_mouth)


def portrait_side_px(landmarks_52: NDArray[np.float32]) -> float:
    """Return the side of the square around a face, in pixels of the picture its landmarks are of."""
    return SIDE_IN_EYE_DISTANCES * frontal_eye_distance_px(landmarks_52)
