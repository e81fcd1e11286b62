"""How well one look at a face is explained as an affine image of another: as well as noise lets it, if it is flat.

Lucas-Kanade registration of two crops, inverse compositional (Baker and Matthews 2004): what depends on the
reference alone is computed once. Brightness and contrast are free, as light changes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from overt.recognition.align import TEMPLATE_52, TEMPLATE_SIZE_PX, Aligner

Floats = NDArray[np.float32]

SIDE_PX = 64
_ALIGNER = Aligner(TEMPLATE_52 * SIDE_PX / TEMPLATE_SIZE_PX, SIDE_PX)
# Pixel noise and what the two looks' sizes make of it would be registered too.
BLUR_PX = 1.0
STEPS = 8
SMALLEST_STEP = 1e-3
# Past this nothing was found: the two looks are no images of each other.
LARGEST_CHANGE = 0.6

_MIDDLE_XY, _HALF_PX = (31.5, 36.0), 32.0


@dataclass(frozen=True, slots=True)
class Fit:
    """likeness: correlation after the best affine map, 0 where none was found. dilatation: its foreshortening."""

    likeness: float
    dilatation: complex


NO_FIT = Fit(0.0, 0j)


class Reference:
    """One crop, ready to be compared with others."""

    def __init__(self, crop_SS: NDArray[np.uint8]) -> None:
        smooth_SS = _smooth(crop_SS)
        down_SS, across_SS = (np.asarray(slope_SS, np.float32) for slope_SS in np.gradient(smooth_SS))
        gx_N, gy_N = across_SS[_ROWS, _COLUMNS] * _HALF_PX, down_SS[_ROWS, _COLUMNS] * _HALF_PX
        self._values_N = smooth_SS[_ROWS, _COLUMNS]
        one_N = np.ones_like(gx_N)
        columns_N8 = np.stack(
            [gx_N * _X, gx_N * _Y, gx_N, gy_N * _X, gy_N * _Y, gy_N, self._values_N, one_N], axis=1
        )
        self._inverse_8N = np.linalg.pinv(columns_N8, rcond=1e-6)

    def fit(self, crop_SS: NDArray[np.uint8]) -> Fit:
        """Return how well `crop_SS` is an affine image of this one, beginning with both as they are."""
        smooth_SS, map_33 = _smooth(crop_SS), np.eye(3)
        for _ in range(STEPS):
            change_8 = self._inverse_8N @ (_sampled(smooth_SS, map_33) - self._values_N)
            step_33 = np.eye(3)
            # The seventh is contrast: the gradients of the other crop are stronger by as much.
            step_33[:2] += change_8[:6].reshape(2, 3) / max(1 + float(change_8[6]), 0.2)
            if not abs(np.linalg.det(step_33)) > 0.1:
                return NO_FIT
            map_33 = map_33 @ np.linalg.inv(step_33)
            if not np.abs(map_33 - np.eye(3)).max() < LARGEST_CHANGE:
                return NO_FIT
            if np.abs(change_8[:6]).max() < SMALLEST_STEP:
                break
        return Fit(_correlation(_sampled(smooth_SS, map_33), self._values_N), _dilatation(map_33))


def face_crop(picture_HWC: NDArray[np.uint8], landmarks_52: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return the upright face in grey, SIDE_PX x SIDE_PX."""
    crop = Image.fromarray(_ALIGNER.crop(picture_HWC, landmarks_52)).convert("L")
    return np.asarray(crop)


def _smooth(crop_SS: NDArray[np.uint8]) -> Floats:
    return np.asarray(Image.fromarray(crop_SS).filter(ImageFilter.GaussianBlur(BLUR_PX)), np.float32)


def _sampled(image_SS: Floats, map_33: NDArray[np.float64]) -> Floats:
    """Return the N values at the mapped places of the face, bilinear; the rim goes on outside."""
    x, y = (map_33[:2] @ np.stack([_X, _Y, np.ones_like(_X)])).astype(np.float32)
    limit = SIDE_PX - 1.01
    column_N = np.clip(x * _HALF_PX + _MIDDLE_XY[0], 0, limit)
    row_N = np.clip(y * _HALF_PX + _MIDDLE_XY[1], 0, limit)
    left_N, top_N = column_N.astype(np.intp), row_N.astype(np.intp)
    right_N, below_N = column_N - left_N, row_N - top_N
    flat, at_N = image_SS.ravel(), top_N * SIDE_PX + left_N
    upper_N = flat[at_N] * (1 - right_N) + flat[at_N + 1] * right_N
    lower_N = flat[at_N + SIDE_PX] * (1 - right_N) + flat[at_N + SIDE_PX + 1] * right_N
    values_N: Floats = upper_N * (1 - below_N) + lower_N * below_N
    return values_N


def _correlation(first_N: Floats, second_N: Floats) -> float:
    a_N, b_N = first_N - first_N.mean(), second_N - second_N.mean()
    size = float(np.sqrt((a_N @ a_N) * (b_N @ b_N)))
    return max(float(a_N @ b_N) / size, 0.0) if size > 0 else 0.0


def _dilatation(map_33: NDArray[np.float64]) -> complex:
    """Return q / p of the map as p z + q z*: (s1 - s2) / (s1 + s2) of its singular values, with its axis."""
    (a, b), (c, d) = map_33[:2, :2]
    turn, squeeze = complex(a + d, c - b), complex(a - d, c + b)
    return squeeze / turn if turn else 0j


def _oval() -> tuple[NDArray[np.intp], NDArray[np.intp], Floats, Floats]:
    """Return rows, columns and places, in half crops from the middle, of the pixels that are face."""
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX]
    x, y = (columns - _MIDDLE_XY[0]) / _HALF_PX, (rows - _MIDDLE_XY[1]) / _HALF_PX
    # Every other one, as on a chessboard: after the blur its neighbours say the same.
    inside = ((x / 0.70) ** 2 + (y / 0.78) ** 2 < 1) & ((rows + columns) % 2 == 0)
    return rows[inside], columns[inside], x[inside].astype(np.float32), y[inside].astype(np.float32)


_ROWS, _COLUMNS, _X, _Y = _oval()
