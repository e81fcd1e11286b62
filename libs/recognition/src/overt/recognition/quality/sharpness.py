"""How sharp a face is: how much of the variation between neighbours a blur takes away.

The blur effect of Crete, Dolmiere, Ladret and Nicolas (2007), which does not depend on contrast. ISO/IEC
29794-5 has a component of this name, of a trained forest over Laplacian and Sobel responses; ours needs no
model file.
"""

import numpy as np
from numpy.typing import NDArray

# The eyes' distance in the aligned crop: a face with fewer pixels was enlarged for it.
FULL_EYE_DISTANCE_PX = 35.0
MAX_STEP_PX = 3


def sharpness(face_HW: NDArray[np.float32], inter_eye_distance_px: float) -> float:
    """Return 0 (blurred) to 1 (sharp) for the luma of an aligned face.

    A small face is smooth in its crop because it was enlarged: neighbours are taken further apart.
    """
    step = int(np.clip(round(FULL_EYE_DISTANCE_PX / max(inter_eye_distance_px, 1.0)), 1, MAX_STEP_PX))
    return min(_along_rows(face_HW, step), _along_rows(face_HW.T, step))


def _along_rows(face_HW: NDArray[np.float32], step: int) -> float:
    width = 4 * step + 1
    total_HW = np.cumsum(np.pad(face_HW, ((0, 0), (1, 0))), axis=1)
    blurred_HW = (total_HW[:, width:] - total_HW[:, :-width]) / width
    sharp_HW = face_HW[:, 2 * step : -2 * step]
    was_HW = np.abs(sharp_HW[:, step:] - sharp_HW[:, :-step])
    is_HW = np.abs(blurred_HW[:, step:] - blurred_HW[:, :-step])
    variation = float(was_HW.sum())
    return float(np.maximum(was_HW - is_HW, 0).sum()) / variation if variation > 0 else 0.0
