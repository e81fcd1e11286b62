"""The region of a picture that is the portrait of one face: head and shoulder line, eyes at a fixed height."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.recognition.framing import EYES_FROM_TOP, portrait_side_px


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


def portrait_region(landmarks_52: NDArray[np.float32], width_px: int, height_px: int) -> Region:
    """Return the portrait's region of a face by its landmarks, cut at the picture's border."""
    eyes = landmarks_52[:2].mean(axis=0)
    side_px = portrait_side_px(landmarks_52)
    left, top = float(eyes[0]) - side_px / 2, float(eyes[1]) - side_px * EYES_FROM_TOP
    x0, y0 = _inside(left, width_px - 1), _inside(top, height_px - 1)
    x1, y1 = _inside(left + side_px, width_px), _inside(top + side_px, height_px)
    return Region(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))


def _inside(position: float, limit: int) -> int:
    return min(max(round(position), 0), limit)
