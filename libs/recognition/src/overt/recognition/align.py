"""Turns a face upright: five landmarks onto fixed places of a small square crop.

Coordinates are pixel indices, as the detector gives them: the middle of the first pixel is (0, 0).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# The five places of the 112-pixel crop that SFace was trained on (ArcFace, Deng et al. 2019; OpenCV's
# FaceRecognizerSF): right eye, left eye, nose, right and left corner of the mouth; right is the person's.
TEMPLATE_52: NDArray[np.float64] = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
TEMPLATE_SIZE_PX = 112
# Taken around the needed region, so that interpolation at its rim has its neighbours.
RIM_PX = 2


def similarity_transform(
    landmarks_52: NDArray[np.floating], template_52: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the 2x3 matrix of rotation, scale and shift that best maps `landmarks_52` onto `template_52`.

    Least squares in closed form (Umeyama 1991, eqs. 38-43), never a mirror image. Points that all coincide
    give a matrix of zero scale.
    """
    source, target = np.asarray(landmarks_52, np.float64), np.asarray(template_52, np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    source_c, target_c = source - source_mean, target - target_mean
    left, singular, right = np.linalg.svd(target_c.T @ source_c / len(source))
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right)) or 1.0])
    variance = source_c.var(axis=0).sum()
    scale = float(singular @ signs) / variance if variance > 0 else 0.0
    rotation = left @ np.diag(signs) @ right
    matrix_23 = np.empty((2, 3))
    matrix_23[:, :2] = scale * rotation
    matrix_23[:, 2] = target_mean - scale * rotation @ source_mean
    return matrix_23


@dataclass(frozen=True, slots=True, eq=False)
class Aligner:
    """Cuts upright faces of `size_px` x `size_px`, their landmarks at `template_52` (pixels of the crop)."""

    template_52: NDArray[np.float64]
    size_px: int

    def crop(self, image_HWC: NDArray[np.uint8], landmarks_52: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Return the upright face as size_px x size_px x 3; what lies outside the picture is black.

        Only the region that the crop needs is touched. A face more than twice as large as the crop is
        reduced by whole factors first: bilinear sampling alone would alias.
        """
        size_px = self.size_px
        back_23 = _inverse(similarity_transform(landmarks_52, self.template_52))
        factor = max(1, int(np.hypot(back_23[0, 0], back_23[1, 0])))
        left, top, right, bottom = _region(back_23, size_px, image_HWC.shape, RIM_PX * factor)
        if right <= left or bottom <= top:
            return np.zeros((size_px, size_px, 3), np.uint8)
        region = Image.fromarray(np.ascontiguousarray(image_HWC[top:bottom, left:right]))
        if factor > 1:
            region = region.reduce(factor)
        # Pillow counts from the corner of the first pixel, we from its middle: half a pixel on both sides.
        linear = back_23[:, :2]
        shift = back_23[:, 2] + 0.5 - linear @ (0.5, 0.5) - (left, top)
        a, b, c = np.column_stack([linear, shift])[0] / factor
        d, e, f = np.column_stack([linear, shift])[1] / factor
        crop = region.transform(
            (size_px, size_px), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
        )
        return np.asarray(crop)


ARCFACE = Aligner(TEMPLATE_52, TEMPLATE_SIZE_PX)


def align_crop(image_HWC: NDArray[np.uint8], landmarks_52: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return the upright face as 112 x 112 x 3 by the ArcFace template, whatever pack is loaded."""
    return ARCFACE.crop(image_HWC, landmarks_52)


def crop_constants() -> Mapping[str, object]:
    """Return what a crop depends on besides the pack's own template."""
    return {
        "method": "similarity, least squares; whole-factor reduction, then bilinear; black outside",
        "rim_px": RIM_PX,
    }


def _inverse(matrix_23: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the way back; a face without extent (all landmarks in one place) maps to its place alone."""
    linear = matrix_23[:, :2]
    back = np.linalg.inv(linear) if np.linalg.det(linear) > 0 else np.zeros((2, 2))
    return np.column_stack([back, -back @ matrix_23[:, 2]])


def _region(
    back_23: NDArray[np.float64], size_px: int, shape: tuple[int, ...], rim_px: int
) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom (exclusive) of what the crop needs, within the picture."""
    far = size_px - 1
    corners_34 = np.array([[0, far, far, 0], [0, 0, far, far], [1, 1, 1, 1]], np.float64)
    corners_24 = back_23 @ corners_34
    low, high = np.floor(corners_24.min(axis=1)) - rim_px, np.ceil(corners_24.max(axis=1)) + rim_px + 1
    height, width = shape[:2]
    left, top = (int(value) for value in np.clip(low, 0, (width, height)))
    right, bottom = (int(value) for value in np.clip(high, 0, (width, height)))
    return left, top, right, bottom
