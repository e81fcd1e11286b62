"""Judges one look at a face: its components and the one number made of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overt.recognition.align import align_crop
from overt.recognition.framing import frontal_eye_distance_px
from overt.recognition.quality import light
from overt.recognition.quality.occlusion import eyes_visible, mouth_visible
from overt.recognition.quality.pose import head_pose
from overt.recognition.quality.sharpness import sharpness
from overt.recognition.quality.within import margin


@dataclass(frozen=True, slots=True)
class Components:
    """What is measured of one look at a face, after ISO/IEC 29794-5. Shares are 0 to 1, higher is better.

    inter_eye_distance_px: in the picture; for a turned head the one it would have from the front.
    margin: the share of the face that lies within the picture.
    yaw_deg, pitch_deg, roll_deg: as in `pose.HeadPose`; zero looks into the camera.
    eyes_visible, mouth_visible: a proxy, see `occlusion`.
    """

    inter_eye_distance_px: float
    margin: float
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    under_exposure_prevention: float
    over_exposure_prevention: float
    dynamic_range: float
    sharpness: float
    eyes_visible: float
    mouth_visible: float


@dataclass(frozen=True, slots=True)
class Quality:
    """One look at a face: `score`, 0 to 100, orders looks; it is no probability. See `Components`."""

    score: int
    components: Components


def assess(
    image_HWC: NDArray[np.uint8], *, box: NDArray[np.floating], landmarks_52: NDArray[np.floating]
) -> Quality:
    """Judge a face by its box (left, top, right, bottom) and landmarks in an RGB picture, pixels of it.

    What is judged is the 112-pixel crop of the ArcFace template, whatever pack is loaded.
    """
    height, width = image_HWC.shape[:2]
    luma_HW = light.luma(align_crop(image_HWC, landmarks_52))
    face_HW = light.inner_face(luma_HW)
    pose = head_pose(landmarks_52)
    eyes_px = frontal_eye_distance_px(np.asarray(landmarks_52, np.float32))
    components = Components(
        inter_eye_distance_px=eyes_px,
        margin=margin(box, landmarks_52, (width, height)),
        yaw_deg=pose.yaw_deg,
        pitch_deg=pose.pitch_deg,
        roll_deg=pose.roll_deg,
        under_exposure_prevention=light.under_exposure_prevention(face_HW),
        over_exposure_prevention=light.over_exposure_prevention(face_HW),
        dynamic_range=light.dynamic_range(face_HW),
        sharpness=sharpness(face_HW, eyes_px),
        eyes_visible=eyes_visible(luma_HW),
        mouth_visible=mouth_visible(luma_HW),
    )
    return Quality(unified_score(components), components)


@dataclass(frozen=True, slots=True)
class Part:
    """One factor of the score: 0 to 1, with 1 where more of it brings nothing, and its exponent."""

    name: str
    value: Callable[[Components], float]
    exponent: float


def _turned(angle_deg: float) -> float:
    """Return the standard's measure of a turn: the squared cosine, nothing from a right angle on."""
    return math.cos(math.radians(min(abs(angle_deg), 90.0))) ** 2


# The exponents were searched for on one half of the people of Labeled Faces in the Wild, as the least area under
# the error-versus-discard curve (Grother and Tabassi 2007), and measured on the other: `benchmarks/quality.py`.
# By hand: pose and margin, which hardly vary there (the search gave yaw no weight, pitch more). They keep some, so
# that of two looks at a passer-by the frontal and whole one is sent.
PARTS = (
    Part("inter_eye_distance_px", lambda c: min(1.0, c.inter_eye_distance_px / 35.0), 0.2),
    Part("margin", lambda c: c.margin, 2.0),
    Part("yaw", lambda c: _turned(c.yaw_deg), 0.3),
    Part("pitch", lambda c: _turned(c.pitch_deg), 0.3),
    Part("over_exposure_prevention", lambda c: c.over_exposure_prevention, 0.4),
    Part("dynamic_range", lambda c: min(1.0, c.dynamic_range / 0.9), 0.6),
    Part("sharpness", lambda c: min(1.0, c.sharpness / 0.2), 0.4),
    # Sharper than any face is: noise.
    Part("grain", lambda c: min(1.0, (1.0 - c.sharpness) / 0.5), 0.6),
    Part("eyes_visible", lambda c: min(1.0, c.eyes_visible / 0.8), 0.2),
    Part("mouth_visible", lambda c: min(1.0, c.mouth_visible / 0.8), 0.05),
)


def unified_score(components: Components) -> int:
    """Return 0 to 100: the product of PARTS, each to its exponent."""
    score: float = math.prod(part.value(components) ** part.exponent for part in PARTS)
    return round(100 * score)
