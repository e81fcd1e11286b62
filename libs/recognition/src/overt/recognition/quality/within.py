"""How much of a face lies within its picture.

Stands for the four "crop of the face image" components of ISO/IEC 29794-5. Those ask for the margins of a
passport photograph, which no camera in a street gives; what recognition needs is the crop itself.
"""

import numpy as np
from numpy.typing import NDArray

from overt.recognition.align import TEMPLATE_52, TEMPLATE_SIZE_PX, similarity_transform

GRID = 8


def margin(
    box: NDArray[np.floating], landmarks_52: NDArray[np.floating], image_size_wh: tuple[int, int]
) -> float:
    """Return the share of the face that the picture holds, 0 to 1: of its box or its crop, whichever is less."""
    return min(_crop_inside(landmarks_52, image_size_wh), _box_inside(box, image_size_wh))


def _crop_inside(landmarks_52: NDArray[np.floating], image_size_wh: tuple[int, int]) -> float:
    transform_23 = similarity_transform(landmarks_52, TEMPLATE_52)
    linear = transform_23[:, :2]
    if np.linalg.det(linear) <= 0:
        return 0.0
    ticks = (np.arange(GRID) + 0.5) * TEMPLATE_SIZE_PX / GRID
    points_2P = np.stack(np.meshgrid(ticks, ticks)).reshape(2, -1)
    places_2P = np.linalg.solve(linear, points_2P - transform_23[:, 2:])
    limits_21 = np.array(image_size_wh, np.float64)[:, None]
    return float(np.mean(np.all((places_2P >= 0) & (places_2P < limits_21), axis=0)))


def _box_inside(box: NDArray[np.floating], image_size_wh: tuple[int, int]) -> float:
    low, high = np.asarray(box[:2], np.float64), np.asarray(box[2:], np.float64)
    area = float(np.prod(np.maximum(high - low, 0)))
    common = np.minimum(high, image_size_wh) - np.maximum(low, 0)
    return float(np.prod(np.maximum(common, 0))) / area if area > 0 else 0.0
