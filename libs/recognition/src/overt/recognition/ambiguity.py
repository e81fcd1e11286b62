"""Tells which tracks a tracker may have mixed up: where the other way round would have fitted about as well."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


def doubtful_tracks(
    overlaps_NM: NDArray[np.float32], taken: Mapping[int, int], *, margin: float, touch: float
) -> frozenset[int]:
    """Return the tracks whose detection could as well be another track's, or theirs another detection.

    overlaps_NM: of each of N detections with the place where each of M tracks was expected, 0 to 1. taken: the
    track of each detection that has one of the M, by their numbers. margin: how much better, in overlap a
    detection, the choice that was made must be than one with two exchanged.

    A track that took nothing is hidden: whoever was taken for its neighbour may be itself. A detection that
    no track took may be whoever a neighbour was taken for, or, if it overlaps by more than `touch`, begin to
    cover it: soon one of the two is seen, and nothing tells which.
    """
    doubtful: set[int] = set()
    detection_of = {track: detection for detection, track in taken.items()}
    free = [number for number in range(len(overlaps_NM)) if number not in taken]
    for detection, track in taken.items():
        own = overlaps_NM[detection, track]
        if np.any(overlaps_NM[free, track] > min(own - margin, touch)):
            doubtful.add(track)
        for other in np.flatnonzero(overlaps_NM[detection] > 0).tolist():
            theirs = detection_of.get(other)
            loss, changed = own - overlaps_NM[detection, other], 1
            if theirs is not None:
                loss, changed = loss + overlaps_NM[theirs, other] - overlaps_NM[theirs, track], 2
            if other != track and loss < margin * changed:
                doubtful |= {track, other}
    return frozenset(doubtful)


def overlaps(boxes_N4: Boxes, expected_M4: Boxes) -> NDArray[np.float32]:
    """Return the intersection over union of each box with each expected one, N x M."""
    low_NM2 = np.maximum(boxes_N4[:, None, :2], expected_M4[None, :, :2])
    high_NM2 = np.minimum(boxes_N4[:, None, 2:], expected_M4[None, :, 2:])
    common_NM = np.prod(np.clip(high_NM2 - low_NM2, 0, None), axis=2)
    areas_NM = _area(boxes_N4)[:, None] + _area(expected_M4)[None, :]
    return np.asarray(common_NM / np.maximum(areas_NM - common_NM, 1e-6), np.float32)


def _area(boxes_N4: Boxes) -> NDArray[np.float32]:
    return np.asarray(np.prod(np.maximum(boxes_N4[:, 2:] - boxes_N4[:, :2], 0), axis=1), np.float32)
