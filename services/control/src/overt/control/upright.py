"""Tells whether a picture lies on its side or head down.

The detector also finds such a face, lays its landmarks as if it stood upright, and what comes out is a sharp,
well-lit template of nobody. So the face is looked for in all four turns of its surroundings: it is surest of the
upright one. Of 952 upright photographs of Labeled Faces in the Wild none was taken for turned; of 645
turned ones in which a face was found, one for upright (`benchmarks/upright.py`).
"""

import numpy as np
from numpy.typing import NDArray

from overt.recognition.detections import FaceDetector

# The surroundings are the box, grown to twice its longer side: hair and chin help to tell above from below.
GROWN = 2.0
SIDE_PX = 320
# How much surer the detector must be of another turn: a head that is tilted by 45 degrees is as sure in two.
MARGIN = 0.01


def is_upright(image_HWC: NDArray[np.uint8], box: NDArray[np.float32], detector: FaceDetector) -> bool:
    """Tell whether the face in `box` (left, top, right, bottom) stands as upright as in any turn of the picture."""
    region_HWC = _around(image_HWC, box)
    as_it_is, *turned = (_surest(np.rot90(region_HWC, quarter), detector) for quarter in range(4))
    return max(turned) <= as_it_is + MARGIN


def _surest(region_HWC: NDArray[np.uint8], detector: FaceDetector) -> float:
    found = detector.detect(np.ascontiguousarray(region_HWC), longest_side_px=SIDE_PX)
    return float(found.scores_N.max(initial=0.0))


def _around(image_HWC: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.uint8]:
    height, width = image_HWC.shape[:2]
    middle_2, half = (box[:2] + box[2:]) / 2, float(np.max(box[2:] - box[:2])) * GROWN / 2
    left, top = (int(value) for value in np.clip(middle_2 - half, 0, (width, height)))
    right, bottom = (int(value) for value in np.clip(middle_2 + half, 0, (width, height)))
    return image_HWC[top:bottom, left:right]
