"""The last choice among faces found twice: MTCNN's, by the share of the smaller box."""

import numpy as np
from numpy.typing import NDArray

from overt.recognition.detections import Floats


def suppress_inside(boxes_N4: Floats, scores_N: Floats, share: float) -> NDArray[np.intp]:
    """Return the indices that stay, the surest first.

    Of two boxes the weaker goes when what they have in common is more than `share` of the smaller one: a
    face found once more inside itself has a small IoU.
    """
    order = np.argsort(-scores_N, kind="stable")
    area_N = np.prod(boxes_N4[:, 2:] - boxes_N4[:, :2], axis=1)
    kept: list[int] = []
    while len(order):
        first, rest = int(order[0]), order[1:]
        kept.append(first)
        low_R2 = np.maximum(boxes_N4[first, :2], boxes_N4[rest, :2])
        high_R2 = np.minimum(boxes_N4[first, 2:], boxes_N4[rest, 2:])
        common_R = np.prod(np.clip(high_R2 - low_R2, 0, None), axis=1)
        order = rest[common_R <= share * np.minimum(area_N[first], area_N[rest])]
    return np.array(kept, np.intp)
