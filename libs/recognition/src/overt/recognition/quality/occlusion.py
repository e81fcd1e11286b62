"""Whether eyes and mouth can be seen: a proxy made of a few sums, no segmentation.

Stands for "eyes visible" and "mouth occlusion prevention" of ISO/IEC 29794-5, which take a network that knows
skin from cloth. What is asked here is whether the place of the eyes and the mouth in an aligned crop has the
structure that eyes and a mouth have, in luma alone, so that pictures without colour are judged alike. Sunglasses
and masks are found, a hand over one eye mostly not, and deep shadow over the eyes may be taken for
sunglasses: docs/recognition.md has the error rates (`benchmarks/occlusion.py`).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Rows and columns of the 112-pixel crop.
FACE = (slice(30, 104), slice(22, 90))
EYES = ((slice(44, 61), slice(26, 51)), (slice(44, 61), slice(62, 87)))
MOUTH = (slice(82, 104), slice(38, 74))
# Luma between neighbours and within a face below which there is nothing but noise.
LEAST_DETAIL, LEAST_CONTRAST = 0.5, 4.0


@dataclass(frozen=True, slots=True)
class Line:
    """A logistic regression: three weights and a bias, fitted on one half of the people of a set."""

    weights: tuple[float, float, float]
    bias: float

    def share(self, features: tuple[float, float, float]) -> float:
        """Return 0 to 1."""
        total = sum(weight * value for weight, value in zip(self.weights, features, strict=True)) + self.bias
        return 1.0 / (1.0 + math.exp(-min(max(total, -50.0), 50.0)))


EYES_LINE = Line((6.1, 2.3, 2.2), -0.8)
MOUTH_LINE = Line((3.6, 3.3, 1.0), 2.9)


def eyes_visible(luma_HW: NDArray[np.float32]) -> float:
    """Return 0 (covered) to 1 (seen) for the luma of an aligned 112-pixel crop."""
    return EYES_LINE.share(eye_features(luma_HW))


def mouth_visible(luma_HW: NDArray[np.float32]) -> float:
    """Return 0 (covered) to 1 (seen) for the luma of an aligned 112-pixel crop."""
    return MOUTH_LINE.share(mouth_features(luma_HW))


def eye_features(luma_HW: NDArray[np.float32]) -> tuple[float, float, float]:
    """Return the detail of the plainer and of the richer eye over the face's, as logarithms, and their likeness.

    Likeness is the correlation of one eye with the mirror image of the other.
    """
    detail_HW = _detail(luma_HW)
    details = [_log(float(detail_HW[eye].mean()) / _face_detail(detail_HW)) for eye in EYES]
    right_HW, left_HW = luma_HW[EYES[0]], luma_HW[EYES[1]][:, ::-1]
    return min(details), max(details), _correlation(right_HW, left_HW)


def mouth_features(luma_HW: NDArray[np.float32]) -> tuple[float, float, float]:
    """Return how dark the line between the lips is, and detail along it and contrast, over the face's."""
    contrast = max(float(luma_HW[FACE].std()), LEAST_CONTRAST)
    mouth_HW = luma_HW[MOUTH]
    rows_H = mouth_HW.mean(axis=1)
    line = float(np.median(rows_H) - rows_H.min()) / contrast
    along = float(np.abs(np.diff(mouth_HW, axis=1)).mean()) / _face_detail(_detail(luma_HW))
    return line, _log(along), _log(float(mouth_HW.std()) / contrast)


def _detail(luma_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sum of the steps to the neighbours on the right and below."""
    steps_HW: NDArray[np.float32] = (
        np.abs(np.diff(luma_HW, axis=1))[:-1] + np.abs(np.diff(luma_HW, axis=0))[:, :-1]
    )
    return steps_HW


def _face_detail(detail_HW: NDArray[np.float32]) -> float:
    return float(detail_HW[FACE].mean()) + LEAST_DETAIL


def _log(ratio: float) -> float:
    return math.log(max(ratio, 0.05))


def _correlation(first_HW: NDArray[np.float32], second_HW: NDArray[np.float32]) -> float:
    first_HW, second_HW = first_HW - first_HW.mean(), second_HW - second_HW.mean()
    norm = math.sqrt(float((first_HW**2).sum()) * float((second_HW**2).sum()))
    return float((first_HW * second_HW).sum()) / norm if norm > 0 else 0.0
