"""The light on a face: how much of it is lost in the dark, in the bright, and how many levels are left.

The components of ISO/IEC 29794-5 of the same names, over the inner face of the aligned crop. The standard
masks the face by many landmarks; five are too few for that, so a fixed rectangle of the crop stands for it.
"""

import numpy as np
from numpy.typing import NDArray

# Levels of luma up to and from which a pixel says nothing (ISO/IEC 29794-5, under- and over-exposure).
DARK, BRIGHT = 25, 247
# Share of the crop's side that is left out all around: hair and background tell nothing of the look.
OUTSIDE = 1 / 7
LEVELS, BITS = 256, 8


def luma(crop_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return ITU-R BT.601 luma, 0 to 255, of an RGB crop."""
    luma_HW: NDArray[np.float32] = crop_HWC.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return luma_HW


def inner_face(luma_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the middle of an aligned crop: from above the brows to below the mouth."""
    side = len(luma_HW)
    out = round(side * OUTSIDE)
    return luma_HW[out : side - out, out : side - out]


def under_exposure_prevention(face_HW: NDArray[np.float32]) -> float:
    """Return the share of pixels that are not too dark to show anything, 0 to 1."""
    return float(np.mean(face_HW > DARK))


def over_exposure_prevention(face_HW: NDArray[np.float32]) -> float:
    """Return the share of pixels that are not burnt out, 0 to 1."""
    return float(np.mean(face_HW < BRIGHT))


def dynamic_range(face_HW: NDArray[np.float32]) -> float:
    """Return the entropy of luma over the 8 bits it could have, 0 (one level) to 1 (all alike)."""
    counts_L = np.bincount(face_HW.round().astype(np.intp).ravel(), minlength=LEVELS)
    shares_L = counts_L[counts_L > 0] / face_HW.size
    return float(-(shares_L * np.log2(shares_L)).sum()) / BITS
