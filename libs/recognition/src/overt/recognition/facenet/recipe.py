"""Every constant of the PyTorch path that a template rests on, besides those of the pack's own file.

Without PyTorch: a pack's fingerprint is known to whoever has its file alone.
"""

from collections.abc import Mapping

from overt.recognition.resizing import resize_rule

# The pyramid of MTCNN (Zhang et al. 2016): P-Net sees faces of 12 pixels; each level shrinks by sqrt(1/2).
CELL_PX = 12
STRIDE_PX = 2
PYRAMID_FACTOR = 0.709
# The smallest face that is looked for, in pixels of the picture as it is seen (after `longest_side_px`).
SMALLEST_FACE_PX = 20.0
# From these scores on a candidate passes the first two networks; the third's is the pack's `score_threshold`.
PASS_P, PASS_R = 0.6, 0.7
# Overlap (IoU) above which the weaker candidate goes: within a level, across levels, after R-Net. The last
# one, over the smaller box, is the pack's `nms_iou`.
IOU_LEVEL, IOU_LEVELS, IOU_R = 0.5, 0.7, 0.7
# Sides of what R-Net and O-Net see.
R_SIDE_PX, O_SIDE_PX = 24, 48
# What one picture may have at most: a crowd has hundreds; noise must not cost seconds.
MAX_CANDIDATES = 2000
MAX_FACES = 750
# How a candidate is brought to the size of the next network.
CUT = "mean of bilinear samples, about one a pixel (RoIAlign, He et al. 2017); black outside"


def mtcnn_constants() -> Mapping[str, object]:
    """Return what landmarks depend on besides the pack's own file."""
    return {
        "pyramid": [CELL_PX, STRIDE_PX, PYRAMID_FACTOR, SMALLEST_FACE_PX],
        "passes": [PASS_P, PASS_R],
        "iou": [IOU_LEVEL, IOU_LEVELS, IOU_R],
        "sides_px": [R_SIDE_PX, O_SIDE_PX],
        "at_most": [MAX_CANDIDATES, MAX_FACES],
        "cut": CUT,
        "resize": resize_rule(),
    }
