"""The picture of an entry that a judge sees beside a probe: one face, eyes level, a little surroundings."""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from overt.recognition.framing import EYES_FROM_TOP, portrait_side_px

MAX_SIDE_PX = 400
JPEG_QUALITY = 88


def portrait_jpeg(image_HWC: NDArray[np.uint8], landmarks_52: NDArray[np.float32]) -> bytes:
    """Return a square JPEG of at most 400 px around the face whose landmarks are given, turned upright.

    `landmarks_52`: x, y of right eye, left eye, nose, right and left mouth corner, in pixels of the image, the
    middle of the first pixel being (0, 0).
    What lies outside the image is black. The picture is not enlarged, and carries no metadata.
    """
    # Pillow counts from the corner of the first pixel.
    right, left = landmarks_52[0].astype(float) + 0.5, landmarks_52[1].astype(float) + 0.5
    across = left - right
    side = portrait_side_px(landmarks_52)
    side_px = max(16, min(MAX_SIDE_PX, round(side)))
    angle = math.atan2(across[1], across[0])
    region, offset = _region(image_HWC, (right + left) / 2, side)
    # Output pixel (u, v) shows the source at middle + R(angle) * scale * ((u, v) - anchor).
    scale = side / side_px
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    middle = (right + left) / 2 - offset
    anchor_x, anchor_y = side_px / 2, side_px * EYES_FROM_TOP
    affine = (
        cos,
        -sin,
        middle[0] - cos * anchor_x + sin * anchor_y,
        sin,
        cos,
        middle[1] - sin * anchor_x - cos * anchor_y,
    )
    return _render(region, affine, scale=scale, side_px=side_px)


def _region(
    image_HWC: NDArray[np.uint8], middle: NDArray[np.float64], side: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Cut out what the turned square can touch, so that a large picture is not worked on whole."""
    height, width = image_HWC.shape[:2]
    reach = side * math.sqrt(2)
    x0, x1 = (int(np.clip(middle[0] + sign * reach, 0, width)) for sign in (-1, 1))
    y0, y1 = (int(np.clip(middle[1] + sign * reach, 0, height)) for sign in (-1, 1))
    return image_HWC[y0:y1, x0:x1], np.array([x0, y0], dtype=float)


def _render(
    region_HWC: NDArray[np.uint8],
    affine: tuple[float, float, float, float, float, float],
    *,
    scale: float,
    side_px: int,
) -> bytes:
    picture = Image.fromarray(np.ascontiguousarray(region_HWC))
    # A bilinear transform alone aliases when it shrinks: shrink by whole numbers first.
    factor = max(1, int(scale))
    if factor > 1:
        picture = picture.reduce(factor)
        affine = (
            affine[0] / factor,
            affine[1] / factor,
            affine[2] / factor,
            affine[3] / factor,
            affine[4] / factor,
            affine[5] / factor,
        )
    turned = picture.transform(
        (side_px, side_px), Image.Transform.AFFINE, affine, resample=Image.Resampling.BICUBIC
    )
    out = io.BytesIO()
    turned.save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()
