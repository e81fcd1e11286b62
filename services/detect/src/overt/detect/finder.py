"""Asks a pack's detector for the faces of several cameras' frames at once, and of a whole picture to be blurred."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from overt.detect.shown import Shown
from overt.recognition.detector import Detections


class FaceFinder(Protocol):
    """What is asked of a pack's detector."""

    def detect_batch(self, images: Sequence[NDArray[np.uint8]], *, longest_side_px: int) -> list[Detections]:
        """Return the faces of each RGB picture in its pixels, the doubtful ones too."""


def find_together(finder: FaceFinder, shown: Sequence[Shown]) -> list[Detections]:
    """Return the faces of each region, in its pixels: those that are seen at one size in one call."""
    by_side: dict[int, list[int]] = {}
    for index, one in enumerate(shown):
        by_side.setdefault(one.longest_side_px, []).append(index)
    found: dict[int, Detections] = {}
    for side_px, indices in by_side.items():
        pictures = [shown[index].picture_HWC for index in indices]
        found |= zip(indices, finder.detect_batch(pictures, longest_side_px=side_px), strict=True)
    return [found[index] for index in range(len(shown))]
