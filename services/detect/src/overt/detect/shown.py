"""What of a frame is shown to the detector, and its answer brought back to the full picture."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.contracts.messages import FrameCaptured
from overt.detect import jpeg, polygon
from overt.detect.portrait import Region
from overt.detect.zones import Zone
from overt.recognition.detector import Detections

# A face whose middle is at the edge of the region has half of itself outside. This much around the region,
# as a share of the picture's longest side, is shown too; a larger face is found a little further in.
AROUND = 0.1


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame, decoded small, and the region of it in which faces are looked for.

    small_HWC: the whole picture. region: in its pixels. longest_side_px: at which the region is to be seen.
    sees_all: whether nothing of the picture is left out or seen smaller than the service does without a zone.
    """

    frame: FrameCaptured
    small_HWC: NDArray[np.uint8]
    region: Region
    longest_side_px: int
    sees_all: bool

    @property
    def picture_HWC(self) -> NDArray[np.uint8]:
        """The region's pixels, a view."""
        return self.small_HWC[self.region.top : self.region.bottom, self.region.left : self.region.right]

    @property
    def scale(self) -> float:
        """How many times as large the full picture is."""
        return float(self.frame.width_px / self.small_HWC.shape[1])

    def in_small(self, found: Detections) -> Detections:
        """Return faces of the region in pixels of the whole small picture."""
        corner_2 = np.array([self.region.left, self.region.top], np.float32)
        return Detections(
            found.boxes_N4 + np.tile(corner_2, 2), found.landmarks_N52 + corner_2, found.scores_N
        )


def show(frame: FrameCaptured, zone: Zone, default_px: int) -> Shown:
    """Decode a frame as far as its camera's zone needs it. Raises jpeg.UnreadablePicture.

    `default_px`: the longest side at which faces are looked for where the zone says nothing. The picture is
    never decoded smaller: looks are judged on it, and are to be worth the same in every zone.
    """
    whole = _region(zone, frame.width_px, frame.height_px)
    region_px = max(whole.right - whole.left, whole.bottom - whole.top)
    longest_px = zone.longest_side_px(region_px, default_px)
    picture_px = max(frame.width_px, frame.height_px)
    needed_px = max(default_px, math.ceil(picture_px * longest_px / region_px))
    small_HWC = jpeg.decode(frame.jpeg, min_longest_px=needed_px)
    height_px, width_px = small_HWC.shape[:2]
    region = _region(zone, width_px, height_px)
    is_whole = (region.left, region.top, region.right, region.bottom) == (0, 0, width_px, height_px)
    return Shown(frame, small_HWC, region, longest_px, is_whole and longest_px >= min(default_px, picture_px))


def is_inside(boxes_N4: NDArray[np.float32], zone: Zone, size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which boxes have their middle inside the zone, in a picture of width x height pixels."""
    if zone.polygon is None:
        return np.ones(len(boxes_N4), np.bool_)
    # Pixel indices begin at the middle of the first pixel, fractions at its edge.
    middle_N2 = (boxes_N4[:, :2] + boxes_N4[:, 2:]) / 2 + np.float32(0.5)
    return polygon.inside(middle_N2 / np.array(size_wh, np.float32), zone.polygon)


def _region(zone: Zone, width_px: int, height_px: int) -> Region:
    """Return the box of a zone's polygon and what is around it, cut at the picture's border."""
    if zone.polygon is None:
        return Region(0, 0, width_px, height_px)
    around_px = AROUND * max(width_px, height_px)
    left, top, right, bottom = polygon.bounds(zone.polygon)
    return Region(
        max(0, math.floor(left * width_px - around_px)),
        max(0, math.floor(top * height_px - around_px)),
        min(width_px, math.ceil(right * width_px + around_px)),
        min(height_px, math.ceil(bottom * height_px + around_px)),
    )
