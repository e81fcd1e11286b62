"""Judges how good one look at a face is, in the terms of ISO/IEC 29794-5, with a reason for each refusal.

The components are measured on the aligned crop and the landmarks; the limits below were set on photographs
with known size, blur and light, so that what is refused is what would also be recognised badly.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.recognition.align import TEMPLATE_52, TEMPLATE_SIZE_PX, similarity_transform

# Distance of the eyes in the aligned crop: what a face of full resolution has.
FULL_EYE_DISTANCE_PX = 35.0
# Luma below and above which a pixel says nothing (ITU-R BT.601 luma, 0 to 255).
DARK, BRIGHT = 25, 245
GRID = 8


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """The least that is asked for. Shares are 0 to 1."""

    size_px: float
    sharpness: float
    exposure: float
    frontalness: float
    margin: float


# A probe may be poor: a wrong match is held off by the threshold, a lost one is lost for good.
PROBE = QualityLimits(size_px=10.0, sharpness=0.08, exposure=0.15, frontalness=0.10, margin=0.75)
# A reference is compared with everybody who passes: a poor one raises false alerts all day.
ENROLMENT = QualityLimits(size_px=20.0, sharpness=0.14, exposure=0.40, frontalness=0.20, margin=0.90)


@dataclass(frozen=True, slots=True)
class Quality:
    """One look at a face.

    score: 0 to 100, higher is better; it orders looks at one face, it is no probability.
    size_px: inter-eye distance in the picture (for a turned head the width it would have from the front).
    sharpness, exposure, frontalness, margin: 0 to 1, higher is better. margin is the share of the crop
    that lies within the picture.
    """

    score: int
    size_px: float
    sharpness: float
    exposure: float
    frontalness: float
    margin: float


def assess(
    crop_HWC: NDArray[np.uint8],
    *,
    box: NDArray[np.floating],
    landmarks_52: NDArray[np.floating],
    image_size_wh: tuple[int, int],
) -> Quality:
    """Judge a face by its aligned crop (square, RGB), its box and its landmarks in the picture."""
    transform_23 = similarity_transform(landmarks_52, TEMPLATE_52)
    scale = float(np.hypot(transform_23[0, 0], transform_23[1, 0]))
    size_px = FULL_EYE_DISTANCE_PX / scale if scale > 0 else 0.0
    luma_HW = _luma(crop_HWC)
    sharpness = _sharpness(luma_HW, size_px)
    exposure = _exposure(luma_HW)
    frontalness = _frontalness(landmarks_52)
    margin = min(_inside(transform_23, image_size_wh), _box_inside(box, image_size_wh))
    score = _score(size_px, sharpness, exposure, frontalness=frontalness, margin=margin)
    return Quality(score, size_px, sharpness, exposure, frontalness, margin)


def enrolment_refusal(quality: Quality) -> str | None:
    """Return why a face can't be enrolled, in words for an officer, or None."""
    return _refusal(quality, ENROLMENT)


def probe_ok(quality: Quality) -> bool:
    """Tell whether a face is good enough to be searched for."""
    return _refusal(quality, PROBE) is None


def _refusal(quality: Quality, limits: QualityLimits) -> str | None:
    if quality.size_px < limits.size_px:
        return (
            f"face too small: {quality.size_px:.0f} px between the eyes, at least {limits.size_px:.0f} needed"
        )
    reasons = (
        (quality.margin, limits.margin, "face cut off by the border of the picture"),
        (quality.frontalness, limits.frontalness, "face turned away"),
        (quality.exposure, limits.exposure, "face too dark, too bright or without contrast"),
        (quality.sharpness, limits.sharpness, "face blurred"),
    )
    return next((reason for value, limit, reason in reasons if value < limit), None)


