"""How a head is turned, from five landmarks.

Head pose yaw, pitch and roll as in ISO/IEC 29794-5. The standard takes them from a dense model of the face;
here a rigid mean face of five points is laid through the five landmarks under scaled orthographic projection
(DeMenthon and Davis 1995, the first step of POSIT). A face whose nose is longer or higher than the mean one is
a few degrees off for that reason alone, in pitch most of all.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Mean face in inter-eye distances: x to the picture's right, y down, z away from the camera. Fitted: of all
# symmetric faces the one that leaves the least median error in the photographs of 801 people (4.3 % of the
# eyes' distance, `benchmarks/pose.py`). The depth of the nose is known to a tenth, so yaw is too.
MEAN_FACE_53: NDArray[np.float64] = np.array(
    [
        [-0.5, 0.0, 0.0],
        [0.5, 0.0, 0.0],
        [0.0, 0.50, -0.49],
        [-0.43, 0.96, -0.05],
        [0.43, 0.96, -0.05],
    ]
)
_CENTRED_53 = MEAN_FACE_53 - MEAN_FACE_53.mean(axis=0)
_INVERSE_35 = np.linalg.pinv(_CENTRED_53)


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Degrees; 0, 0, 0 looks into the camera with level eyes.

    yaw_deg: positive turns the nose to the picture's right. pitch_deg: positive lowers it. roll_deg: positive
    turns the head clockwise in the picture.
    """

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


NO_POSE = HeadPose(90.0, 90.0, 180.0)


def head_pose(landmarks_52: NDArray[np.floating]) -> HeadPose:
    """Return the pose of the head that the landmarks belong to, NO_POSE where they span no plane."""
    points_25 = (np.asarray(landmarks_52, np.float64) - np.mean(landmarks_52, axis=0)).T
    affine_23 = points_25 @ _INVERSE_35.T
    left_22, singular_2, right_23 = np.linalg.svd(affine_23, full_matrices=False)
    if singular_2[1] <= 1e-6 * max(singular_2[0], 1e-6):
        return NO_POSE
    # The nearest two rows of a rotation; the third stands upright on them.
    across_3, down_3 = left_22 @ right_23
    away_3 = np.cross(across_3, down_3)
    # Rotation = roll about the line of sight, after yaw, after pitch.
    return HeadPose(
        yaw_deg=math.degrees(math.asin(np.clip(away_3[0], -1.0, 1.0))),
        pitch_deg=math.degrees(math.atan2(away_3[1], away_3[2])),
        roll_deg=math.degrees(math.atan2(down_3[0], across_3[0])),
    )
