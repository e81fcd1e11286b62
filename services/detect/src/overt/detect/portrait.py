"""The region of a picture that is the portrait of one face: head and shoulder line, eyes at a fixed height."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The same frame as a reference picture's, so that probe and reference show faces of equal size: a square of
# 4.2 inter-eye distances, the eyes at 45 % of its height.
SIDE_IN_EYE_DISTANCES = 4.2
EYES_FROM_TOP = 0.45
# Inter-eye distance over the distance from the eyes' middle to the mouth's, in a face seen from the front:
# a face that turns away narrows the first, not the second, and must not grow in the frame.
EYES_OVER_EYES_TO_MOUTH = 0.86


@dataclass(frozen=True, slots=True)
class Region:
    """Rows `top` to `bottom` and columns `left` to `right` of a picture, the last ones not included."""

    left: int
    top: int
    right: int
    bottom: int

    def cut(self, picture_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a copy of this region."""
        return picture_HWC[self.top : self.bottom, self.left : self.right].copy()

    def shifted(self, boxes_N4: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return boxes (left, top, right, bottom) of the picture in pixels of this region."""
        return boxes_N4 - np.array([self.left, self.top, self.left, self.top], np.float32)


def frontal_eye_distance_px(landmarks_52: NDArray[np.float32]) -> float:
    """Return the inter-eye distance, for a turned face the one it would have from the front."""
    (rx, ry), (lx, ly), _, (ax, ay), (bx, by) = landmarks_52.tolist()
    eyes_to_mouth = math.hypot((ax + bx - rx - lx) / 2, (ay + by - ry - ly) / 2)
    return max(math.hypot(lx - rx, ly - ry), EYES_OVER_EYES_TO_MOUTH * eyes_to_mouth)


def portrait_region(landmarks_52: NDArray[np.float32], width_px: int, height_px: int) -> Region:
    """Return the portrait's region of a face by its landmarks, cut at the picture's border."""
    eyes = landmarks_52[:2].mean(axis=0)
    side_px = SIDE_IN_EYE_DISTANCES * frontal_eye_distance_px(landmarks_52)
    left, top = float(eyes[0]) - side_px / 2, float(eyes[1]) - side_px * EYES_FROM_TOP
    x0, y0 = _inside(left, width_px - 1), _inside(top, height_px - 1)
    x1, y1 = _inside(left + side_px, width_px), _inside(top + side_px, height_px)
    return Region(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))


def _inside(position: float, limit: int) -> int:
    return min(max(round(position), 0), limit)