def _luma(crop_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return ITU-R BT.601 luma of the inner face: hair and background tell nothing of the look."""
    side = len(crop_HWC)
    low, high = side // 7, side - side // 7
    inner_HWC = crop_HWC[low:high, low:high].astype(np.float32)
    luma_HW: NDArray[np.float32] = inner_HWC @ np.array([0.299, 0.587, 0.114], np.float32)
    return luma_HW


def _sharpness(luma_HW: NDArray[np.float32], size_px: float) -> float:
    """Return how much of the variation between neighbours a blur takes away: 0 blurred, 1 sharp.

    The blur effect of Crete et al. (2007), which does not depend on contrast. A small face was enlarged
    for the crop and is smooth for that reason alone: neighbours are taken further apart.
    """
    step = int(np.clip(round(FULL_EYE_DISTANCE_PX / max(size_px, 1.0)), 1, 3))
    return min(_axis_sharpness(luma_HW, step), _axis_sharpness(luma_HW.T, step))


def _axis_sharpness(luma_HW: NDArray[np.float32], step: int) -> float:
    width = 4 * step + 1
    total_HW = np.cumsum(np.pad(luma_HW, ((0, 0), (1, 0))), axis=1)
    blurred_HW = (total_HW[:, width:] - total_HW[:, :-width]) / width
    sharp_HW = luma_HW[:, 2 * step : -2 * step]
    was_HW = np.abs(sharp_HW[:, step:] - sharp_HW[:, :-step])
    is_HW = np.abs(blurred_HW[:, step:] - blurred_HW[:, :-step])
    variation = float(was_HW.sum())
    return float(np.maximum(was_HW - is_HW, 0).sum()) / variation if variation > 0 else 0.0


def _exposure(luma_HW: NDArray[np.float32]) -> float:
    """Return the share of usable pixels, less for a face without contrast."""
    usable = float(np.mean((luma_HW > DARK) & (luma_HW < BRIGHT)))
    return usable * min(1.0, float(luma_HW.std()) / 20.0)


def _frontalness(landmarks_52: NDArray[np.floating]) -> float:
    """Return 1 for a face seen from the front, 0 for a profile: by where the nose is between the eyes.

    Along the line of the eyes the nose stands in the middle, and about half-way down to the mouth.
    """
    right_eye, left_eye, nose, right_mouth, left_mouth = np.asarray(landmarks_52, np.float64)
    across, eyes = left_eye - right_eye, (left_eye + right_eye) / 2
    down = (right_mouth + left_mouth) / 2 - eyes
    width, height = float(np.hypot(*across)), float(np.hypot(*down))
    if width == 0 or height == 0:
        return 0.0
    # The middle line of the face runs from between the eyes to the mouth: a slant along it is no turn.
    place = float((nose - eyes) @ down) / height**2
    yaw = abs(float((nose - eyes - place * down) @ across)) / width**2
    narrowness = height / width  # a turned head narrows the eyes' distance, not the face's height
    pitch = abs(place - _FRONTAL_PLACE)
    turned = max(yaw / 0.5, pitch / 0.5, (narrowness - _FRONTAL_NARROWNESS) / 1.5)
    return float(np.clip(1.0 - turned, 0.0, 1.0))


def _inside(transform_23: NDArray[np.float64], image_size_wh: tuple[int, int]) -> float:
    """Return the share of the crop that lies within the picture."""
    linear = transform_23[:, :2]
    if np.linalg.det(linear) <= 0:
        return 0.0
    ticks = (np.arange(GRID) + 0.5) * TEMPLATE_SIZE_PX / GRID
    points_2P = np.stack(np.meshgrid(ticks, ticks)).reshape(2, -1)
    places_2P = np.linalg.solve(linear, points_2P - transform_23[:, 2:])
    limits_21 = np.array(image_size_wh, np.float64)[:, None]
    return float(np.mean(np.all((places_2P >= 0) & (places_2P < limits_21), axis=0)))


def _box_inside(box: NDArray[np.floating], image_size_wh: tuple[int, int]) -> float:
    """Return the share of the box that lies within the picture."""
    low, high = np.asarray(box[:2], np.float64), np.asarray(box[2:], np.float64)
    area = float(np.prod(np.maximum(high - low, 0)))
    common = np.minimum(high, image_size_wh) - np.maximum(low, 0)
    return float(np.prod(np.maximum(common, 0))) / area if area > 0 else 0.0


def _score(size_px: float, sharpness: float, exposure: float, *, frontalness: float, margin: float) -> int:
    """Return 0 to 100: the product of the components, each saturating where more brings little.

    The exponents follow how much similarity to other pictures of the same person was lost with each.
    """
    parts = (
        min(1.0, size_px / 50.0) ** 0.4,
        min(1.0, sharpness / 0.35) ** 0.4,
        min(1.0, exposure / 0.9) ** 0.5,
        min(1.0, frontalness / 0.9) ** 0.4,
        margin**2,
    )
    return round(100 * float(np.prod(parts)))


_EYES, _MOUTH = TEMPLATE_52[:2].mean(axis=0), TEMPLATE_52[3:].mean(axis=0)
_FRONTAL_PLACE = float((TEMPLATE_52[2] - _EYES) @ (_MOUTH - _EYES)) / float(
    (_MOUTH - _EYES) @ (_MOUTH - _EYES)
)
_FRONTAL_NARROWNESS = float(np.hypot(*(_MOUTH - _EYES)) / np.hypot(*(TEMPLATE_52[1] - TEMPLATE_52[0])))
