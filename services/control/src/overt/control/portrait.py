"""The picture of an entry that a judge sees beside a probe: one face, eyes level, a little surroundings."""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MAX_SIDE_PX = 400
# The frame of a probe's portrait, so that both show faces of equal size: a square of 4.2 inter-eye distances,
# the eyes at 45 % of its height.
SIDE_IN_EYE_DISTANCES = 4.2
# Inter-eye distance over the distance from the eyes' middle to the mouth's, in a face seen from the front: a
# face that turns away narrows the first, not the second, and must not grow in the frame.
EYES_OVER_EYES_TO_MOUTH = 0.86
EYES_FROM_TOP = 0.45
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
    side = SIDE_IN_EYE_DISTANCES * _frontal_eye_distance_px(landmarks_52)
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


def _frontal_eye_distance_px(landmarks_52: NDArray[np.float32]) -> float:
    """Return the inter-eye distance, for a turned face the one it would have from the front."""
    across = landmarks_52[1] - landmarks_52[0]
    down = (landmarks_52[3] + landmarks_52[4] - landmarks_52[0] - landmarks_52[1]) / 2
    return max(math.hypot(*across), EYES_OVER_EYES_TO_MOUTH * math.hypot(*down))


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
