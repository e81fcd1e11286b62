"""Measures how small a face the detector still finds: share found against the distance between its eyes.

    uv run python -m benchmarks.smallest_faces FOLDER --pictures 200 --seed 1

Each picture of FOLDER (searched with its sub-folders; some are drawn by `--seed`) is searched at its own size.
The faces found there with some certainty and at least 32 px between the eyes are the reference. Then it is shown
smaller and smaller, and a face counts as found where a box overlaps its own (IoU 0.4). Intervals are
Clopper-Pearson, two-sided 95 %.
"""

import argparse
import math
import os
import platform
import random
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overt.cli.datafolder import default_cache_dir
from overt.cli.models import models_dir
from overt.recognition.detections import Detections
from overt.recognition.errors import PictureRefused
from overt.recognition.framing import frontal_eye_distance_px
from overt.recognition.metrics import proportion
from overt.recognition.pack import load_pack
from overt.recognition.picture import load_picture

SURE, REFERENCE_PX = 0.8, 32.0
AT_PX = (3, 4, 5, 6, 7, 8, 10, 12, 16, 20)
IOU = 0.4


def iou(own_4: NDArray[np.float32], boxes_N4: NDArray[np.float32]) -> float:
    """Return the largest overlap of a box with others."""
    if not len(boxes_N4):
        return 0.0
    low, high = np.maximum(boxes_N4[:, :2], own_4[:2]), np.minimum(boxes_N4[:, 2:], own_4[2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes_N4[:, 2:] - boxes_N4[:, :2], axis=1) + np.prod(own_4[2:] - own_4[:2])
    return float((common / (areas - common)).max())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pack", default="cpu")
    parser.add_argument("--score", type=float, default=0.6)
    told = parser.parse_args()
    files = sorted(told.folder.rglob("*.jpg"))
    files = random.Random(told.seed).sample(files, min(told.pictures, len(files)))  # noqa: S311 - a draw of pictures
    finder = load_pack(told.pack, models_dir(default_cache_dir()), threads=1).detector.with_score(told.score)
    found, shown = Counter[int](), Counter[int]()
    for file in files:
        try:
            picture_HWC = load_picture(file)
        except PictureRefused:
            continue
        longest = max(picture_HWC.shape[:2])
        reference = sure(finder.detect(picture_HWC, longest_side_px=longest))
        for eye_px in AT_PX:
            for box_4, own_px in reference:
                seen = finder.detect(
                    picture_HWC, longest_side_px=max(32, math.ceil(longest * eye_px / own_px))
                )
                shown[eye_px] += 1
                found[eye_px] += iou(box_4, seen.boxes_N4) >= IOU
    print(
        f"{platform.machine()}, {os.cpu_count()} cores; {len(files)} pictures, {told.pack}, score {told.score}"
    )
    for eye_px in AT_PX:
        share = proportion(found[eye_px], shown[eye_px])
        print(
            f"  {eye_px:>3} px between the eyes  {share.count:>5} of {share.total}"
            f" = {share.value:.1%} ({share.lower_95:.1%} to {share.upper_95:.1%})"
        )


def sure(faces: Detections) -> list[tuple[NDArray[np.float32], float]]:
    """Return box and inter-eye distance (that of a frontal face) of the faces to be found again: three at most."""
    rows = zip(faces.boxes_N4, faces.landmarks_N52, faces.scores_N, strict=True)
    kept = [(box, frontal_eye_distance_px(marks)) for box, marks, score in rows if score >= SURE]
    return [(box, px) for box, px in kept if px >= REFERENCE_PX][:3]


if __name__ == "__main__":
    main()
