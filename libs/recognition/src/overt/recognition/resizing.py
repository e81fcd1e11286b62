"""Brings pictures to the size that a detector looks at, and the faces back to the whole picture.

Coordinates are pixel indices: the middle of the first pixel is (0, 0).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from overt.recognition.detections import Detections, Floats

# How far a picture is reduced by whole factors before it is resampled (Pillow's reducing_gap).
REDUCING_GAP = 2.0


def shrunk(image_HWC: NDArray[np.uint8], width_px: int, height_px: int) -> NDArray[np.uint8]:
    """Return the picture so that it fits in width x height, never enlarged."""
    height, width = image_HWC.shape[:2]
    scale = min(width_px / width, height_px / height)
    if scale >= 1:
        return image_HWC
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(np.ascontiguousarray(image_HWC))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=REDUCING_GAP))


def enlarged(faces: Detections, seen: tuple[int, ...], whole: tuple[int, ...]) -> Detections:
    """Return faces of the shrunk picture (its shape is `seen`) in pixels of the whole one."""
    # Width and height may be rounded differently: each axis has a factor of its own.
    factors = (whole[1] / seen[1], whole[0] / seen[0])
    if factors == (1.0, 1.0):
        return faces
    factors_2 = np.array(factors, np.float32)
    return Detections(
        _rescaled(faces.boxes_N4.reshape(-1, 2, 2), factors_2).reshape(-1, 4),
        _rescaled(faces.landmarks_N52, factors_2),
        faces.scores_N,
    )


def of_one_size(small: Mapping[int, NDArray[np.uint8]], batch: int) -> list[list[int]]:
    """Return the keys of pictures of one size together, at most `batch` at a time."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for index, image_HWC in small.items():
        by_shape.setdefault(image_HWC.shape, []).append(index)
    return [
        indices[start : start + batch]
        for indices in by_shape.values()
        for start in range(0, len(indices), batch)
    ]


def resize_rule() -> str:
    """Return how a picture is made smaller: landmarks depend on it."""
    return f"bilinear over the whole support, reducing gap {REDUCING_GAP}"


def _rescaled(points: Floats, factors_2: Floats) -> Floats:
    return ((points + np.float32(0.5)) * factors_2 - np.float32(0.5)).astype(np.float32)
