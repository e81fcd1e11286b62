"""Faces as a detector gives them, and the choice among overlapping ones.

Coordinates are pixel indices: the middle of the first pixel is (0, 0).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

LONGEST_SIDE_PX = 960
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Detections:
    """N faces, the surest first, in pixels of the picture that was given.

    boxes_N4: left, top, right, bottom. landmarks_N52: right eye, left eye, nose, right and left corner of
    the mouth (right is the person's own), each x, y. scores_N: 0 to 1. All float32.
    """

    boxes_N4: Floats
    landmarks_N52: Floats
    scores_N: Floats

    def __post_init__(self) -> None:
        """Refuse shapes that do not belong together."""
        count = len(self.scores_N)
        for name, array, shape in (
            ("boxes_N4", self.boxes_N4, (count, 4)),
            ("landmarks_N52", self.landmarks_N52, (count, 5, 2)),
            ("scores_N", self.scores_N, (count,)),
        ):
            if array.shape != shape or array.dtype != np.float32:
                raise ValueError(f"{name} is {array.dtype} {array.shape}, expected float32 {shape}")

    def __len__(self) -> int:
        return len(self.scores_N)

    def only(self, chosen_N: NDArray[np.bool_]) -> "Detections":
        """Return the chosen faces, in their order."""
        return Detections(self.boxes_N4[chosen_N], self.landmarks_N52[chosen_N], self.scores_N[chosen_N])

    def scaled(self, factor: float) -> "Detections":
        """Return the same faces in pixels of the same picture drawn `factor` times as large.

        A picture decoded at half size is brought to full size by a factor of 2.
        """
        boxes_N4 = to_scale(self.boxes_N4, factor)
        return Detections(boxes_N4, to_scale(self.landmarks_N52, factor), self.scores_N)


def to_scale(points: Floats, factor: float) -> Floats:
    """Return pixel indices of a picture as those of the same picture `factor` times as large."""
    return ((points + np.float32(0.5)) * np.float32(factor) - np.float32(0.5)).astype(np.float32)


class FaceDetector(Protocol):
    """What every pack's detector does. Safe to share between threads."""

    def detect(self, image_HWC: NDArray[np.uint8], *, longest_side_px: int = LONGEST_SIDE_PX) -> Detections:
        """Return the faces of an RGB picture, seen at `longest_side_px` (it is never enlarged).

        A picture that is no larger than that is not resized. Raises ValueError for another shape or type.
        """

    def detect_batch(
        self, images: Sequence[NDArray[np.uint8]], *, longest_side_px: int = LONGEST_SIDE_PX
    ) -> list[Detections]:
        """Return the faces of each picture, as `detect` would: together where the device gains by it."""

    def with_score(self, score_threshold: float) -> Self:
        """Return the same network, asked for the faces at or above another score."""


def nothing() -> Detections:
    """Return no faces."""
    empty = np.zeros((0, 4), np.float32)
    return Detections(empty, np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))


def require_rgb(image_HWC: NDArray[np.uint8]) -> None:
    """Raise ValueError for what is no RGB picture."""
    if image_HWC.ndim != 3 or image_HWC.shape[2] != 3 or image_HWC.dtype != np.uint8:
        raise ValueError(f"picture is {image_HWC.dtype} {image_HWC.shape}, expected uint8 (H, W, 3)")


def suppress(
    boxes_N4: Floats, scores_N: Floats, most: float, *, over: Literal["union", "smaller"] = "union"
) -> NDArray[np.intp]:
    """Return the indices that stay, the surest first: greedy non-maximum suppression.

    Of two boxes the weaker goes when what they have in common is more than `most` of both together (IoU), or
    of the smaller one: a face found once more inside itself has a small IoU.
    """
    order = np.argsort(-scores_N, kind="stable")
    area_N = np.prod(boxes_N4[:, 2:] - boxes_N4[:, :2], axis=1)
    kept: list[int] = []
    while len(order):
        first, rest = int(order[0]), order[1:]
        kept.append(first)
        low_R2 = np.maximum(boxes_N4[first, :2], boxes_N4[rest, :2])
        high_R2 = np.minimum(boxes_N4[first, 2:], boxes_N4[rest, 2:])
        common_R = np.prod(np.clip(high_R2 - low_R2, 0, None), axis=1)
        union_R = area_N[first] + area_N[rest] - common_R
        whole_R = union_R if over == "union" else np.minimum(area_N[first], area_N[rest])
        order = rest[common_R <= most * whole_R]
    return np.array(kept, np.intp)
